"""Does a style pay? What orders cost by month and by how they were worked.

What a style leaves over walks to its end because of it, so that these orders are its own: a patient style is not made
cheap by what it did not fill. What the broker or a rule kept from a style was worked otherwise, and counts there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal, localcontext
from statistics import median
from typing import Any
from uuid import UUID

from rebalancer.costs.records import summary_record
from rebalancer.costs.shortfall import SentOrder
from rebalancer.costs.summary import CostSummary, Sums, month_of
from rebalancer.domain.money import EXACT, ZERO
from rebalancer.domain.order_styles import OrderStyle
from rebalancer.domain.units import Ratio

Job = tuple[UUID, int, str]
"""What one run traded of one symbol, in however many orders."""


@dataclass(frozen=True, slots=True)
class StyleCosts:
    """A month of one style.

    Attributes:
        costs: of its orders and of the walks that they left.
        filled: part of what its own orders asked for that these filled; the rest walked, or was given up.
        seconds: from the first order for a symbol to its last execution, the median.
        fell_back: symbols of a run that it left over, or that the broker or a rule kept from it.
    """

    month: str
    style: str
    costs: CostSummary
    filled: Ratio | None
    seconds: Decimal | None
    fell_back: int


@dataclass(slots=True)
class _Month:
    """One style's month on its way."""

    sums: Sums = field(default_factory=Sums)
    own: Sums = field(default_factory=Sums)
    jobs: dict[Job, tuple[datetime, datetime | None]] = field(default_factory=dict)
    fell_back: set[Job] = field(default_factory=set)

    def add(self, order: SentOrder, job: Job, *, own: bool) -> None:
        self.sums.add(order)
        if own:
            self.own.add(order)
        began, ended = self.jobs.get(job, (order.at, None))
        self.jobs[job] = began, max(filter(None, (ended, order.ended_at)), default=None)

    def costs(self, month: str, style: str) -> StyleCosts:
        took = [_seconds(ended - began) for began, ended in self.jobs.values() if ended]
        return StyleCosts(
            month=month,
            style=style,
            costs=self.sums.summary(style),
            filled=self.own.summary(style).filled,
            seconds=median(took) if took else None,
            fell_back=len(self.fell_back),
        )


def _seconds(taken: timedelta) -> Decimal:
    """The broker's times are whole seconds: an order that filled at once seems to have done so before it was sent."""
    return max(Decimal(str(taken.total_seconds())), ZERO)


@dataclass(slots=True)
class StyleTable:
    """Adds orders up by month and style as they pass by, the oldest first.

    Attributes:
        chosen: one of them was given a style; else there is nothing to compare.
    """

    chosen: bool = False
    _months: dict[tuple[str, str], _Month] = field(default_factory=dict)

    def watching(self, orders: Iterable[SentOrder]) -> Iterator[SentOrder]:
        """The same orders."""
        for order in orders:
            with localcontext(EXACT):
                self._add(order)
            yield order

    def _add(self, order: SentOrder) -> None:
        month, job = month_of(order), (order.event_id, order.attempt, order.symbol)
        left_by = order.instead_of if order.style == OrderStyle.WALK else None
        self.chosen = self.chosen or order.chosen
        self._month(month, left_by or order.style).add(order, job, own=left_by is None)
        if order.instead_of is not None:
            self._month(month, order.instead_of).fell_back.add(job)

    def _month(self, month: str, style: str) -> _Month:
        return self._months.setdefault((month, style), _Month())

    @property
    def rows(self) -> tuple[StyleCosts, ...]:
        """The newest month first, in it the dearest style."""
        found = [one.costs(*key) for key, one in self._months.items()]
        found.sort(key=lambda one: (one.month, one.costs.shortfall.basis_points() or Decimal(0)), reverse=True)
        return tuple(found)


def by_style(orders: Iterable[SentOrder]) -> tuple[StyleCosts, ...]:
    """All months of all styles."""
    found = StyleTable()
    for _ in found.watching(orders):
        pass
    return found.rows


def style_record(one: StyleCosts) -> Mapping[str, Any]:
    """Field by field, as :func:`~rebalancer.costs.records.summary_record` with what a style has besides."""
    costs = summary_record(one.costs)
    del costs["key"]
    return {
        "month": one.month,
        "style": one.style,
        **costs,
        "filled": None if one.filled is None else round(one.filled, 4),
        "seconds": None if one.seconds is None else round(one.seconds, 1),
        "fell_back": one.fell_back,
    }
