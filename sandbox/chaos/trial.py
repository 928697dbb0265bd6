"""One trial: a story is carried out on a stage, all is healed, each strategy publishes once more, all is judged."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from rebalancer.config.settings import Settings
from rebalancer.domain.errors import RecordUnavailable, RequestRefused
from rebalancer.domain.money import ZERO
from rebalancer.ledger.queries import invariants
from rebalancer.ledger.states import SignalState
from rebalancer.operations import halts_and_approvals
from rebalancer.services import Services
from sandbox.chaos.cast import CASH, STRATEGIES
from sandbox.chaos.judge import AccountCase, Case, findings
from sandbox.chaos.story import Begin, Publish, Step, Story
from sandbox.chaos.strikes import STRIKES
from sandbox.fault_trials.stage import Stage

REBALANCE = '{"exec": "rebalance"}'
PATIENCE_S = 90.0
POLL_S = 0.25
PERSON = "trial"
SECRETS = ("ALLOCATIONS_API_KEY", "MANAGEMENT_API_KEY")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of it.

    Attributes:
        findings: one sentence for each broken promise.
        resumed: halts that the trial, as a person would, has lifted, and plans that it has approved: why each waited.
        calm_s: from the last publication until nothing was left to do.
    """

    findings: Sequence[str]
    resumed: Sequence[str]
    calm_s: float
    orders: int


