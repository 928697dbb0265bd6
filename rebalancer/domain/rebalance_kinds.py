"""What a person may ask of a rebalance beyond "bring it to its targets". Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any

from rebalancer.domain.money import ZERO


class RebalanceMode(StrEnum):
    """How much of a rebalance is wanted."""

    FULL = "full"
    BUY_ONLY = "buy-only"
    """Invest the cash above the reserve in what is below target; sell nothing."""
    RAISE_CASH = "raise-cash"
    """Sell what is most above target until the cash reaches the reserve; buy nothing."""


@dataclass(frozen=True, slots=True)
class RebalanceKind:
    """Kind of rebalance.

    Attributes:
        amount: USD to raise beyond the reserve; 0 for the other kinds.
    """

    mode: RebalanceMode = RebalanceMode.FULL
    amount: Decimal = ZERO


_IN_TURN = {RebalanceMode.FULL: 0, RebalanceMode.BUY_ONLY: 1, RebalanceMode.RAISE_CASH: 2}
"""Cash that is raised before it is invested again would not be there."""


def unserved(
    asked: Mapping[RebalanceKind, int], done: Mapping[RebalanceKind, int], *, live: bool
) -> list[RebalanceKind]:
    """What is still to be run, in that order: the full one first, of several sums of cash the largest.

    Args:
        asked: number of the newest request for each kind.
        done: for each kind that was run, up to which number requests were known then.
        live: orders were sent; of two previews none shows what the other would.
    """
    left = [
        kind
        for kind, number in asked.items()
        if not any(known >= number and covers(ran, kind, live=live) for ran, known in done.items())
    ]
    return sorted(left, key=lambda kind: (_IN_TURN[kind.mode], -kind.amount))


def covers(done: RebalanceKind, other: RebalanceKind, *, live: bool) -> bool:
    """Whether nothing is left to do for ``other``. A larger sum holds the smaller one; but a full rebalance leaves
    alone what is within its bands, so it need not have invested the cash that ``buy-only`` is about.
    """
    return done == other or (live and done.mode is other.mode and done.amount >= other.amount)


def read_kind(data: Mapping[str, Any]) -> RebalanceKind:
    """The kind in a request's data, ``{"kind": "raise-cash", "amount": "5000"}``.

    What a strategy's channel says is for all its followers, so it is not asked; nor is what names ``exec``, as they do.

    Raises:
        ValueError: saying what can be asked for.
    """
    if "exec" in data or "kind" not in data:
        return RebalanceKind()
    if not isinstance(data["kind"], str) or data["kind"] not in frozenset(RebalanceMode):
        raise ValueError(f"unknown kind {str(data['kind'])[:40]!r}; known are {', '.join(RebalanceMode)}")
    mode = RebalanceMode(data["kind"])
    return RebalanceKind(mode, _amount(data.get("amount")) if mode is RebalanceMode.RAISE_CASH else ZERO)


def _amount(written: object) -> Decimal:
    try:
        amount = Decimal(str(written))
    except InvalidOperation:
        amount = ZERO
    if not amount.is_finite() or amount <= 0:
        raise ValueError(f"raise-cash needs an amount of USD above 0, got {str(written)[:40]!r}")
    return amount
