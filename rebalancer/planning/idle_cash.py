"""Cash that lies about: how long an account has had more of it than reserve and targets want. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from rebalancer.domain.units import Ratio
from rebalancer.planning.weights import weigh

LEAST = Ratio(Decimal("0.005"))
"""Of investable equity: whole shares leave about as much."""
FRESH = timedelta(days=4)
"""Nothing is bought for cash that was last seen longer ago: a weekend and a holiday."""


@dataclass(frozen=True, slots=True)
class CashLook:
    """Cash at one moment.

    Attributes:
        spare: what is beyond the reserve and the share that the targets leave in cash, as a fraction of investable
            equity.
    """

    at: datetime
    spare: Ratio


def cash_look(
    at: datetime, plan: Mapping[str, Any] | None, positions: Sequence[Mapping[str, Any]], cash: Decimal
) -> CashLook | None:
    """A look as it is on record; ``None`` without a plan, which says how much is wanted."""
    lines = weigh(plan, positions, cash)
    return CashLook(at, Ratio(lines[-1].drift)) if lines else None


def idle_since(looks: Sequence[CashLook]) -> datetime | None:
    """From when on each look has shown idle cash, up to the newest; ``None`` if that shows none.

    Args:
        looks: oldest first.
    """
    since = None
    for look in reversed(looks):
        if look.spare < LEAST:
            break
        since = look.at
    return since


def is_due(looks: Sequence[CashLook], now: datetime, wait: timedelta) -> bool:
    """Whether cash has been idle for so long that it is to be invested."""
    since = idle_since(looks)
    return since is not None and now - since >= wait and now - looks[-1].at <= FRESH