class Trial:
    """Over a stage that is up and new."""

    def __init__(self, stage: Stage, story: Story) -> None:
        self._stage = stage
        self._story = story
        self._published: dict[str, list[str]] = {strategy: [] for strategy in STRATEGIES}
        self._targets = {strategy: [weights] for strategy, weights in stage.cast.targets.items()}
        self._resumed: list[str] = []
        self._services = Services.of(Settings.of_environment(stage.stack.site.environment))

    def run(self) -> Outcome:
        """Carry out the story, heal, publish once more, wait for calm, judge."""
        started, steps = time.monotonic(), self._story.steps
        for step in steps:
            time.sleep(max(0.0, started + step.at_s - time.monotonic()))  # the story's own times
            self._carry_out(step)
        self._heal(steps)
        for strategy, targets in self._story.last.items():
            self._set(strategy, targets)
            self._publish(strategy, twice=True)
        healed = time.monotonic()
        stuck = self._wait_for_calm()
        calm_s = time.monotonic() - healed
        case = self._case(sum(STRIKES[begun.kind].changes_accounts for begun in _struck(steps)))
        found = [*stuck, *self._signals(), *findings(case), *self._told_secrets()]
        return Outcome(found, self._resumed, calm_s, len(case.books["orders"]))

    def _carry_out(self, step: Step) -> None:
        if isinstance(step, Publish):
            if step.targets is not None:
                self._set(step.strategy, step.targets)
            self._publish(step.strategy, twice=step.twice)
            return
        strike = STRIKES[step.kind]
        act = strike.begin if isinstance(step, Begin) else strike.end
        if act is not None:
            act(self._stage, random.Random(step.seed))  # noqa: S311 - reproducible, not secret

    def _set(self, strategy: str, targets: Mapping[str, float]) -> None:
        self._stage.set_targets(strategy, targets)
        self._targets[strategy].append(targets)

    def _publish(self, strategy: str, *, twice: bool) -> None:
        self._published[strategy].append(self._stage.publish(strategy, {"data": REBALANCE}))
        if twice:
            self._stage.tell("duplicate", channel=strategy)

    def _heal(self, steps: Sequence[Step]) -> None:
        """Whatever is still broken; a second end changes nothing."""
        for begun in _struck(steps):
            if (end := STRIKES[begun.kind].end) is not None:
                end(self._stage, random.Random(begun.seed))  # noqa: S311
        for knob in ("thaw", "come_up"):
            self._stage.tell(knob)

    def _wait_for_calm(self) -> list[str]:
        deadline = time.monotonic() + PATIENCE_S
        while left := self._left():
            if time.monotonic() > deadline:
                return left
            time.sleep(POLL_S)
        return []

    def _left(self) -> list[str]:
        """What is still to be done; halts are lifted and plans approved on the way, as by a person who has looked."""
        try:
            for halt in halts_and_approvals.halted(self._services):
                self._resumed.append(f"{halt.scope}: {halt.reason}")
                halts_and_approvals.resume(self._services, halt.scope, PERSON)
            for plan in halts_and_approvals.waiting(self._services):
                self._resumed.append(f"{plan.account_id}: {'; '.join(plan.reasons)}")
                halts_and_approvals.approve(self._services, plan.event_id, PERSON)
            with self._stage.ledger.begin() as session:
                known = {row.message_id for row in invariants.recorded(session, list(STRATEGIES))}
                active = invariants.active(session) - invariants.waiting_for_settlement(session)
        except (RecordUnavailable, RequestRefused) as error:
            return [f"the ledger is away: {error}"]
        unknown = {message for messages in self._published.values() for message in messages} - known
        unheard = [f"{len(unknown)} messages are not on record"] if unknown else []
        return [*unheard, *([f"{active} events are not finished"] if active else [])]

    def _signals(self) -> Iterator[str]:
        with self._stage.ledger.begin() as session:
            rows = invariants.recorded(session, list(STRATEGIES))
            unserved, repeated = invariants.unserved(session), invariants.repeated(session)
            overlapping, waiting = invariants.overlaps(session), invariants.waiting_for_settlement(session)
        for row in rows:
            if row.state is not SignalState.ACCEPTED:
                yield f"message {row.message_id} of {row.channel} is {row.state}"
        for strategy, messages in self._published.items():
            heard = [row.message_id for row in rows if row.channel == strategy]
            if len(set(heard)) != len(heard):
                yield f"{strategy}: {len(heard) - len(set(heard))} messages are on record twice"
            for lost in set(messages) - set(heard):
                yield f"{strategy}: message {lost} is lost"
        if unserved and not waiting:
            yield f"{len(unserved)} signals were never served: {unserved}"
        for event_id, number in repeated:
            yield f"event {event_id} was served again by attempt {number} without a new request"
        for overlap in overlapping:
            yield f"{overlap.account_id}: two attempts at once, {overlap.first} and {overlap.second}"

    def _told_secrets(self) -> Iterator[str]:
        environment = self._stage.stack.site.environment
        for state in self._stage.stack.programs():
            log = self._stage.log(state.name)
            yield from (f"the log of {state.name} shows {name}" for name in SECRETS if environment[name] in log)

    def _case(self, edits: int) -> Case:
        scenario = self._stage.cast.scenario or {}
        with self._stage.ledger.begin() as session:
            orders = invariants.orders_on_record(session)
        return Case(
            accounts={
                entry["account_id"]: AccountCase(
                    cash=Decimal(str(scenario["accounts"][entry["account_id"]]["cash"])),
                    positions={
                        symbol: Decimal(held["quantity"])
                        for symbol, held in scenario["accounts"][entry["account_id"]]["positions"].items()
                    },
                    reserve_percent=Decimal(str(entry.get("cash_reserve_percent", ZERO))),
                    targets=[
                        {symbol: Decimal(str(weight)) for symbol, weight in one.items()}
                        for one in self._targets[entry["strategy_name"]]
                    ],
                    trades_unsettled=entry["account_id"] not in CASH,
                )
                for entry in self._stage.cast.accounts
            },
            books=self._stage.ask_gateway("GET", "/state"),
            prices={name: Decimal(str(one["price"])) for name, one in scenario["instruments"].items()},
            orders=orders,
            edits=edits,
        )


def _struck(steps: Sequence[Step]) -> list[Begin]:
    return [step for step in steps if isinstance(step, Begin)]
