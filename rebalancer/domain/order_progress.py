"""One order as the broker's reports leave it: whoever follows orders folds them here. Pure.

Reports come late, twice and out of order. What an order has come to in the end does not depend on that, but for one
thing: a correction that takes shares back lowers what was stated by then, and nobody can tell an old statement that
arrives after it from a new one. The higher one counts, since a fill that anyone states is a fill.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Self

from rebalancer.domain.money import ZERO
from rebalancer.domain.order_states import OrderStatus, advance
from rebalancer.domain.orders import CommissionReport, Fill, OrderUpdate, StatusUpdate, split_execution_id


@dataclass(frozen=True, slots=True)
class OrderProgress:
    """What is known of one order.

    Attributes:
        status: newest that the broker confirmed and that may follow the one before.
        stated: shares; the highest total that was stated, by a status or beside an execution.
        perm_id: 0 until one was told.
        fills: latest revision by execution, that is by execution id without revision.
        commissions: those of the latest revision that has one, by execution; also of executions yet to come, and of
            other orders' where nobody could tell.
    """

    status: OrderStatus = OrderStatus.API_PENDING
    stated: Decimal = ZERO
    perm_id: int = 0
    fills: Mapping[str, Fill] = field(default_factory=dict)
    commissions: Mapping[str, CommissionReport] = field(default_factory=dict)

    @property
    def told(self) -> Decimal:
        """Shares of its executions."""
        return sum((fill.quantity for fill in self.fills.values()), ZERO)

    @property
    def filled(self) -> Decimal:
        """Shares that count as filled: by its executions, or more where more was stated."""
        return max(self.told, self.stated)

    @property
    def unpaid(self) -> frozenset[str]:
        """Executions whose commission is not known."""
        return frozenset(self.fills.keys() - self.commissions.keys())

    def after(self, report: OrderUpdate) -> Self:
        """With one more report of this order; a commission may be another's."""
        match report:
            case StatusUpdate():
                status = report.status if report.confirmed else self.status
                return self.reported(status, report.filled, report.perm_id)
            case Fill():
                return self.executed(report)
            case CommissionReport():
                return self.charged(report)

    def reported(self, status: OrderStatus, stated: Decimal, perm_id: int = 0) -> Self:
        """The broker has told a status, and how many shares are filled in all."""
        return replace(
            self,
            status=advance(self.status, status),
            stated=max(self.stated, stated),
            perm_id=perm_id or self.perm_id,
        )

    def executed(self, fill: Fill) -> Self:
        """An execution, or its correction; one that was corrected before it arrived says nothing any more."""
        execution, revision = split_execution_id(fill.execution_id)
        known = self.fills.get(execution)
        if known is None:
            return self._with(execution, fill, taken_back=ZERO)
        before = split_execution_id(known.execution_id)[1]
        if revision > before:
            return self._with(execution, fill, taken_back=max(ZERO, known.quantity - fill.quantity))
        return replace(self, stated=max(self.stated, fill.cumulative_quantity)) if revision == before else self

    def _with(self, execution: str, fill: Fill, taken_back: Decimal) -> Self:
        stated = max(self.stated - taken_back, fill.cumulative_quantity)
        return replace(self, stated=stated, fills={**self.fills, execution: fill})

    def charged(self, report: CommissionReport) -> Self:
        """A commission; a corrected execution keeps the one that was told before until it has one for itself."""
        execution, revision = split_execution_id(report.execution_id)
        known = self.commissions.get(execution)
        if known is not None and split_execution_id(known.execution_id)[1] > revision:
            return self
        return replace(self, commissions={**self.commissions, execution: report})


def addressees(report: OrderUpdate, order_refs: Iterable[str]) -> Iterable[str]:
    """Which of some orders a report may be of: a commission does not say."""
    return order_refs if isinstance(report, CommissionReport) else (report.order_ref,)
