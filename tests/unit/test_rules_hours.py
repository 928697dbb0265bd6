"""Market hours, once a day, cool-down: what blocks and until when. Text as IBKR sends it, times in UTC."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from rebalancer.domain.orders import Instrument
from rebalancer.risk.cooldown import Pace, too_soon
from rebalancer.risk.market_hours import LAST_ORDER, UNKNOWN_FOR, HoursPolicy, calendars, closed
from tests.unit.test_planning import targets

# Thanksgiving week of 2026: closed on Thursday, half a day on Friday.
WEEK = (
    "20261123:0930-20261123:1600;20261124:0930-20261124:1600;20261125:0930-20261125:1600;20261126:CLOSED;"
    "20261127:0930-20261127:1300;20261128:CLOSED;20261129:CLOSED;20261130:0930-20261130:1600"
)
EXTENDED = "20261123:0400-20261123:2000;20261124:0400-20261124:2000"
POLICY = HoursPolicy(False, timedelta(minutes=1), timedelta(minutes=5))
NEVER = Pace(once_a_day=False, cooldown=timedelta())


def instrument(symbol: str, hours: str = WEEK) -> Instrument:
    return Instrument(symbol, 1, "ARCA", targets(x="0.01")[0].weight, "US/Eastern", hours, EXTENDED)


KNOWN = calendars([instrument("SPY"), instrument("QQQ")], POLICY)


def utc(day: int, clock: str) -> datetime:
    hour, minute = map(int, clock.split(":"))
    return datetime(2026, 11, day, hour, minute, tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "until"),
    [
        pytest.param(utc(23, "14:31"), None, id="a minute after the open"),
        pytest.param(utc(23, "20:54"), None, id="before the cut-off"),
        pytest.param(utc(23, "14:30"), utc(23, "14:31"), id="at the open"),
        pytest.param(utc(23, "08:00"), utc(23, "14:31"), id="before the open"),
        pytest.param(utc(23, "20:55"), utc(24, "14:31"), id="within the cut-off"),
        pytest.param(utc(25, "22:00"), utc(27, "14:31"), id="the day before a holiday"),
        pytest.param(utc(27, "17:55"), utc(30, "14:31"), id="half a day, before a weekend"),
        pytest.param(utc(30, "23:00"), utc(30, "23:00") + UNKNOWN_FOR, id="after all that is known"),
    ],
)
def test_orders_wait_for_the_market(now: datetime, until: datetime | None) -> None:
    blocked = closed(KNOWN, now, POLICY)
    assert (blocked and blocked.until) == until
    assert blocked is None or blocked.reason.startswith("market closed for QQQ, SPY")


def test_all_symbols_have_to_be_open_at_once() -> None:
    late = instrument("XYZ", "20261123:1100-20261123:1200;20261124:0930-20261124:1600")
    known = calendars([instrument("SPY"), late], POLICY)
    blocked = closed(known, utc(23, "15:00"), POLICY)
    assert blocked is not None
    assert (blocked.until, "SPY" in blocked.reason) == (utc(23, "16:01"), False)


def test_extended_hours_as_configured() -> None:
    extended = HoursPolicy(True, POLICY.delay, POLICY.cutoff)
    assert closed(calendars([instrument("SPY")], extended), utc(23, "10:00"), extended) is None


@pytest.mark.parametrize(
    ("last", "now", "until"),
    [
        pytest.param(utc(23, "14:40"), utc(23, "18:00"), utc(24, "14:31"), id="the same day"),
        pytest.param(utc(24, "01:00"), utc(24, "04:00"), utc(24, "14:31"), id="the same day in New York"),
        pytest.param(utc(25, "15:00"), utc(25, "18:00"), utc(27, "14:31"), id="the day before a holiday"),
        pytest.param(utc(23, "20:00"), utc(24, "14:40"), None, id="the next day"),
        pytest.param(utc(25, "15:00"), utc(24, "18:00"), utc(25, "14:31"), id="a clock that went back"),
        pytest.param(None, utc(24, "14:40"), None, id="never"),
    ],
)
def test_once_a_day_waits_for_the_next_open(last: datetime | None, now: datetime, until: datetime | None) -> None:
    blocked = too_soon(Pace(True, timedelta()), last, now, KNOWN, POLICY)
    assert (blocked and blocked.until) == until
    assert too_soon(NEVER, last, now, KNOWN, POLICY) is None


def test_an_account_cools_down() -> None:
    pace = Pace(False, timedelta(days=7))
    blocked = too_soon(pace, utc(20, "15:00"), utc(24, "15:00"), KNOWN, POLICY)
    assert blocked is not None
    assert blocked.until == utc(27, "15:00")
    assert too_soon(pace, utc(20, "15:00"), utc(27, "15:00"), KNOWN, POLICY) is None


@pytest.mark.parametrize(("cutoff", "kept"), [(timedelta(minutes=5), LAST_ORDER), (timedelta(), timedelta())])
def test_later_orders_of_a_run_use_the_time_that_was_kept_for_them(cutoff: timedelta, kept: timedelta) -> None:
    policy = HoursPolicy(True, timedelta(minutes=1), cutoff)
    assert policy.under_way == HoursPolicy(True, timedelta(), kept)
