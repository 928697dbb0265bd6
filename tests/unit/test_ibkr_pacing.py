"""Pacing: never above the limit in any second, orders first, nothing lost, nothing reordered within its kind."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rebalancer.ibkr.pacing import Pacer


def run(arrivals: list[tuple[float, bool]], limit: int, reserve: int) -> list[tuple[float, str]]:
    """Send everything, waking when the pacer says; gives (time, message)."""
    pacer = Pacer(limit, reserve)
    waiting = sorted(enumerate(arrivals), key=lambda item: item[1][0])
    sent: list[tuple[float, str]] = []
    now = 0.0
    while waiting or pacer.next_at() is not None:
        next_at = pacer.next_at()
        now = min(moment for moment in (waiting[0][1][0] if waiting else None, next_at) if moment is not None)
        while waiting and waiting[0][1][0] <= now:
            number, (_, urgent) = waiting.pop(0)
            pacer.add(f"{'u' if urgent else 'o'}{number:03}", urgent=urgent)
        sent += [(now, message) for message in pacer.due(now)]
    return sent


arrivals = st.lists(st.tuples(st.floats(0, 3), st.booleans()), max_size=60)


@given(arrivals, st.integers(2, 8), st.integers(0, 3))
def test_no_second_exceeds_the_limit(arrivals: list[tuple[float, bool]], limit: int, reserve: int) -> None:
    times = [moment for moment, _ in run(arrivals, limit, reserve)]
    assert all(later - earlier > 1 for earlier, later in zip(times, times[limit:], strict=False))


@given(arrivals, st.integers(2, 8), st.integers(0, 3))
def test_everything_is_sent_once_in_the_order_of_its_kind(
    arrivals: list[tuple[float, bool]], limit: int, reserve: int
) -> None:
    sent = [message for _, message in run(arrivals, limit, reserve)]
    assert len(sent) == len(set(sent)) == len(arrivals)
    for urgent in (True, False):
        in_time = sorted((moment, number) for number, (moment, kind) in enumerate(arrivals) if kind == urgent)
        kind = "u" if urgent else "o"
        assert [message for message in sent if message[0] == kind] == [f"{kind}{number:03}" for _, number in in_time]


@given(arrivals, st.integers(2, 8), st.integers(0, 3), st.floats(0, 3))
def test_an_urgent_message_leaves_at_once_when_there_is_room(
    arrivals: list[tuple[float, bool]], limit: int, reserve: int, now: float
) -> None:
    pacer = Pacer(limit, reserve)
    for moment, urgent in sorted(arrivals):
        if moment <= now:
            pacer.add("earlier", urgent=urgent)
            pacer.due(moment)
    pacer.due(now)
    while (free_at := pacer.urgent_at(now)) > now:
        now = free_at
        pacer.due(now)
    pacer.add("an order", urgent=True)
    assert pacer.due(now)[0] == "an order"


def test_urgent_messages_overtake_and_use_the_reserve() -> None:
    pacer = Pacer(limit=4, reserve=1)
    for number in range(5):
        pacer.add(f"o{number}", urgent=False)
    assert pacer.due(0.0) == ["o0", "o1", "o2"]
    pacer.add("u0", urgent=True)
    pacer.add("u1", urgent=True)
    assert pacer.due(0.1) == ["u0"]
    assert pacer.next_at() == 1.001
    assert pacer.due(1.001) == ["u1", "o3"], "o4 must leave the reserve to urgent messages"
    assert pacer.due(pacer.next_at() or 0) == ["o4"]
    assert pacer.next_at() is None
