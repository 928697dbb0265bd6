"""What a soak calls flat."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rebalancer.ledger.models import Base
from sandbox.endurance.census import Cost, Gathered
from sandbox.endurance.soak import Sample, judged

MINUTES = 60


def samples(
    memory: Callable[[int], float] = lambda _: 80.0,
    handles: Callable[[int], int] = lambda _: 20,
    keys: Callable[[int], int] = lambda _: 5,
    notices: Callable[[int], int] = lambda minute: 10 * minute,
) -> list[Sample]:
    """One a minute, ten events between two."""
    return [
        Sample(
            60.0 * minute,
            {"worker": Cost(3, memory(minute), 30.0, handles(minute), 8, 1.0 * minute)},
            Gathered(
                dict.fromkeys(Base.metadata.tables, 0) | {"events": 10 * minute, "notices": notices(minute)},
                connections=8,
                clients=20,
                keys=keys(minute),
                redis=1.2,
            ),
        )
        for minute in range(MINUTES)
    ]


def growing(taken: list[Sample]) -> set[str]:
    return {one.name for one in judged(taken) if not one.flat}


def test_what_stays_as_it_is_is_flat_and_history_may_grow_with_what_happens() -> None:
    assert growing(samples()) == set()


def test_what_is_loaded_in_the_first_third_is_no_leak() -> None:
    assert growing(samples(memory=lambda minute: min(60 + 4.0 * minute, 140), handles=lambda m: min(m, 19))) == set()


@pytest.mark.parametrize(
    ("taken", "name"),
    [
        (samples(memory=lambda minute: 80 + 0.5 * minute), "worker: MiB"),
        (samples(handles=lambda minute: 20 + minute // 4), "worker: handles"),
        (samples(keys=lambda minute: 5 + minute), "Redis: keys"),
        (samples(notices=lambda minute: minute * minute), "notices: rows of events"),
    ],
)
def test_what_grows_by_itself_is_named(taken: list[Sample], name: str) -> None:
    assert growing(taken) == {name}


def test_every_table_is_looked_at() -> None:
    looked_at = {one.name.partition(":")[0] for one in judged(samples()) if ": rows of " in one.name}
    assert looked_at | {"events", "orders"} == set(Base.metadata.tables)
