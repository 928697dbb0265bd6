"""The life of events as a state machine: messages lost, doubled, late and out of order, power cuts between any two
steps, workers that act after their time, removals, halts, approvals, all kinds of rebalance, a flushed Redis. Nothing
is simulated but time and processes.

`STATE_MACHINE_EXAMPLES=3000 pytest tests/integration/state_machine` is the long version.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from typing import TypeVar
from uuid import UUID

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from rebalancer.domain.claims import Claim
from rebalancer.domain.commands import Command
from rebalancer.domain.errors import LeaseLost, RemovalRequested
from rebalancer.domain.rebalance_kinds import RebalanceKind, RebalanceMode
from rebalancer.ledger import holds
from rebalancer.ledger.models import Event
from rebalancer.ledger.run import Run
from rebalancer.ledger.session import Ledger
from rebalancer.ledger.states import ACTIVE, EventState
from rebalancer.risk import Blocked
from rebalancer.runner.servers import RunningServer
from tests.integration.state_machine.promises import Promises
from tests.integration.state_machine.site import GRACE, LEASE, Cut, Ending, Message, PowerCut, Site, an_order

T = TypeVar("T")
EXAMPLES = int(os.environ.get("STATE_MACHINE_EXAMPLES", "25"))
ROUNDS = 20
"""With the faults off, so many rounds are enough to bring everything to its end."""

ACCOUNTS = ("DU1", "DU2")
COMMANDS = (Command.REBALANCE, Command.CANCEL_ORDERS, Command.PRINT_EQUITY)
some_accounts = st.sampled_from([("DU1",), ("DU2",), ACCOUNTS])
some_command = st.sampled_from([Command.REBALANCE, *COMMANDS])
anyone = st.integers(0, 99)
some_worker = st.sampled_from(["elsewhere/1/1", "elsewhere/2/2", "elsewhere/3/3"])
some_time = st.sampled_from([3.0, 6.0, 61.0, LEASE.total_seconds() + 1, 400.0])
some_pause = st.sampled_from([0.0, 60.0, 3600.0])
some_scope = st.sampled_from(["all", *ACCOUNTS])
some_wish = st.sampled_from(
    [
        RebalanceKind(),
        RebalanceKind(),
        RebalanceKind(RebalanceMode.BUY_ONLY),
        *(RebalanceKind(RebalanceMode.RAISE_CASH, Decimal(n)) for n in (1, 2)),
    ]
)
cuts: st.SearchStrategy[Cut] = st.sampled_from([None, None, None, "before", "after"])


class LifeOfEvents(RuleBasedStateMachine):
    """Rules are what signals, workers, operators and faults do; each is one step that may be the last before a cut."""

    def __init__(self, site: Site) -> None:
        super().__init__()
        site.clear()
        self.site = site
        self.runs: list[Run] = []
        self.met: dict[tuple[UUID, int], Blocked] = {}
        self.order_number = 0
        self.promises = Promises(site.picture())

    # -- signals ----------------------------------------------------------------------------------------------------

    @initialize(command=some_command)
    def a_busy_day(self, command: Command) -> None:
        """Something is under way from the start."""
        self.signal(ACCOUNTS, command, cut=None)
        self.promises.check(self.site.picture())
        self.a_healthy_step(0, "elsewhere/1/1")

    @rule(accounts=some_accounts, command=some_command, cut=cuts)
    def signal(self, accounts: tuple[str, ...], command: Command, cut: Cut) -> None:
        """A signal goes on record, and its messages into the queue, unless the power goes in between."""
        self.promises.recorded(self.site.record(accounts, command, f"m{self.promises.step}"))
        self.publish(cut)

    @rule(accounts=some_accounts, wish=some_wish)
    def request(self, accounts: tuple[str, ...], wish: RebalanceKind) -> None:
        """A person asks for a kind of rebalance."""
        self.promises.recorded(self.site.record(accounts, Command.REBALANCE, f"m{self.promises.step}", wish), wish)

    @rule(accounts=some_accounts, command=some_command, which=anyone)
    def same_signal_again(self, accounts: tuple[str, ...], command: Command, which: int) -> None:
        """A message that is on record already changes nothing; one that is not is a signal like any other."""
        recorded = self.site.record(accounts, command, f"m{which % self.promises.step}")
        if not recorded.duplicate:
            self.promises.recorded(recorded)

    # -- messages ---------------------------------------------------------------------------------------------------

    @rule(cut=cuts)
    def publish(self, cut: Cut) -> None:
        """The dispatcher does its round; the power may go right before or after a message is sent."""
        self.site.courier.cut = cut
        with suppress(PowerCut):
            self.site.dispatcher.publish_due()
        self.site.courier.cut = None

    @rule(which=anyone, worker=some_worker, tidy=st.booleans())
    def deliver(self, which: int, worker: str, tidy: bool) -> None:
        """A worker takes any message, not only the oldest; untidily, it dies before it frees the message's lock."""
        message = self._pick(self._queued(), which)
        if message is None:
            return
        self.site.take(message)
        claim = self._claim(message.event_id, worker)
        if claim is not None and tidy:
            self.site.dispatcher.consumed(claim.account_id, claim.command)

    @rule(which=anyone, worker=some_worker)
    def a_healthy_step(self, which: int, worker: str) -> None:
        """What happens nearly all the time: dispatcher and worker do their work."""
        self.site.dispatcher.publish_due()
        self.deliver(which, worker, tidy=True)

    @rule(which=anyone, again=st.booleans())
    def lose_or_double(self, which: int, again: bool) -> None:
        """A message dies with its worker, or is there twice."""
        message = self._pick(self._queued(), which)
        if message is None:
            return
        if again:
            self.site.put(message)
        else:
            self.site.take(message)

    @rule(which=anyone, worker=some_worker)
    def deliver_an_old_message(self, which: int, worker: str) -> None:
        """Celery restores what it takes for lost: any message may come again at any time."""
        message = self._pick(self.site.sent, which)
        if message is not None:
            self._claim(message.event_id, worker)

    @rule()
    def flush_redis(self) -> None:
        """Redis comes back empty."""
        self.site.queued()
        self.site.redis.flushall()

    # -- runs -------------------------------------------------------------------------------------------------------

    @rule(which=anyone)
    def send_an_order(self, which: int) -> None:
        """A run commits to an order, if it still may: a zombie may not, nor one whose event was removed."""
        run = self._pick(self.runs, which)
        if run is None or not run.claim.command.touches_orders:
            return
        self.order_number += 1
        event = self.promises.before.events[run.claim.event_id]
        owns = event.state == EventState.RUNNING and event.attempt == run.claim.attempt
        try:
            run.intend([an_order(run.claim, self.order_number)])
        except (LeaseLost, RemovalRequested):
            return
        assert owns, "an order of a run that had lost its event"
        assert not event.remove_requested, "an order after the removal"

    @rule(which=anyone, late=st.booleans(), tidy=st.booleans())
    def succeed(self, which: int, late: bool, tidy: bool) -> None:
        """A run ends well, in time or too late; it may think that it has not, and go on as a zombie."""
        run = self._pick(self.runs, which)
        if run is None:
            return
        if late:
            self.time_passes(LEASE.total_seconds() + 1)
        self._succeed(run)
        if tidy:
            self.runs.remove(run)
            self.site.dispatcher.publish_due()

    @rule(which=anyone, worker=some_worker)
    def fall_silent(self, which: int, worker: str) -> None:
        """Every run is taken back, and goes on as a zombie beside its successor."""
        self.time_passes((LEASE + GRACE).total_seconds() + 1)
        self.site.dispatcher.reap()
        self.all_promises_are_kept()
        self.a_healthy_step(which, worker)

    @rule(which=anyone, ending=st.sampled_from(["fail", "hold"]), pause_s=some_pause, midway=st.booleans())
    def fail_or_hold(self, which: int, ending: Ending, pause_s: float, midway: bool) -> None:
        """A run ends otherwise, perhaps with orders whose outcome it does not know."""
        if midway:
            self.send_an_order(which)
        run = self._pick(self.runs, which)
        if run is not None:
            self._try_to_end(run, ending, pause_s)

    @rule(which=anyone)
    def next_step(self, which: int) -> None:
        """A run renews its lease, learns of a removal, and then leaves clean."""
        run = self._pick(self.runs, which)
        if run is None:
            return
        try:
            run.checkpoint()
        except LeaseLost:
            self.runs.remove(run)
        except RemovalRequested:
            self._stop(run)

    @rule(which=anyone)
    def worker_dies(self, which: int) -> None:
        """On the dispatcher's own machine, which therefore knows."""
        run = self._pick(self.runs, which)
        if run is None:
            return
        self.promises.dead.add(run.claim.worker)
        self.runs = [other for other in self.runs if other.claim.worker != run.claim.worker]
        self.site.reap([run.claim.worker])

    @rule()
    def reap(self) -> None:
        """The dispatcher takes back what fell silent."""
        self.site.dispatcher.reap()

    # -- what holds a run, and persons -------------------------------------------------------------------------------

    @rule(scope=some_scope)
    def halt(self, scope: str) -> None:
        """The kill switch, whatever runs or waits."""
        self.site.halt(scope)

    @rule(scope=some_scope)
    def resume(self, scope: str) -> None:
        """Its end, whoever has met it and has not said so yet."""
        self.site.resume(scope)

    @rule(which=anyone)
    def meet_a_halt(self, which: int) -> None:
        """A run may send nothing more; it follows what it has sent to its end, and is held some steps later."""
        run = self._pick(self.runs, which)
        for halt in run.halts() if run is not None else ():
            self._met(run, halt)

    @rule(which=anyone, scope=some_scope, lifted=st.sampled_from(["before it says so", "afterwards", "later"]))
    def be_halted(self, which: int, scope: str, lifted: str) -> None:
        """The kill switch in the midst of a run, and a person who changes her mind."""
        self.halt(scope)
        self.meet_a_halt(which)
        if lifted == "before it says so":
            self.resume(scope)
        self.hold(which)
        self.all_promises_are_kept()
        if lifted == "afterwards":
            self.resume(scope)

    @rule(which=anyone)
    def ask(self, which: int) -> None:
        """A run's plan is put before a person; the run says so some steps later, or dies before."""
        run = self._pick(self.runs, which)
        if run is None or run.claim.command is not Command.REBALANCE or not self._owns(run):
            return
        self._met(run, self.site.ask(run))
        self.promises.plans[run.claim.event_id] = run.claim

    @rule(which=anyone, news=st.none() | some_wish, approve=st.none() | st.booleans())
    def ask_and_wait(self, which: int, news: RebalanceKind | None, approve: bool | None) -> None:
        """What happens nearly always: the run waits at once; more may be wanted before the person answers."""
        self.ask(which)
        self.hold(which)
        self.all_promises_are_kept()
        if news is not None:
            self.request(ACCOUNTS, news)
            self.all_promises_are_kept()
        if approve is not None:
            self.decide(which, approve)

    @rule(which=anyone)
    def hold(self, which: int) -> None:
        """A run ends with what it met."""
        run = self._pick(self.runs, which)
        if run is not None:
            self._hold(run)

    @rule(which=anyone, approve=st.booleans())
    def decide(self, which: int, approve: bool) -> None:
        """A person answers a plan that is shown."""
        plan = self._pick(self.site.plans(), which)
        if plan is None:
            return
        if approve:
            self.site.approve(plan)
        else:
            self.promises.rejected(plan.event_id, self.site.reject(plan))

    @rule()
    def release(self) -> None:
        """Beat looks for what waits for nothing, and finds nothing."""
        with self.site.ledger.begin() as session:
            assert holds.stranded(session) == []
        self.site.dispatcher.release()

    # -- operators and time -----------------------------------------------------------------------------------------

    @rule(which=anyone)
    def remove(self, which: int) -> None:
        """An operator removes any event, whatever its state."""
        event = self._pick(self._everything(), which)
        if event is None:
            return
        state = self.site.dispatcher.remove(event.id, "by hand")
        assert (state is None) == (event.state not in ACTIVE)
        if state is None:
            return
        self.promises.removal(event.id)
        if state is EventState.REMOVED:
            assert event.id not in {message.event_id for message in self.site.queued()}, "its message is still there"

    @rule(which=anyone)
    def retry(self, which: int) -> None:
        """A person will not wait for the next try: nothing that holds an event is passed by, twice is once."""
        event = self._pick(self._everything(), which)
        if event is None:
            return
        answer = self.site.retry(event.id)
        assert (answer is None) == (event.state not in ACTIVE)
        if answer is None:
            return
        waits = event.due_at > datetime.now(UTC)
        halted = event.command == Command.REBALANCE and self.site.halted(event.account_id)
        assert answer.made <= (waits and event.state != EventState.RUNNING and not halted)
        assert answer.made <= (event.rule not in ("halt", "approval", "market_hours")), "past what holds it"
        again = self.site.retry(event.id)
        assert again is not None
        assert not again.made, "made due twice"

    @rule(seconds=some_time)
    def time_passes(self, seconds: float) -> None:
        """Leases run out, retries come due, messages grow old."""
        self.site.pass_time(seconds)
        self.promises.before = self.site.picture()

    # -- promises ---------------------------------------------------------------------------------------------------

    @invariant()
    def all_promises_are_kept(self) -> None:
        """After each step."""
        self.promises.check(self.site.picture())
        self.promises.dead.clear()

    def teardown(self) -> None:
        """With the faults off, everything comes to its end by itself, except what waits for a person."""
        self.site.courier.cut = None
        self.site.decide_for_persons()
        self.promises.before = self.site.picture()
        for _ in range(ROUNDS):
            if not self._active():
                break
            self._round()
        assert not self._active(), "stuck"
        assert not self.promises.wishes, "a signal was never served"

    # -- parts ------------------------------------------------------------------------------------------------------

    def _everything(self) -> list[Event]:
        """Events of all states, in an order that does not depend on random ids."""
        found = self.promises.before.events.values()
        return sorted(found, key=lambda event: (event.created_at, event.account_id))

    def _active(self) -> list[UUID]:
        return [event.id for event in self.site.picture().events.values() if event.state in ACTIVE]

    def _round(self) -> None:
        self.site.pass_time(7200, locks=False)
        self.promises.before = self.site.picture()
        self.site.dispatcher.reap()
        self.all_promises_are_kept()
        self.site.dispatcher.publish_due()
        for message in self.site.queued():
            self.site.take(message)
            self.runs.clear()
            claim = self._claim(message.event_id, "elsewhere/9/9")
            if claim is not None:
                self.site.dispatcher.consumed(claim.account_id, claim.command)
            self.all_promises_are_kept()
            for run in self.runs:
                if run.claim.removed:
                    self._stop(run)
                else:
                    self._succeed(run)
            self.all_promises_are_kept()

    def _queued(self) -> list[Message]:
        """In an order that does not depend on random ids."""

        def key(message: Message) -> tuple[str, str, datetime]:
            event = self.promises.before.events[message.event_id]
            return event.account_id, event.command, event.created_at

        return sorted(self.site.queued(), key=key)

    @staticmethod
    def _pick(candidates: Sequence[T], which: int) -> T | None:
        """A precondition would make what Hypothesis draws depend on how fast the machine is."""
        return candidates[which % len(candidates)] if candidates else None

    def _owns(self, run: Run) -> bool:
        event = self.promises.before.events[run.claim.event_id]
        return event.state == EventState.RUNNING and event.attempt == run.claim.attempt

    def _met(self, run: Run, blocked: Blocked) -> None:
        self.met[run.claim.event_id, run.claim.attempt] = blocked

    def _hold(self, run: Run) -> None:
        blocked = self.met.get((run.claim.event_id, run.claim.attempt))
        if blocked is None:
            return
        self.promises.entitled = run.claim
        with suppress(LeaseLost):
            self.site.hold(run, blocked)
        self.runs.remove(run)

    def _claim(self, event_id: UUID, worker: str) -> Claim | None:
        run = self.site.claim(event_id, worker)
        if run is None:
            return None
        self.promises.claimed(run.claim)
        self.runs.append(run)
        if not run.claim.removed:
            self.site.settle(run)
        return run.claim

    def _succeed(self, run: Run) -> None:
        with suppress(LeaseLost):  # a zombie's word does not count, nor does its success
            run.finalize([order.order_ref for order in run.orders()])
        if self._try_to_end(run, "succeed", 0):
            self.promises.succeeded(run.claim)

    def _stop(self, run: Run) -> None:
        self.site.settle(run)
        assert self._try_to_end(run, "stop", 0)
        self.runs.remove(run)

    def _try_to_end(self, run: Run, ending: Ending, pause_s: float) -> bool:
        self.promises.entitled = run.claim
        try:
            self.site.end(run, ending, pause_s)
        except LeaseLost:
            return False
        return True


@pytest.mark.timeout(3600)
def test_no_signal_is_lost_and_none_is_run_twice(
    postgres: RunningServer, redis_server: RunningServer, ledger: Ledger
) -> None:
    del postgres
    site = Site.of(ledger, redis_server.url)

    class Here(LifeOfEvents):
        def __init__(self) -> None:
            super().__init__(site)

    run_state_machine_as_test(
        Here,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
