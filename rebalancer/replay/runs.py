"""The plans of one account, one after the other, once more by other rules.

What differs is carried on: an account that a run would not have traded comes to its next run as it was, with the cash,
the prices and the other trades that are on record. So nothing has to be assumed of fills, deposits and dividends, and
without a change nothing differs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from rebalancer.domain.errors import QuoteUnavailable, Refused
from rebalancer.domain.portfolio import Quote
from rebalancer.domain.units import NO_USD, Usd
from rebalancer.planning.changed_rules import RuleChanges
from rebalancer.planning.checks import exact_arithmetic
from rebalancer.planning.conversion import ConvertedPlan, Exchange
from rebalancer.planning.conversion_terms import ConversionTerms, plan_with_conversions
from rebalancer.planning.inputs import PlanInputs
from rebalancer.planning.recorded import differences
from rebalancer.planning.recorded_conversions import conversion_record
from rebalancer.replay.departure import Departure
from rebalancer.replay.figures import Figures


@dataclass(frozen=True, slots=True)
class RecordedRun:
    """A plan of a live run, as it is on record.

    Attributes:
        inputs: ``None`` where the record is older than their keeping.
        plan: as recorded.
        terms: of its conversions; ``None`` where nothing could be converted.
        carried_out: its orders were sent, or it had none and the run succeeded; else it was held, or planned anew.
    """

    account_id: str
    event_id: UUID
    at: datetime
    inputs: PlanInputs | None
    plan: Mapping[str, Any]
    carried_out: bool
    terms: ConversionTerms | None = None


class Skipped(StrEnum):
    """Why a recorded plan is not compared."""

    UNRECORDED = "unrecorded"
    """Its record was written before the planner's inputs were kept."""
    CONVERTS = "converts"
    """Cash in another currency counts in it, and its record was written before what decides on that was kept."""
    NOT_CARRIED_OUT = "not-carried-out"
    CHANGED_PLANNER = "changed-planner"
    """Today's planner makes another plan of the same inputs."""
    REFUSED = "refused"
    """By the other rules there is no plan."""
    UNPRICED = "unpriced"
    """What the account would hold instead has no price on record."""


@dataclass(frozen=True, slots=True)
class Step:
    """One plan beside what it would have been.

    Attributes:
        why: in words, where it is skipped.
    """

    account_id: str
    event_id: UUID
    at: datetime
    was: Figures | None = None
    would: Figures | None = None
    skipped: Skipped | None = None
    why: str | None = None

    @property
    def differs(self) -> bool:
        """Whether the two plans do."""
        return self.was != self.would


@dataclass(frozen=True, slots=True)
class Replay:
    """All of them.

    Attributes:
        worth: USD that the account would be worth more (+) or less at its newest run, costs included, dividends of what
            it would hold instead not; ``None`` where a price is missing.
    """

    steps: tuple[Step, ...]
    worth: Usd | None = NO_USD

    @property
    def was(self) -> Figures:
        """What was, of the plans that are compared."""
        return Figures.total(step.was for step in self.steps if step.was)

    @property
    def would(self) -> Figures:
        """What would have been."""
        return Figures.total(step.would for step in self.steps if step.would)

    def skipped(self) -> dict[Skipped, int]:
        """How many plans are not compared, by reason."""
        counts = {reason: sum(step.skipped is reason for step in self.steps) for reason in Skipped}
        return {reason: count for reason, count in counts.items() if count}


@dataclass(slots=True)
class _Account:
    """One account on its way through its runs."""

    changes: RuleChanges
    departure: Departure = field(default_factory=Departure)
    worth: Usd | None = NO_USD

    def step(self, run: RecordedRun) -> Step:
        made = Step(run.account_id, run.event_id, run.at)
        if not run.carried_out:
            return replace(made, skipped=Skipped.NOT_CARRIED_OUT)
        if run.inputs is None:
            return replace(made, skipped=Skipped.CONVERTS if "conversion" in run.plan else Skipped.UNRECORDED)
        try:
            return self._compared(made, run, run.inputs)
        except QuoteUnavailable as unpriced:
            self.worth = None
            return replace(made, skipped=Skipped.UNPRICED, why=str(unpriced))

    def _compared(self, made: Step, run: RecordedRun, inputs: PlanInputs) -> Step:
        terms, quotes = run.terms, inputs.quotes
        exchange = None if terms is None else terms.exchange
        was = _plan(inputs, terms)
        if isinstance(was, Refused) or _differs(was, exchange, run.plan):
            return replace(made, skipped=Skipped.CHANGED_PLANNER)
        with exact_arithmetic():
            self.departure = self.departure.fitted(inputs.snapshot, quotes, exchange)
            snapshot = self.departure.applied(inputs.snapshot, quotes, terms)
            would = _plan(self.changes.of(replace(inputs, snapshot=snapshot)), self.departure.terms(terms))
            self.departure = _after(self.departure, None if isinstance(would, Refused) else would, was, exchange)
            self.worth = self.departure.worth(quotes, exchange)
            if isinstance(would, Refused):
                return replace(made, skipped=Skipped.REFUSED, why=would.reason)
            return replace(made, was=_figures(was, quotes, exchange), would=_figures(would, quotes, exchange))


def replay(runs: Iterable[RecordedRun], changes: RuleChanges) -> Replay:
    """The runs of one account, oldest first, by changed rules."""
    account = _Account(changes)
    steps = tuple(account.step(run) for run in runs)
    return Replay(steps, account.worth)


def together(replays: Iterable[Replay]) -> Replay:
    """Those of several accounts, by time."""
    found = list(replays)
    worths = [one.worth for one in found]
    known = [worth for worth in worths if worth is not None]
    steps = sorted(_steps(found), key=lambda step: (step.at, step.account_id))
    return Replay(tuple(steps), Usd(sum(known, NO_USD)) if len(known) == len(worths) else None)


def _steps(replays: Iterable[Replay]) -> Iterator[Step]:
    for one in replays:
        yield from one.steps


def _plan(inputs: PlanInputs, terms: ConversionTerms | None) -> ConvertedPlan | Refused:
    try:
        return plan_with_conversions(inputs, terms)
    except Refused as refusal:
        return refusal


def _differs(made: ConvertedPlan, exchange: Exchange | None, record: Mapping[str, Any]) -> bool:
    converted = None if exchange is None else conversion_record(exchange, made.conversion, made.back)
    return record.get("conversion") != converted or any(differences(made.plan, record))


def _after(
    departure: Departure, would: ConvertedPlan | None, was: ConvertedPlan, exchange: Exchange | None
) -> Departure:
    departure = departure.after(would.plan.orders if would else (), was.plan.orders)
    if exchange is None:
        return departure
    return departure.after_exchanges(would.exchanges if would else (), was.exchanges, exchange)


def _figures(made: ConvertedPlan, quotes: Mapping[str, Quote], exchange: Exchange | None) -> Figures:
    exchanged = [Figures.of_exchange(order, exchange) for order in made.exchanges] if exchange else []
    return Figures.total([Figures.of(made.plan, quotes), *exchanged])
