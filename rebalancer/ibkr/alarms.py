"""What people have to look at before anything more is bought: codes that announce a loss, and IBKR's own sales. And
what is refused, or corrected, when nobody follows it any more.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Protocol

import structlog

from rebalancer.domain.gateway_login import end_of_life
from rebalancer.domain.orders import Fill, OrderRequest, split_execution_id
from rebalancer.ibkr.codes import announces_loss, classify
from rebalancer.ibkr.messages import ErrorMessage, ExecutionMessage, Message
from rebalancer.ibkr.record import GatewayRecord

log = structlog.get_logger()

_AGAIN_S = 5.0
FIRST = 1
"""Revision of an execution that nobody has corrected."""


class Connected(Protocol):
    """What alarms need of the connection that they hear, as a session has it."""

    lost: asyncio.Future[str]

    @property
    def orders(self) -> Mapping[int, OrderRequest]: ...

    @property
    def accounts(self) -> frozenset[str]: ...

    @property
    def alive(self) -> bool: ...

    def spawn(self, work: Coroutine[Any, Any, None]) -> None: ...


class Alarms:
    """Hears one connection and puts on record what it announces; tried again while the record cannot be reached."""

    def __init__(self, session: Connected, record: GatewayRecord) -> None:
        self._session = session
        self._record = record
        self._liquidations: set[str] = set()
        self._corrections: set[str] = set()

    def hear(self, message: Message) -> None:
        """Take one message in."""
        if isinstance(message, ErrorMessage):
            self._refused(message)
            if announces_loss(message.code, message.text):
                self._warned(message)
            elif (day := end_of_life(message.text)) is not None:
                text = message.text
                log.warning("gateway_desupported", on=day.isoformat(), text=text)
                self._keep(lambda: self._record.desupported(day, text))
        elif isinstance(message, ExecutionMessage):
            if message.liquidation:
                self._liquidated(message)
            self._corrected(message.fill)

    def _refused(self, message: ErrorMessage) -> None:
        """An order that a window of the gateway kept back may be refused long after its batch has ended."""
        order, meaning = self._session.orders.get(message.request_id), classify(message.code)
        if order is not None and meaning.permanent and not meaning.reconcile:
            ref, code, text = order.order_ref, message.code, message.text
            self._keep(lambda: self._record.refused(ref, code, text))

    def _warned(self, message: ErrorMessage) -> None:
        accounts, code, text = self._concerned(message), message.code, message.text
        log.error("loss_announced", code=code, text=text, accounts=sorted(accounts))
        self._keep(lambda: self._record.warned(accounts, code, text))

    def _concerned(self, message: ErrorMessage) -> frozenset[str]:
        """The order's account, else those that the text names, else all of the login."""
        if (order := self._session.orders.get(message.request_id)) is not None:
            return frozenset({order.account_id})
        words = frozenset(re.findall(r"\w+", message.text))
        return self._session.accounts & words or self._session.accounts

    def _liquidated(self, message: ExecutionMessage) -> None:
        fill = message.fill
        execution, _ = split_execution_id(fill.execution_id)
        if execution in self._liquidations:
            return
        self._liquidations.add(execution)
        trade = f"{fill.side} {fill.quantity} {fill.symbol} at {fill.price}"
        log.error("liquidated_by_broker", account_id=fill.account_id, trade=trade, execution_id=execution)
        self._keep(lambda: self._record.liquidated(fill.account_id, execution, trade))

    def _corrected(self, fill: Fill) -> None:
        """IBKR corrects executions whenever it likes, perhaps long after their batch has ended."""
        is_correction = bool(fill.quantity) and split_execution_id(fill.execution_id)[1] > FIRST
        if is_correction and fill.order_ref and fill.execution_id not in self._corrections:
            self._corrections.add(fill.execution_id)
            log.warning("execution_corrected", order_ref=fill.order_ref, execution_id=fill.execution_id)
            self._keep(lambda: self._record.corrected(fill))

    def _keep(self, put: Callable[[], bool]) -> None:
        async def keep() -> None:
            while not await asyncio.to_thread(put) and self._session.alive:
                await asyncio.wait({self._session.lost}, timeout=_AGAIN_S)

        self._session.spawn(keep())
