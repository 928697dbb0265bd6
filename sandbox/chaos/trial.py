"""One trial: a story is carried out on a stage, all is healed, each strategy publishes once more, all is judged."""

from __future__ import annotations

import random
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from rebalancer.domain.cash_plans import CashPlan, CashPlanState
from rebalancer.domain.errors import RecordUnavailable, RequestRefused
from rebalancer.domain.money import HUNDRED, ONE, ZERO
from rebalancer.domain.strategy_holds import HoldState
from rebalancer.domain.trading_sessions import trading_day
from rebalancer.ledger import sources
from rebalancer.ledger.queries import invariants
from rebalancer.ledger.queries.invariants import OrderOnRecord
from rebalancer.ledger.states import SignalState
from rebalancer.operations import cash_plans, halts_and_approvals, strategy_holds
from sandbox.chaos import people
from sandbox.chaos.cast import CASH, ELSEWHERE, FREED, STRATEGIES
from sandbox.chaos.judge import AccountCase, Case, findings
from sandbox.chaos.people import PERSON
from sandbox.chaos.proof import unproved
from sandbox.chaos.story import Begin, PayOut, Publish, Step, Story
from sandbox.chaos.strikes import STRIKES
from sandbox.fault_trials.stage import Stage

REBALANCE = '{"exec": "rebalance"}'
POLL_S = 0.25
PATIENCE_S = 90.0
"""How long the product may take, when all is healed and the last signal is out."""
SPLIT_S = 30.0
"""Longer than holdings and last closes take to follow one."""
SECRETS = ("ALLOCATIONS_API_KEY", "MANAGEMENT_API_KEY", "REALTIME_API_KEY")
FUND_CASH = Decimal("0.1")
"""Part of a reserve in a fund that stays cash, docs/blends.md says."""
OF_TABLE = "source:"
"""What beat puts on record when a table has changed."""
CAUGHT_UP = "gap:"
"""What the listener itself puts on record where signals may have been missed."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of it.

    Attributes:
        findings: one sentence for each broken promise.
        resumed: halts that the trial, as a person would, has lifted, and plans that it has approved: why each waited.
        calm_s: from the last publication until nothing was left to do.
        recoveries: of each strike its kind, and the seconds from its end until everything that had been published by
            then was served; what waits for the settlement of sales left aside.
        broke_off: it was not carried through; its findings say nothing of the product.
    """

    findings: Sequence[str]
    resumed: Sequence[str]
    calm_s: float
    orders: int
    recoveries: Sequence[tuple[str, float]] = ()
    broke_off: bool = False


