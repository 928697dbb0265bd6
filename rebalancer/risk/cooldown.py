"""How often an account may trade."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from rebalancer.domain.outcomes import Blocked
from rebalancer.domain.rule_names import Rule
from rebalancer.domain.trading_sessions import day_start, trading_day
from rebalancer.risk.market_hours import UNKNOWN_FOR, Calendars, HoursPolicy, opening


@dataclass(frozen=True, slots=True)
class Pace:
    """What the owner allows.

    Attributes:
        once_a_day: one rebalance per trading day.
        cooldown: from one rebalance to the next.
    """

    once_a_day: bool
    cooldown: timedelta


def too_soon(pace: Pace, last: datetime | None, now: datetime, known: Calendars, hours: HoursPolicy) -> Blocked | None:
    """Whether the newest rebalance that traded was too recently.

    Args:
        last: its first order; a moment in the future counts as today.
    """
    if last is None:
        return None
    if pace.once_a_day and trading_day(last) >= trading_day(now):
        tomorrow = day_start(trading_day(now) + timedelta(days=1))
        until = opening(known, tomorrow, hours) or tomorrow + UNKNOWN_FOR
        return Blocked(Rule.PACE, f"traded today at {last:%H:%M} UTC, once a day is allowed", until)
    if pace.cooldown and now - last < pace.cooldown:
        reason = f"traded on {last:%Y-%m-%d}, cooling down for {pace.cooldown.days} days"
        return Blocked(Rule.PACE, reason, last + pace.cooldown)
    return None
