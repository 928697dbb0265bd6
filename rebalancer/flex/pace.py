"""When the Flex web service is asked; pure."""

from __future__ import annotations

from datetime import datetime, time, timedelta

from rebalancer.domain.trading_sessions import from_new_york, trading_day

_MORNINGS = frozenset({1, 2, 3, 4, 5})
"""Tuesday to Saturday: the day before had a market."""
NOT_YET = timedelta(hours=1)
"""After a statement that has nothing new: it comes late, or the day before was a holiday."""
FIRST_LOOK = timedelta(seconds=5)
"""From asking for a statement until asking whether it is made."""
PATIENCE = timedelta(minutes=15)
"""A statement that is not made by then is asked for anew."""
TOO_FAST = timedelta(seconds=61)
"""Ten questions in a minute are allowed, of each token."""
FOR_A_PERSON = timedelta(hours=1)
_FIRST_PAUSE, _LONGEST_PAUSE = timedelta(minutes=5), timedelta(hours=1)


def next_morning(now: datetime, at: time) -> datetime:
    """When the next day's statement should be there: ``at`` is by New York's clocks."""
    days = (trading_day(now) + timedelta(days=number) for number in range(8))
    mornings = (from_new_york(datetime.combine(day, at)) for day in days if day.weekday() in _MORNINGS)
    return next(moment for moment in mornings if moment > now)


def again_after(waited: timedelta) -> timedelta:
    """Until the next question for a statement that was not made after so long: at first soon, then each minute."""
    return min(max(waited, FIRST_LOOK), TOO_FAST)


def pause_after(failures: int) -> timedelta:
    """After so many failures in a row."""
    return min(_FIRST_PAUSE * (1 << min(failures, 10)), _LONGEST_PAUSE)
