"""Which rows of the broker's lists belong to which of our orders. Pure.

Rows lack the account or the order ref at times, so an order is looked for by ref, then by perm id, and at last, among
rows that nobody else has claimed, by what we know of it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from functools import reduce

from rebalancer.domain.money import ZERO
from rebalancer.domain.order_progress import OrderProgress
from rebalancer.domain.order_states import OrderStatus
from rebalancer.domain.orders import Fill, OpenOrder, SentOrder
from rebalancer.ibkr.messages import CompletedOrderMessage, ExecutionMessage, StatusMessage

_EARLY = timedelta(seconds=30)
"""Clocks and whole seconds apart, an order does not end before it was intended."""


@dataclass(frozen=True, slots=True)
class Found:
    """The rows of one order."""

    listed: OpenOrder | None
    done: CompletedOrderMessage | None
    executions: tuple[ExecutionMessage, ...]
    ending: StatusMessage | None = None
    by_likeness: bool = False

    def __bool__(self) -> bool:
        return bool(self.listed or self.done or self.executions or self.ending)

    @property
    def perm_id(self) -> int:
        """The broker's number of it; 0 where no row has one."""
        rows = [self.listed, self.done, self.ending, *(row.fill for row in self.executions)]
        return next((row.perm_id for row in rows if row is not None and row.perm_id), 0)

    @property
    def fills(self) -> tuple[Fill, ...]:
        """Each execution once, in its latest revision, oldest first."""
        told = (row.fill for row in self.executions if row.fill.quantity)
        latest = reduce(OrderProgress.executed, told, OrderProgress()).fills
        return tuple(sorted(latest.values(), key=lambda fill: (fill.at, fill.cumulative_quantity)))

    def stated(self, order: SentOrder) -> Decimal:
        """Shares filled, by the highest that any row states; an order called filled is filled whole."""
        told = [row.fill.cumulative_quantity for row in self.executions]
        if self.listed is not None:
            told.append(self.listed.filled)
        if self.done is not None:
            told.append(_filled(self.done, order))
        if self.ending is not None:
            told.append(self.ending.filled)
        return max(told, default=ZERO)

    @property
    def status(self) -> OrderStatus:
        """Of an order known by its executions alone only this is certain: it has fills and is not open any more."""
        if self.listed is not None:
            return self.listed.status
        if self.done is None:
            return self.ending.status if self.ending else OrderStatus.FILLED
        return self.done.status if self.done.status.final else OrderStatus.CANCELLED


class Evidence:
    """The broker's three lists, as far as they can be one account's, and the ``endings`` that it has pushed.

    Args:
        others: perm ids of orders that are on record already.
    """

    def __init__(  # noqa: PLR0917 - the three lists and what is known beside them
        self,
        account_id: str,
        listed: Iterable[OpenOrder],
        completed: Iterable[CompletedOrderMessage],
        executions: Iterable[ExecutionMessage],
        endings: Mapping[int, StatusMessage],
        others: Collection[int] = (),
    ) -> None:
        own = (account_id, "")
        self._listed = [row for row in listed if row.account_id in own]
        self._completed = [row for row in completed if row.account_id in own]
        self._executions = list(executions)
        self._endings = endings
        self._others = frozenset(others)

    def of(self, orders: Collection[SentOrder]) -> dict[str, Found]:
        """The rows of each order, by ref; orders that are nowhere are missing."""
        found = {order.order_ref: self._named(order) for order in orders}
        claimed = {order.perm_id for order in orders} | {one.perm_id for one in found.values()}
        claimed |= self._others | {row.fill.perm_id for row in self._executions if row.fill.order_ref}
        claimed.discard(0)
        for order in orders:
            if not found[order.order_ref] and order.side is not None:
                like = found[order.order_ref] = self._like(order, claimed)
                claimed |= {like.perm_id} - {0}
        return {ref: rows for ref, rows in found.items() if rows}

    def _named(self, order: SentOrder) -> Found:
        """By ref or perm id; a perm id that only one of the rows knows finds the others."""
        first = self._rows(order.order_ref, order.perm_id)
        return self._rows(order.order_ref, order.perm_id or first.perm_id)

    def _rows(self, ref: str, perm_id: int) -> Found:
        def ours(row_ref: str, row_perm_id: int) -> bool:
            return row_ref == ref or (not row_ref and bool(perm_id) and row_perm_id == perm_id)

        return Found(
            next((row for row in self._listed if ours(row.order_ref, row.perm_id)), None),
            next((row for row in self._completed if ours(row.order_ref, row.perm_id)), None),
            tuple(row for row in self._executions if ours(row.fill.order_ref, row.fill.perm_id)),
            self._endings.get(perm_id) if perm_id else None,
        )

    def _like(self, order: SentOrder, claimed: Collection[int]) -> Found:
        done = next((row for row in self._completed if row.perm_id not in claimed and _alike(row, order)), None)
        if done is not None:
            return Found(None, done, self._of_perm_id(done.perm_id), by_likeness=True)
        first = next((row for row in self._executions if row.fill.perm_id not in claimed and _fits(row, order)), None)
        rows = () if first is None else self._of_perm_id(first.fill.perm_id) or (first,)
        return Found(None, None, rows, by_likeness=True)

    def _of_perm_id(self, perm_id: int) -> tuple[ExecutionMessage, ...]:
        return tuple(row for row in self._executions if perm_id and row.fill.perm_id == perm_id)


def completed_of(rows: Sequence[CompletedOrderMessage], ref: str, perm_id: int) -> CompletedOrderMessage | None:
    """The completed order of that ref, or of that perm id where it names no ref."""
    named = (row for row in rows if row.order_ref == ref)
    numbered = (row for row in rows if not row.order_ref and perm_id and row.perm_id == perm_id)
    return next(named, None) or next(numbered, None)


def _filled(done: CompletedOrderMessage, order: SentOrder) -> Decimal:
    if done.status is not OrderStatus.FILLED:
        return done.filled or ZERO
    return done.filled or done.quantity or Decimal(order.quantity)


def _alike(done: CompletedOrderMessage, order: SentOrder) -> bool:
    """Only what filled: that another order ended without a fill says nothing of ours."""
    if not _filled(done, order) or done.order_ref or done.symbol != order.symbol or done.side is not order.side:
        return False
    quantity = done.quantity or (done.filled if done.status is OrderStatus.FILLED else None)
    late = order.intended_at is None or done.ended_at is None or done.ended_at >= order.intended_at - _EARLY
    return late and quantity in {None, Decimal(order.quantity)}


def _fits(row: ExecutionMessage, order: SentOrder) -> bool:
    """Not of an order by hand, nor of another client's."""
    fill = row.fill
    if fill.order_ref or fill.symbol != order.symbol or fill.side is not order.side or row.client_id == 0:
        return False
    late = order.intended_at is None or fill.at >= order.intended_at - _EARLY
    owner = order.client_id is None or row.client_id in {order.client_id, -1}
    return late and owner and fill.cumulative_quantity <= order.quantity
