"""What is known of a batch of orders: messages in, updates out. Pure; no clock, no socket."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal

from rebalancer.domain.money import ZERO
from rebalancer.domain.order_progress import OrderProgress
from rebalancer.domain.order_states import OrderStatus
from rebalancer.domain.orders import CommissionReport, OrderRequest, OrderUpdate, StatusUpdate, split_execution_id
from rebalancer.ibkr.codes import classify
from rebalancer.ibkr.evidence import completed_of
from rebalancer.ibkr.messages import (
    CompletedOrderMessage,
    ErrorMessage,
    ExecutionMessage,
    Message,
    OpenOrderMessage,
    StatusMessage,
)

Updates = tuple[OrderUpdate, ...]

_NUMBER_TAKEN = frozenset({103, 104})
_UNKNOWN_TO_THE_BROKER = frozenset({135, 10147})
"""Answers to a cancel that say that there is no such order."""
_NOT_CANCELLED = _UNKNOWN_TO_THE_BROKER | {136, 161, 10148}
"""Answers to a cancel that say that nothing was cancelled."""
_WORKING = frozenset({OrderStatus.SUBMITTED, OrderStatus.PRE_SUBMITTED})
_TAKEN = _WORKING | {OrderStatus.FILLED}


@dataclass(slots=True)
class _Tracked:
    """One order of the batch.

    Attributes:
        progress: what its reports have left of it.
        problem: the last error that spoke of it; the first refusal for good stays.
        doubtful: the problem has not been looked into.
        heard: the broker has said anything of it.
        accepted: the broker has it working, or filled.
        marked: it was told that it is unacknowledged.
        not_cancelled: the broker refused to cancel it.
        given_up: refused for good, and still listed as Inactive after its cancel.
    """

    request: OrderRequest
    order_id: int
    progress: OrderProgress = field(default_factory=lambda: OrderProgress(OrderStatus.PENDING_SUBMIT))
    problem: ErrorMessage | None = None
    doubtful: bool = False
    heard: bool = False
    accepted: bool = False
    marked: bool = False
    not_cancelled: bool = False
    given_up: bool = False

    @property
    def whole(self) -> bool:
        return self.progress.told >= self.request.quantity

    @property
    def ended(self) -> bool:
        return self.progress.filled >= self.request.quantity or self.progress.status.final or self.lingers

    @property
    def lingers(self) -> bool:
        return self.given_up and self.progress.status is OrderStatus.INACTIVE

    @property
    def refused(self) -> bool:
        return self.problem is not None and classify(self.problem.code).permanent

    @property
    def refused_for_good(self) -> bool:
        """Sending it again would be refused again; a cancellation or a number taken twice is no such refusal."""
        return self.problem is not None and self.refused and not classify(self.problem.code).reconcile

    @property
    def number_taken(self) -> bool:
        """Its order id belongs to an earlier order: given out twice after a restart of the gateway."""
        return self.problem is not None and self.problem.code in _NUMBER_TAKEN

    @property
    def explained(self) -> bool:
        """Its end needs no further word: the reason of a cancellation may come after the status."""
        return self.whole or self.progress.status is OrderStatus.FILLED or self.problem is not None


class OrderWatch:
    """The orders of one client that were sent together.

    Args:
        client_id: order ids mean something only together with it.
    """

    def __init__(self, client_id: int) -> None:
        self._client_id = client_id
        self._by_id: dict[int, _Tracked] = {}
        self._by_ref: dict[str, _Tracked] = {}
        self._usurped: str | None = None

    # -- what follows from it ---------------------------------------------------------------------------------------

    @property
    def ended(self) -> bool:
        """Every order filled its quantity or has a final status of the broker's."""
        return all(order.ended for order in self._by_id.values())

    @property
    def fills_missing(self) -> bool:
        """The broker reported more filled than it sent executions for."""
        return any(
            order.ended and not order.whole and order.progress.told < order.progress.stated
            for order in self._by_id.values()
        )

    @property
    def final(self) -> bool:
        """Ended, with every execution, commission and reason known."""
        complete = (order.explained and not order.progress.unpaid for order in self._by_id.values())
        return self.ended and not self.fills_missing and all(complete)

    @property
    def usurped(self) -> str | None:
        """Set when one of our order ids turned out to be another order's."""
        return self._usurped

    @property
    def accounts(self) -> frozenset[str]:
        """Accounts that the orders belong to."""
        return frozenset(order.request.account_id for order in self._by_id.values())

    def doubtful(self) -> frozenset[str]:
        """Refs of live orders that an error concerns and nobody has looked up since."""
        return frozenset(ref for ref, order in self._by_ref.items() if order.doubtful and not order.ended)

    def silent(self) -> frozenset[str]:
        """Refs of the orders of which the broker has not said a word."""
        return frozenset(ref for ref, order in self._by_ref.items() if not order.heard)

    @property
    def accepted(self) -> bool:
        """The broker has taken one of the orders."""
        return any(order.accepted for order in self._by_id.values())

    def order_id(self, ref: str) -> int:
        """Its number."""
        return self._by_ref[ref].order_id

    def unfinished(self) -> frozenset[str]:
        """Refs of the orders that have not ended."""
        return frozenset(ref for ref, order in self._by_ref.items() if not order.ended)

    def names(self, refs: frozenset[str]) -> str:
        """Orders in words."""
        chosen = (self._by_ref[ref].request for ref in sorted(refs))
        return "; ".join(f"{one.side} {one.quantity} {one.symbol} ({one.order_ref})" for one in chosen)

    def description(self) -> str:
        """The orders that have not ended, for an error's text."""
        return "; ".join(
            f"{order.request.order_ref} ({order.request.side} {order.request.quantity} {order.request.symbol}): "
            f"{order.progress.status}, {order.progress.told} filled"
            + (f", code {order.problem.code}: {order.problem.text}" if order.problem else "")
            for order in self._by_id.values()
            if not order.ended
        )

    # -- what is heard ----------------------------------------------------------------------------------------------

    def place(self, order_id: int, request: OrderRequest, at: datetime) -> Updates:
        """An order was written to the socket: its first update, unconfirmed."""
        order = _Tracked(request, order_id)
        self._by_id[order_id] = self._by_ref[request.order_ref] = order
        return (self._update(order, at, confirmed=False),)

    def feed(self, message: Message) -> Updates:
        """Take one message in; those of other orders change nothing."""
        if isinstance(message, StatusMessage):
            return self._on_status(message)
        if isinstance(message, OpenOrderMessage):
            return self._on_open_order(message)
        if isinstance(message, ExecutionMessage):
            return self._on_execution(message)
        if isinstance(message, CommissionReport):
            return self._on_commission(message)
        if isinstance(message, ErrorMessage):
            return self._on_error(message)
        return ()

    def _on_status(self, message: StatusMessage) -> Updates:
        order = self._by_id.get(message.order_id) if message.client_id == self._client_id else None
        if order is None or _other(order.progress.perm_id, message.perm_id):
            return ()
        return self._advance(order, message.at, message.status, message.filled, message.perm_id)

    def _on_open_order(self, message: OpenOrderMessage) -> Updates:
        listed = message.order
        order = self._by_id.get(listed.order_id) if listed.client_id == self._client_id else None
        if order is None:
            return ()
        if listed.order_ref != order.request.order_ref:
            self._usurped = f"order id {order.order_id} of {order.request.order_ref} belongs to {listed.order_ref!r}"
            return ()
        stated = Decimal(order.request.quantity) if listed.status is OrderStatus.FILLED else ZERO
        return self._advance(order, message.at, listed.status, stated, listed.perm_id)

    def _advance(self, order: _Tracked, at: datetime, status: OrderStatus, stated: Decimal, perm_id: int) -> Updates:
        before = order.progress
        order.heard = True
        order.accepted = order.accepted or status in _TAKEN
        order.progress = before.reported(status, stated, perm_id)
        if order.progress.status in _WORKING:
            order.doubtful = False
        return (self._update(order, at, confirmed=True),) if order.progress != before else ()

    def _on_execution(self, message: ExecutionMessage) -> Updates:
        fill = message.fill
        order = self._by_ref.get(fill.order_ref) or self._unnamed(message)
        if order is None:
            return ()
        if not fill.quantity:
            order.progress = order.progress.reported(order.progress.status, fill.cumulative_quantity)
            return (self._update(order, fill.at, confirmed=False),)
        asked, before = order.request, order.progress
        fill = replace(
            fill, order_ref=asked.order_ref, account_id=asked.account_id, symbol=asked.symbol, side=asked.side
        )
        order.progress = before.executed(fill)
        if order.progress == before:
            return ()
        order.heard = order.accepted = True
        execution, _ = split_execution_id(fill.execution_id)
        early = order.progress.commissions.get(execution)
        return (fill, early) if early is not None and execution not in before.fills else (fill,)

    def _unnamed(self, message: ExecutionMessage) -> _Tracked | None:
        """The order of an execution that names no ref."""
        if message.fill.order_ref:
            return None
        by_number = self._by_id.get(message.order_id) if message.client_id == self._client_id else None
        perm_id = message.fill.perm_id
        return by_number or next(
            (one for one in self._by_id.values() if perm_id and one.progress.perm_id == perm_id), None
        )

    def _on_commission(self, report: CommissionReport) -> Updates:
        execution, _ = split_execution_id(report.execution_id)
        news = False
        for order in self._by_id.values():
            before = order.progress
            order.progress = before.charged(report)
            news = news or (execution in before.fills and order.progress != before)
        return (report,) if news else ()

    def _on_error(self, message: ErrorMessage) -> Updates:
        order = self._by_id.get(message.request_id)
        if order is None:
            return ()
        meaning = classify(message.code)
        order.heard = order.heard or message.code not in _UNKNOWN_TO_THE_BROKER
        order.not_cancelled = order.not_cancelled or message.code in _NOT_CANCELLED
        if not meaning.harmless:
            order.doubtful = not order.ended
        if not order.refused:
            order.problem = message
        return (self._update(order, message.at, confirmed=False, error=message),)

    # -- what a look-up found ---------------------------------------------------------------------------------------

    def found_open(self, ref: str) -> int | None:
        """The broker lists the order as open.

        Returns:
            Its order id if it should be cancelled: refused for good, yet kept as Inactive, which somebody may revive.
        """
        order = self._by_ref[ref]
        order.doubtful = False
        order.heard = order.accepted = True
        return order.order_id if order.refused and order.progress.status is OrderStatus.INACTIVE else None

    def not_cancelled(self, ref: str) -> bool:
        """The broker has refused to cancel the order."""
        return self._by_ref[ref].not_cancelled

    def give_up(self, ref: str, at: datetime) -> Updates:
        """The order was refused and cancelled, and the broker goes on listing it as Inactive: nothing follows."""
        order = self._by_ref[ref]
        order.given_up = order.refused_for_good
        return (self._update(order, at, confirmed=False),) if order.given_up else ()

    def completed(self, rows: Sequence[CompletedOrderMessage]) -> dict[str, CompletedOrderMessage]:
        """Those of the rows that are ours, by ref."""
        found = {ref: completed_of(rows, ref, order.progress.perm_id) for ref, order in self._by_ref.items()}
        return {ref: row for ref, row in found.items() if row is not None}

    def found_completed(self, ref: str, message: CompletedOrderMessage, at: datetime) -> Updates:
        """The broker lists the order among the completed ones, whatever its last status was called."""
        order = self._by_ref[ref]
        order.doubtful = False
        status = message.status if message.status.final else OrderStatus.CANCELLED
        whole = Decimal(order.request.quantity) if status is OrderStatus.FILLED else ZERO
        return self._advance(order, at, status, message.filled or whole, message.perm_id)

    def found_nowhere(self, ref: str, at: datetime) -> Updates:
        """The broker lists the order nowhere: final after a refusal, undecided after anything else."""
        order = self._by_ref[ref]
        order.doubtful = False
        if order.refused or order.number_taken:
            return self._advance(order, at, OrderStatus.CANCELLED, ZERO, 0)
        return ()

    def found_silent(self, refs: frozenset[str], at: datetime) -> Updates:
        """The broker answers, lists these orders nowhere and has not said a word of them; told once of each."""
        fresh = [self._by_ref[ref] for ref in sorted(refs) if not self._by_ref[ref].marked]
        for order in fresh:
            order.marked = True
        return tuple(replace(self._update(order, at, confirmed=False), unacknowledged=True) for order in fresh)

    def _update(
        self, order: _Tracked, at: datetime, *, confirmed: bool, error: ErrorMessage | None = None
    ) -> StatusUpdate:
        spoken, filled = error or order.problem, order.progress.filled
        return StatusUpdate(
            order_ref=order.request.order_ref,
            at=at,
            status=order.progress.status,
            filled=filled,
            remaining=max(ZERO, order.request.quantity - filled),
            order_id=order.order_id,
            client_id=self._client_id,
            perm_id=order.progress.perm_id,
            code=spoken.code if spoken else None,
            text=spoken.text if spoken else None,
            confirmed=confirmed,
            refused=order.refused_for_good,
        )


def _other(known: int, reported: int) -> bool:
    """Two perm ids that cannot be one order's; after a gateway restart order ids are given out again."""
    return bool(known and reported and known != reported)
