"""Whether the gateway and we agree on what time it is."""

from __future__ import annotations

from datetime import datetime, timedelta

from rebalancer.domain.outcomes import Blocked
from rebalancer.domain.rule_names import Rule

_LOOK_AGAIN = timedelta(minutes=1)


def apart(ahead: timedelta, now: datetime, tolerance: timedelta) -> Blocked | None:
    """Hold a live run while the clocks differ: market hours, ages of quotes and the day's limits would be another's.

    Args:
        ahead: how far the gateway's clock is ahead of ours; negative: behind.
        now: ours.
    """
    if abs(ahead) <= tolerance:
        return None
    theirs = now + ahead
    reason = (
        f"{Rule.CLOCK_APART}: the gateway's clock shows {theirs:%Y-%m-%d %H:%M:%S} UTC, "
        f"ours {now:%Y-%m-%d %H:%M:%S} UTC, {abs(ahead).total_seconds():.0f} s apart "
        f"and {tolerance.total_seconds():g} s allowed; synchronise both machines' clocks"
    )
    return Blocked(Rule.CLOCK_APART, reason, now + _LOOK_AGAIN, topic=Rule.CLOCK_APART)
