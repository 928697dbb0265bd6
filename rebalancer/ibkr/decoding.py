"""ib_async's decoder, except that no message is lost without a word."""

# ib_async leaves its message layer without annotations; this module is at the boundary.
# mypy: allow-untyped-calls

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Hashable
from datetime import UTC, datetime
from functools import lru_cache, partial
from typing import Any, cast

import ib_async
import structlog
from ib_async.decoder import Decoder
from ib_async.wrapper import Wrapper

from rebalancer.ibkr import frames, mapping
from rebalancer.ibkr.frames import Fields
from rebalancer.ibkr.messages import CompletedOrderMessage, Message, UnreadableMessage
from rebalancer.ibkr.times import GatewayTime

log = structlog.get_logger()


def _unheard(_request_id: int, _account_id: str, _tag: str, _value: str, _currency: str) -> None:
    """Nobody asked."""


class _OneOrder:
    """Takes what ib_async's decoder has read of a completed order."""

    def completedOrder(  # noqa: N802 - as the TWS API calls it
        self, contract: ib_async.Contract, order: ib_async.Order, state: ib_async.OrderState
    ) -> None:
        """Keep it."""
        self.contract, self.order, self.state = contract, order, state


class QuickDecoder(Decoder):
    """ib_async's decoder in a third of its time."""

    def parse(self, obj: Any) -> None:
        """As ib_async's, which looks an object's hundred fields up anew for each message."""
        for name, kind, default in _typed_fields(cast("Hashable", type(obj))):
            value = getattr(obj, name)
            if value is not default:
                number = int if kind is bool else kind
                setattr(obj, name, kind(number(value)) if value else default)


class ReadingDecoder(QuickDecoder):
    """Reads statuses, executions, commissions, positions and marks itself, and what it can of orders ib_async cannot.

    Args:
        say: hears each message.
        time: how the gateway tells the time.
        account_value: hears each account value: request, account id, tag, value, currency.
    """

    def __init__(
        self,
        wrapper: Wrapper,
        say: Callable[[Message], None],
        time: GatewayTime,
        account_value: Callable[[int, str, str, str, str], None] = _unheard,
    ) -> None:
        super().__init__(wrapper, 0)
        self._say = say
        self._tell_value = account_value
        self._time = time
        own = {
            frames.STATUS: self._status,
            frames.EXECUTION: self._execution,
            frames.COMMISSION: self._commission,
            frames.PORTFOLIO: self._mark,
            frames.POSITION: lambda values: say(frames.position(values)),
            frames.POSITION_OF_ONE: lambda values: say(frames.position_of_one(values)),
            frames.ACCOUNT_VALUE: self._account_value,
            frames.COMPLETED_ORDER: self._completed_order,
        }
        self.handlers.update(own)

    def interpret(self, fields: list[str]) -> None:
        """Read one message and pass it on."""
        try:
            number = int(fields[0])
            self.handlers[number](fields)
        except Exception as error:  # noqa: BLE001 - whatever a gateway sends, the next message has to be read
            _unreadable(fields, error)
            self._rescue(fields)

    def _rescue(self, values: list[str]) -> None:
        fields, now = Fields(values), datetime.now(UTC)
        match fields.integer(0):
            case frames.OPEN_ORDER:
                self._say(frames.open_order(fields, now))
            case number:
                self._say(UnreadableMessage(number))

    def _status(self, values: list[str]) -> None:
        self._say(frames.status(Fields(values), datetime.now(UTC)))

    def _execution(self, values: list[str]) -> None:
        fields, arrived = Fields(values), datetime.now(UTC)
        pushed = fields.integer(1, frames.PUSHED) == frames.PUSHED
        reading = self._time.executed_at(fields.text(frames.EXECUTED_AT), arrived, pushed=pushed)
        message = frames.execution(fields, reading.at)
        if reading.doubt:
            log.warning("execution_time_doubted", doubt=reading.doubt, execution_id=message.fill.execution_id)
        if not message.fill.quantity:
            log.error("execution_incomplete", fields=values)
        self._say(message)

    def _completed_order(self, values: list[str]) -> None:
        self._say(frames.completed_row(Fields(values), partial(self._read_completed, values)))

    def _read_completed(self, values: list[str]) -> CompletedOrderMessage:
        reader = _OneOrder()
        try:
            QuickDecoder(reader, self.serverVersion).completedOrder(values)  # type: ignore[arg-type]  # all it calls
            ended_at = self._time.read(reader.state.completedTime, datetime.now(UTC))
            return mapping.completed_order(reader.contract, reader.order, reader.state, ended_at)
        except Exception as error:  # noqa: BLE001 - as above
            _unreadable(values, error)
            return frames.completed_order(Fields(values))

    def _commission(self, values: list[str]) -> None:
        report = frames.commission(Fields(values))
        if report is not None:
            self._say(report)

    def _mark(self, values: list[str]) -> None:
        mark = frames.mark(Fields(values))
        if mark is not None:
            self._say(mark)

    def _account_value(self, values: list[str]) -> None:
        _, _, request_id, account_id, model_code, tag, value, currency = values[:8]
        if not model_code:
            self._tell_value(int(request_id), account_id, tag, value, currency)

    def wrap(self, methodName: str, types: list[Any], skip: int = 2) -> Callable[[list[str]], None]:  # noqa: N803
        """A handler that passes the fields on by their types; unlike ib_async's it lets its caller hear of errors."""

        def handler(fields: list[str]) -> None:
            method = getattr(self.wrapper, methodName, None)
            if method is not None:
                method(*(_read(kind, field) for kind, field in zip(types, fields[skip:], strict=False)))

        return handler


def _unreadable(fields: list[str], error: Exception) -> None:
    log.error("broker_message_unreadable", fields=fields, error=f"{type(error).__name__}: {error}")


@lru_cache(maxsize=64)
def _typed_fields(of: Hashable) -> tuple[tuple[str, type[Any], Any], ...]:
    """Those that are no texts: name, type and default."""
    typed = ((field.name, type(field.default), field.default) for field in dataclasses.fields(cast("Any", of)))
    return tuple(one for one in typed if one[1] in {int, float, bool})


def _read(kind: type[Any], field: str) -> Any:
    if kind is str:
        return field
    if kind is float:
        return float(field or 0)
    return kind(int(field or 0))
