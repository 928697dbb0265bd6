"""What time it is at the gateway, over a socket."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from rebalancer.domain.orders import Fill, SentOrder
from rebalancer.ibkr import IbkrBroker, session
from tests.integration.ibkr.serving import ServedGateway, connected, executing, order, serving, until

TIME = 49

TOKYO = {"time_zone": "Asia/Tokyo"}
FORMS: list[dict[str, Any]] = [
    {},
    {"execution_time": "local"},
    {"execution_time": "utc"},
    {"time_zone": "America/New_York", "zone_name": "EDT"},
    TOKYO | {"zone_name": "JST"},
    TOKYO | {"execution_time": "local"},
    TOKYO | {"execution_time": "utc"},
    {"time_zone": "Asia/Shanghai", "zone_name": "China Standard Time"},
    {"time_zone": "Etc/GMT+5", "zone_name": "GMT-05:00"},
    {"time_zone": "Asia/Kathmandu", "zone_name": "Nepal Standard Time", "execution_time": "local"},
]


@pytest.fixture(params=["UTC", "Pacific/Kiritimati", "America/Chicago"])
def our_zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The zone of our machine, which must not matter."""
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("our_zone")
@pytest.mark.parametrize("gateway", FORMS)
def test_an_execution_happened_when_it_happened_whatever_the_gateway_writes(gateway: dict[str, Any]) -> None:
    with serving(gateway=gateway) as served:
        with connected(served) as broker:
            pushed = [one.at for one in executing(broker, [order("r")], 5) if isinstance(one, Fill)]
        with connected(served, 8) as later:
            listed = [one.at for one in later.trace("DU1", [SentOrder("r")])["r"].fills]
    assert len(pushed) == len(listed) == 1
    for at in (*pushed, *listed):
        assert abs(at - datetime.now(UTC)) < timedelta(seconds=5)


@pytest.mark.parametrize("ahead_s", [0, 40, -40, 7200, -7200])
def test_the_clocks_are_compared_and_the_gateways_day_begins_by_its_own(ahead_s: int) -> None:
    with serving(gateway=TOKYO | {"clock_ahead_s": ahead_s}) as served, connected(served) as broker:
        ahead = broker.clock_ahead()
        since = broker.listed_since()
    assert abs(ahead - timedelta(seconds=ahead_s)) <= timedelta(seconds=1)
    begun = (since + ahead).astimezone(ZoneInfo("Asia/Tokyo"))
    assert (begun.hour, begun.minute) == (0, 0)
    assert since <= datetime.now(UTC) < since + timedelta(days=1)


def times_asked(served: ServedGateway, broker: IbkrBroker) -> int:
    """How many questions for the time three looks at the clocks take."""
    until(lambda: served.do(lambda gateway: gateway.message_counts[TIME]) > 0)
    broker.clock_ahead()
    before = served.do(lambda gateway: gateway.message_counts[TIME])
    for _ in range(3):
        broker.clock_ahead()
    return served.do(lambda gateway: gateway.message_counts[TIME]) - before


@pytest.mark.parametrize(("ahead_s", "questions"), [(0, 0), (40, 3), (-40, 3)])
def test_clocks_that_were_in_step_a_moment_ago_are_not_compared_again(ahead_s: int, questions: int) -> None:
    with serving(gateway={"clock_ahead_s": ahead_s}) as served, connected(served) as broker:
        broker.snapshot("DU1")
        assert times_asked(served, broker) == questions


def test_clocks_are_compared_again_once_ours_was_set(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving() as served, connected(served) as broker:
        broker.snapshot("DU1")
        monkeypatch.setattr(session, "_CLOCK_SET_S", 0.0)
        assert times_asked(served, broker) == 3


def test_a_push_of_a_gateway_whose_clock_is_hours_off_is_dated_by_its_arrival() -> None:
    with serving(gateway={"clock_ahead_s": 7200}) as served, connected(served) as broker:
        (at,) = [one.at for one in executing(broker, [order("r")], 5) if isinstance(one, Fill)]
    assert abs(at - datetime.now(UTC)) < timedelta(seconds=5)
