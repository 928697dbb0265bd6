"""ib_async's decoder, except that no message is lost without a word."""

# ib_async leaves its message layer without annotations; this module is at the boundary.
# mypy: allow-untyped-calls

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import structlog
from ib_async.decoder import Decoder
from ib_async.wrapper import Wrapper

from rebalancer.ibkr import frames
from rebalancer.ibkr.frames import Fields
from rebalancer.ibkr.messages import Message, UnreadableMessage
from rebalancer.ibkr.times import GatewayTime

log = structlog.get_logger()


class ReadingDecoder(Decoder):
    """Reads statuses, executions and commissions itself, and what it can of orders that ib_async cannot read.

    Args:
        say: hears each message.
        time: how the gateway tells the time.
    """

    def __init__(self, wrapper: Wrapper, say: Callable[[Message], None], time: GatewayTime) -> None:
        super().__init__(wrapper, 0)
        self._say = say
        self._time = time
        own = {frames.STATUS: self._status, frames.EXECUTION: self._execution, frames.COMMISSION: self._commission}
        self.handlers.update(own)

    def interpret(self, fields: list[str]) -> None:
        """Read one message and pass it on."""
        try:
            number = int(fields[0])
            self.handlers[number](fields)
        except Exception as error:  # noqa: BLE001 - whatever a gateway sends, the next message has to be read
            log.error("broker_message_unreadable", fields=fields, error=f"{type(error).__name__}: {error}")
            self._rescue(fields)

    def _rescue(self, values: list[str]) -> None:
        fields, now = Fields(values), datetime.now(UTC)
        match fields.integer(0):
            case frames.OPEN_ORDER:
                self._say(frames.open_order(fields, now))
            case frames.COMPLETED_ORDER:
                self._say(frames.completed_order(fields))
            case number:
                self._say(UnreadableMessage(number))

    def _status(self, values: list[str]) -> None:
        self._say(frames.status(Fields(values), datetime.now(UTC)))

    def _execution(self, values: list[str]) -> None:
        arrived = datetime.now(UTC)
        message = frames.execution(Fields(values), arrived)
        pushed = message.request_id == frames.PUSHED
        reading = self._time.executed_at(message.at_text, arrived, pushed=pushed)
        if reading.doubt:
            log.warning("execution_time_doubted", doubt=reading.doubt, execution_id=message.fill.execution_id)
        if not message.fill.quantity:
            log.error("execution_incomplete", fields=values)
        self._say(replace(message, fill=replace(message.fill, at=reading.at)))

    def _commission(self, values: list[str]) -> None:
        report = frames.commission(Fields(values))
        if report is not None:
            self._say(report)

    def wrap(self, methodName: str, types: list[Any], skip: int = 2) -> Callable[[list[str]], None]:  # noqa: N803
        """A handler that passes the fields on by their types; unlike ib_async's it lets its caller hear of errors."""

        def handler(fields: list[str]) -> None:
            method = getattr(self.wrapper, methodName, None)
            if method is not None:
                method(*(_read(kind, field) for kind, field in zip(types, fields[skip:], strict=False)))

        return handler


def _read(kind: type[Any], field: str) -> Any:
    if kind is str:
        return field
    if kind is float:
        return float(field or 0)
    return kind(int(field or 0))