class Trial:
    """Over a stage that is up and new."""

    def __init__(self, stage: Stage, story: Story) -> None:
        self._stage = stage
        self._story = story
        self._published: dict[str, dict[str, datetime]] = {strategy: {} for strategy in STRATEGIES}
        self._over: dict[int, datetime] = {}
        self._targets: list[Mapping[str, Mapping[str, float]]] = [stage.cast.targets]
        self._resumed: list[str] = []

    def run(self) -> Outcome:
        """Carry out the story, heal, publish once more, wait for calm, judge."""
        started, begun, steps = time.monotonic(), trading_day(datetime.now(UTC)), self._story.steps
        for step in steps:
            self._stage.rest(started + step.at_s - time.monotonic())  # the story's own times
            self._carry_out(step)
            if isinstance(step, Begin) and (STRIKES[step.kind].amid_orders or STRIKES[step.kind].overnight):
                started = max(started, time.monotonic() - step.at_s)  # it waited for its moment
        self._heal(steps)
        for strategy, targets in self._story.last.items():
            self._set(strategy, targets)
            self._publish(strategy, twice=True)
        healed = time.monotonic()
        stuck = self._wait_for_calm()
        calm_s = time.monotonic() - healed
        stuck = stuck or self._idle_cash()
        cases = self._cases([one.kind for one in _struck(steps)])
        accounts = {account_id: one for case in cases for account_id, one in case.books["accounts"].items()}
        came_out = [finding for case in cases for finding in findings(case)]
        found = [
            *stuck,
            *self._record_of_signals(),
            *self._service(accounts),
            *came_out,
            *unproved(self._stage, begun),
            *self._told_secrets(),
        ]
        orders = sum(len(case.books["orders"]) for case in cases)
        return Outcome(found, self._resumed, calm_s, orders, self._recoveries(steps))

    def _carry_out(self, step: Step) -> None:
        if isinstance(step, PayOut):
            people.pay_out(self._stage, step.account_id, step.amount)
            return
        if isinstance(step, Publish):
            if step.targets is not None:
                self._set(step.strategy, step.targets)
            self._publish(step.strategy, twice=step.twice)
            return
        strike = STRIKES[step.kind]
        act = strike.begin if isinstance(step, Begin) else strike.end
        if act is not None:
            act(self._stage, random.Random(step.seed))  # noqa: S311 - reproducible, not secret
        self._over[step.seed] = datetime.now(UTC)

    def _set(self, strategy: str, targets: Mapping[str, float]) -> None:
        self._stage.set_targets(strategy, targets)
        self._targets.append({**self._targets[-1], strategy: targets})

    def _publish(self, strategy: str, *, twice: bool) -> None:
        if strategy in self._stage.cast.tables:
            self._stage.show_table(strategy)
            return
        self._published[strategy][self._stage.publish(strategy, {"data": REBALANCE})] = datetime.now(UTC)
        if twice:
            self._stage.repeat(strategy)

    def _heal(self, steps: Sequence[Step]) -> None:
        """Whatever is still broken; a second end changes nothing."""
        self._stage.go_on()
        for begun in _struck(steps):
            if (end := STRIKES[begun.kind].end) is not None:
                end(self._stage, random.Random(begun.seed))  # noqa: S311
        for knob in ("thaw", "come_up"):
            self._stage.tell(knob)
        for begun in _struck(steps):
            if STRIKES[begun.kind].overnight:
                STRIKES[begun.kind].begin(self._stage, random.Random(begun.seed))  # noqa: S311
        self._stage.wait_until(self._splits_are_over, SPLIT_S, poll_s=POLL_S)

    def _splits_are_over(self) -> bool:
        """Until then a stock that is no target is left alone by whoever holds it."""
        return all(split["close_at"] for books in self._stage.books() for split in books["splits"])

    def _idle_cash(self) -> list[str]:
        """Owners keep less from now on, and nothing is published: what lies idle then is seen, and invested days later.
        What is still to be done after that.
        """
        self._stage.write_accounts([self._at_last(entry) for entry in self._stage.cast.accounts])
        stuck: list[str] = []
        for _ in range(2):
            people.look_at_cash(self._stage)
            stuck = stuck or self._wait_for_calm()
        return stuck

    @staticmethod
    def _at_last(entry: Mapping[str, Any]) -> dict[str, Any]:
        return {**entry, **FREED.get(entry["account_id"], {})}

    def _cash_plans(self) -> Iterator[tuple[CashPlan, bool]]:
        """Those in force, and whether their cash was raised, or has to be: where nobody has removed the event or
        switched the account off.
        """
        spared = not any(STRIKES[begun.kind].ends_requests for begun in _struck(self._story.steps))
        for plan in cash_plans.in_force(self._stage.services):
            yield plan, spared or plan.state is CashPlanState.RAISED

    def _wait_for_calm(self) -> list[str]:
        left: list[str] = []

        def calm() -> bool:
            left[:] = self._left()
            return not left

        self._stage.wait_until(calm, PATIENCE_S, poll_s=POLL_S)
        return left

    def _left(self) -> list[str]:
        """What is still to be done; on the way halts are lifted, plans approved and strategies let go, as by a person
        who has looked.
        """
        try:
            services = self._stage.services
            for halt in halts_and_approvals.halted(services):
                self._resumed.append(f"{halt.scope}: {halt.reason}")
                halts_and_approvals.resume(services, halt.scope, PERSON)
            for plan in halts_and_approvals.waiting(services):
                self._resumed.append(f"{plan.account_id}: {'; '.join(plan.reasons)}")
                halts_and_approvals.approve(services, plan.event_id, PERSON)
            for hold in strategy_holds.held(services):
                if hold.state is HoldState.ASKED:
                    self._resumed.append(f"{hold.strategy}: {'; '.join(hold.reasons)}")
                    strategy_holds.release(services, hold.id, PERSON)
            with self._stage.ledger.begin() as session:
                known = {row.message_id for row in invariants.recorded(session, list(STRATEGIES))}
                active = invariants.active(session) - len(invariants.waiting_for_settlement(session))
            planned = sum(plan.state is CashPlanState.PLANNED for plan in cash_plans.in_force(services))
            tables = [f"the table of {strategy} is not accepted" for strategy in self._stage.unread_tables()]
        except (RecordUnavailable, RequestRefused) as error:
            return [f"the ledger is away: {error}"]
        unknown = {message for messages in self._published.values() for message in messages} - known
        unheard = [f"{len(unknown)} messages are not on record"] if unknown else []
        unasked = [f"{planned} sums of cash by a day are not asked for"] if planned else []
        return [*unheard, *tables, *unasked, *([f"{active} events are not finished"] if active else [])]

    def _record_of_signals(self) -> Iterator[str]:
        """What is on record is what was published."""
        with self._stage.ledger.begin() as session:
            rows = invariants.recorded(session, list(STRATEGIES))
            accepted = {strategy: view.version for strategy, view in sources.everything(session).items()}
        for strategy in sorted(self._stage.cast.tables):
            told = sum(row.channel == strategy for row in rows)
            if told != accepted[strategy] - 1:
                yield f"{strategy}: {accepted[strategy]} tables were accepted, and {told} changes are signals"
        for row in rows:
            if row.state is not SignalState.ACCEPTED:
                yield f"message {row.message_id} of {row.channel} is {row.state}"
        for strategy, messages in self._published.items():
            heard = [row.message_id for row in rows if row.channel == strategy]
            if len(set(heard)) != len(heard):
                yield f"{strategy}: {len(heard) - len(set(heard))} messages are on record twice"
            for lost in messages.keys() - set(heard):
                yield f"{strategy}: message {lost} is lost"
            for unknown in set(heard) - messages.keys():
                if not unknown.startswith((CAUGHT_UP, OF_TABLE)):
                    yield f"{strategy}: message {unknown} is on record, and nobody published it"

    def _service(self, accounts: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
        """Each signal is served once for each account, by one run at a time.

        Args:
            accounts: as they are at the broker.
        """
        with self._stage.ledger.begin() as session:
            unserved, repeated = invariants.unserved(session), invariants.repeated(session)
            overlapping, waiting = invariants.overlaps(session), invariants.waiting_for_settlement(session)
        for request in unserved:
            if request.account_id not in waiting:
                yield f"{request.account_id}: message {request.message_id} was never served"
        for account_id in waiting:
            account = accounts[account_id]
            if Decimal(account["settled_cash"]) >= Decimal(account["cash"]):
                yield f"{account_id} waits for settlement, and all its cash has settled"
        for event_id, number in repeated:
            yield f"event {event_id} was served again by attempt {number} without a new request"
        for overlap in overlapping:
            yield f"{overlap.account_id}: two attempts at once, {overlap.first} and {overlap.second}"

    def _recoveries(self, steps: Sequence[Step]) -> list[tuple[str, float]]:
        """A strike that has no end is over with its beginning."""
        published = {message: at for messages in self._published.values() for message, at in messages.items()}
        with self._stage.ledger.begin() as session:
            served = invariants.served(session)
        found = []
        for begun in _struck(steps):
            over = self._over[begun.seed]
            late = [at for request, at in served.items() if published.get(request.message_id, at) < over]
            found.append((begun.kind, max(((at - over).total_seconds() for at in late), default=0.0)))
        return [(kind, max(0.0, seconds)) for kind, seconds in found]

    def _told_secrets(self) -> Iterator[str]:
        environment = self._stage.stack.site.environment
        for state in self._stage.stack.programs():
            log = self._stage.log(state.name)
            yield from (f"the log of {state.name} shows {name}" for name in SECRETS if environment[name] in log)

    def _cases(self, kinds: Sequence[str]) -> list[Case]:
        """One for each login; an order at the wrong one has no intent there."""
        with self._stage.ledger.begin() as session:
            orders = invariants.orders_on_record(session)
        return [self._case(kinds, books, orders) for books in self._stage.books()]

    def _case(self, kinds: Sequence[str], books: Mapping[str, Any], orders: Mapping[str, OrderOnRecord]) -> Case:
        scenario = self._stage.cast.scenario or {}
        paid_out: dict[str, Decimal] = defaultdict(Decimal)
        for plan, counts in self._cash_plans():
            paid_out[plan.account_id] += plan.amount if counts else ZERO
        return Case(
            accounts={
                entry["account_id"]: AccountCase(
                    cash=Decimal(str(scenario["accounts"][entry["account_id"]]["cash"])),
                    positions={
                        symbol: Decimal(held["quantity"])
                        for symbol, held in scenario["accounts"][entry["account_id"]]["positions"].items()
                    },
                    reserve_percent=Decimal(str(entry.get("cash_reserve_percent", ZERO))),
                    targets=[_aims(entry, published) for published in self._targets],
                    trades_unsettled=entry["account_id"] not in CASH,
                    kept={symbol: Decimal(count) for symbol, count in entry.get("hold", {}).items()},
                    reserve_in_cash=FUND_CASH if "reserve_symbol" in entry else ONE,
                    euros=Decimal(str(scenario["accounts"][entry["account_id"]].get("other_cash", {}).get("EUR", 0))),
                    raised=paid_out[entry["account_id"]],
                    gives_back="fx_back" in entry,
                    by_hand=self._stage.orders_by_hand[entry["account_id"]],
                )
                for entry in map(self._at_last, self._stage.cast.accounts)
                if entry["account_id"] in books["accounts"]
            },
            books=books,
            prices=_prices(scenario, books),
            orders={ref: order for ref, order in orders.items() if order.account_id in books["accounts"]},
            edits=sum(STRIKES[kind].changes_accounts for kind in kinds),
            elsewhere=frozenset(ELSEWHERE),
            by_hand=sum(self._stage.orders_by_hand[account_id] for account_id in books["accounts"]),
            halts=self._stage.halts,
            holds_back=any(STRIKES[kind].holds_back for kind in kinds),
        )


def _aims(entry: Mapping[str, Any], published: Mapping[str, Mapping[str, float]]) -> dict[str, Decimal]:
    """Targets of an account while these were the strategies', the fund of its reserve among them; fractions of what is
    no reserve.
    """
    shares = {one["name"]: Decimal(one["weight"]) / HUNDRED for one in entry.get("strategies", ())}
    total: dict[str, Decimal] = defaultdict(Decimal)
    for strategy, share in (shares or {entry["strategy_name"]: ONE}).items():
        for symbol, weight in published[strategy].items():
            total[symbol] += share * Decimal(str(weight))
    if fund := entry.get("reserve_symbol"):
        reserve = Decimal(str(entry["cash_reserve_percent"])) / HUNDRED
        total[fund] = reserve * (ONE - FUND_CASH) / (ONE - reserve)
    return dict(total)


def _prices(scenario: Mapping[str, Any], books: Mapping[str, Any]) -> dict[str, Decimal]:
    """The scenario's, after all splits."""
    prices = {name: Decimal(str(one["price"])) for name, one in scenario["instruments"].items()}
    for split in books["splits"]:
        prices[split["symbol"]] /= Decimal(split["ratio"])
    return prices


def _struck(steps: Sequence[Step]) -> list[Begin]:
    return [step for step in steps if isinstance(step, Begin)]
