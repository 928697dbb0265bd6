"""What must be true of the ledger after every step, whatever happened: told from the signals' side, not the code's."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import inspect

from rebalancer.domain.claims import Claim
from rebalancer.domain.outcomes import FOREVER
from rebalancer.domain.rebalance_kinds import RebalanceKind
from rebalancer.ledger.models import Event
from rebalancer.ledger.signal_intake import Recorded
from rebalancer.ledger.states import ACTIVE, WAITING, EventState, Outcome
from tests.integration.state_machine.site import GRACE, Picture

FINAL = (EventState.SUCCEEDED, EventState.REMOVED)
COLUMNS = tuple(column.key for column in inspect(Event).column_attrs)


@dataclass(slots=True)
class Open:
    """A signal's claim on an event, not served yet."""

    step: int
    signal_id: int
    event_id: UUID
    kind: RebalanceKind

    def is_served_by(self, run: RebalanceKind) -> bool:
        """A larger sum holds the smaller one."""
        return run.mode is self.kind.mode and run.amount >= self.kind.amount


@dataclass
class Promises:
    """Remembers what was asked for and done, and holds the ledger against it.

    Attributes:
        entitled: who may change a running event's attempt in the present step, besides the clock.
        dead: workers that are known to be dead.
    """

    before: Picture
    step: int = 0
    wishes: list[Open] = field(default_factory=list)
    claimed_at: dict[tuple[UUID, int], int] = field(default_factory=dict)
    removed_at: dict[UUID, int] = field(default_factory=dict)
    plans: dict[UUID, Claim] = field(default_factory=dict)
    """The run that made the plan that is before a person."""
    entitled: Claim | None = None
    dead: set[str] = field(default_factory=set)

    # -- what happened ----------------------------------------------------------------------------------------------

    def recorded(self, recorded: Recorded, wish: RebalanceKind | None = None) -> None:
        """A new signal is on record."""
        assert not recorded.duplicate
        for served in recorded.served:
            removal = self.removed_at.get(served.event_id)
            assert removal is None, "a signal joined an event that had been removed"
            self.wishes.append(Open(self.step, recorded.signal_id, served.event_id, wish or RebalanceKind()))

    def claimed(self, claim: Claim) -> None:
        """A worker got hold of an event: only because a signal waits, the full one first, or to look after a removed
        event's orders, and not before its time.
        """
        assert self.before.events[claim.event_id].due_at <= datetime.now(UTC), "a run before its time"
        self.claimed_at[claim.event_id, claim.attempt] = self.step
        if not claim.removed:
            waiting = [one.kind for one in self.wishes if one.event_id == claim.event_id]
            assert claim.kind in waiting, "a run that serves no signal"
            assert claim.kind == RebalanceKind() or RebalanceKind() not in waiting, "the full rebalance comes first"

    def succeeded(self, claim: Claim) -> None:
        """A success is on record: it serves what was on record when it was claimed, nothing later."""
        lease_until = self.before.events[claim.event_id].lease_until
        assert lease_until is not None
        assert lease_until > datetime.now(UTC), "a success after the lease"
        self._answered(claim)

    def _answered(self, claim: Claim) -> None:
        began = self.claimed_at[claim.event_id, claim.attempt]
        self.wishes = [
            one
            for one in self.wishes
            if one.event_id != claim.event_id or one.step > began or not one.is_served_by(claim.kind)
        ]

    def rejected(self, event_id: UUID, state: EventState | None) -> None:
        """A person refused a plan: that ends what it was to serve, nothing else."""
        self._answered(self.plans[event_id])
        if any(one.event_id == event_id for one in self.wishes):
            assert state is EventState.QUEUED, "a rejection ended more than its plan"
        else:
            self.removal(event_id)

    def removal(self, event_id: UUID) -> None:
        """An operator ended an event."""
        self.removed_at.setdefault(event_id, self.step)

    # -- what must be true ------------------------------------------------------------------------------------------

    def check(self, now: Picture) -> None:
        """Hold the ledger against all promises, then remember it."""
        active = [event for event in now.events.values() if event.state in ACTIVE]
        self._one_active_event_per_key(active)
        self._one_hand_per_account(active)
        self._every_signal_is_served_or_waits(now)
        self._removed_events_leave_no_orders(now)
        self._whatever_is_held_has_a_reason(active, now)
        self._links_stay(now)
        self._attempts_are_complete(now)
        for event_id, old in self.before.events.items():
            new = now.events[event_id]
            self._nothing_goes_back(old, new)
            self._only_who_may_ends_a_run(old, new)
            self._a_removal_waits_for_orders_only(old, new, now)
        self.before, self.entitled, self.step = now, None, self.step + 1

    def _one_active_event_per_key(self, active: list[Event]) -> None:
        taking = Counter((event.account_id, event.command) for event in active if not event.remove_requested)
        assert set(taking.values()) <= {1}, f"two active events of one key: {taking}"

    def _one_hand_per_account(self, active: list[Event]) -> None:
        hands = Counter(event.account_id for event in active if event.exclusive and event.state == EventState.RUNNING)
        assert set(hands.values()) <= {1}, f"two runs with orders on one account: {hands}"

    def _every_signal_is_served_or_waits(self, now: Picture) -> None:
        for wish in list(self.wishes):
            event = now.events[wish.event_id]
            assert (wish.signal_id, wish.event_id) in now.requests
            if event.state == EventState.REMOVED:
                removal = self.removed_at.get(wish.event_id)
                assert removal is not None, "an event was removed that nobody wanted removed"
                assert removal >= wish.step, "a signal was lost with an event that was removed before it came"
                self.wishes.remove(wish)
            else:
                assert event.state in ACTIVE, f"signal {wish.signal_id} waits in an event that is {event.state}"

    def _removed_events_leave_no_orders(self, now: Picture) -> None:
        removed = {event_id for event_id, event in now.events.items() if event.state == EventState.REMOVED}
        assert not removed & now.unresolved, "an event was ended although an order of it may still fill"

    def _whatever_is_held_has_a_reason(self, active: list[Event], now: Picture) -> None:
        for event in active:
            if event.state != EventState.HELD:
                assert event.due_at < FOREVER, f"{event.state}, and never due"
            elif event.rule == "halt":
                assert event.halt_id in now.halts, "held by a halt that has ended"
            elif event.rule == "approval":
                assert event.id in now.asked, "held for an answer that nobody is asked for"
            else:
                assert event.due_at < FOREVER, f"held by {event.rule} for ever"

    def _links_stay(self, now: Picture) -> None:
        assert now.requests.items() >= self.before.requests.items()

    def _attempts_are_complete(self, now: Picture) -> None:
        for (event_id, number), attempt in now.attempts.items():
            event = now.events[event_id]
            runs = event.state == EventState.RUNNING and event.attempt == number
            assert runs == (attempt.outcome is None) == (attempt.finished_at is None)
            if attempt.outcome == Outcome.SUCCEEDED:
                assert attempt.observed_generation <= event.requested_generation
        assert Counter(event_id for event_id, _ in now.attempts) == Counter(
            {event_id: event.attempt for event_id, event in now.events.items()}
        )

    def _nothing_goes_back(self, old: Event, new: Event) -> None:
        assert new.attempt >= old.attempt
        assert new.observed_generation >= old.observed_generation
        assert new.requested_generation >= old.requested_generation
        assert new.dispatch_no >= old.dispatch_no
        assert new.remove_requested >= old.remove_requested
        if old.state in FINAL:
            assert all(getattr(old, name) == getattr(new, name) for name in COLUMNS), "an ended event changed"

    def _only_who_may_ends_a_run(self, old: Event, new: Event) -> None:
        if old.state != EventState.RUNNING or (new.state, new.attempt) == (old.state, old.attempt):
            return
        own = self.entitled is not None and (self.entitled.event_id, self.entitled.attempt) == (old.id, old.attempt)
        assert old.lease_until is not None
        run_out = old.lease_until < datetime.now(UTC) - GRACE
        assert own or run_out or old.worker in self.dead, "a run was ended by somebody else"

    def _a_removal_waits_for_orders_only(self, old: Event, new: Event, now: Picture) -> None:
        turned = old.state == EventState.RUNNING or not old.remove_requested
        if turned and new.remove_requested and new.state in WAITING:
            assert new.id in now.unresolved, "a removed event waits although its orders are accounted for"
