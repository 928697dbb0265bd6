"""A replay in words, the same wherever it is shown."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from rebalancer.replay.runs import Replay, Skipped

SENTENCES = {
    Skipped.UNRECORDED: "were recorded before the planner's inputs were kept: they count as they were",
    Skipped.CONVERTS: "convert currencies, and were recorded before what decides on that was kept: they count as they "
    "were",
    Skipped.NOT_CARRIED_OUT: "were not carried out: held, refused, or planned anew",
    Skipped.CHANGED_PLANNER: "come out otherwise by this version of the program, whatever the settings: they count as "
    "they were",
    Skipped.REFUSED: "would have been refused: nothing would have been traded",
    Skipped.UNPRICED: "cannot be made anew, since what the account would have held has no price on record: they count "
    "as they were",
}


@dataclass(frozen=True, slots=True)
class Row:
    """A figure beside what it would have been; ``None`` where there is no plan."""

    name: str
    unit: Literal["count", "usd", "fraction"]
    was: Decimal | None
    would: Decimal | None


def rows(replay: Replay) -> tuple[Row, ...]:
    """What is compared."""
    was, would = replay.was, replay.would
    return (
        Row("orders", "count", Decimal(was.orders), Decimal(would.orders)),
        Row("turnover", "usd", was.turnover, would.turnover),
        Row("spread", "usd", was.spread, would.spread),
        Row("commission", "usd", was.commission, would.commission),
        Row("cost", "usd", was.cost, would.cost),
        Row("drift found, mean", "fraction", was.mean_drift_found, would.mean_drift_found),
        Row("drift left, mean", "fraction", was.mean_drift_left, would.mean_drift_left),
    )


def notes(replay: Replay) -> Iterator[str]:
    """What is and is not compared."""
    compared = replay.was.plans
    differ = sum(step.differs for step in replay.steps)
    yield f"{compared} of {len(replay.steps)} recorded plans are compared, {differ} differ"
    for reason, count in replay.skipped().items():
        yield f"{count} {SENTENCES[reason]}"
    for step in replay.steps:
        if step.why is not None:
            yield f"{step.account_id}, {step.at:%Y-%m-%d}: {step.why}"
