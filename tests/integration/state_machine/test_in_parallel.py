"""Everybody at once: batches of signals, workers, two dispatchers, an operator, a kill switch, on a real PostgreSQL."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from uuid import uuid4

from sqlalchemy import func, select, update

from rebalancer.domain.commands import Command
from rebalancer.ledger import dispatch_claims, events, halts, holds, ownership, signal_intake
from rebalancer.ledger.models import Attempt, Event, SignalEvent
from rebalancer.ledger.session import Ledger
from rebalancer.ledger.signal_intake import Addressee, NewSignal
from rebalancer.ledger.states import ACTIVE, WAITING, EventState, Outcome

ACCOUNTS = [Addressee(f"DU{number}", "blend") for number in range(3)]
COMMANDS = (Command.CANCEL_ORDERS, Command.PRINT_EQUITY, Command.REBALANCE)
RUNS = 60
LEASE = timedelta(seconds=60)


def signals(ledger: Ledger, dice: random.Random) -> None:
    """What a listener writes: several commands for all accounts in one transaction."""
    commands = dice.choice([COMMANDS, COMMANDS[:2], COMMANDS[2:]])
    with ledger.begin() as session:
        signal_intake.lock_events(session, {(one.account_id, command) for one in ACCOUNTS for command in commands})
        for command in commands:
            signal_intake.record(session, NewSignal("blend", uuid4().hex, command, {}), ACCOUNTS)
    time.sleep(0.005)


def work(ledger: Ledger, dice: random.Random) -> None:
    with ledger.begin() as session:
        waiting = session.scalars(select(Event.id).where(Event.state.in_(WAITING))).all()
    claim = ownership.claim(ledger, dice.choice(waiting), "elsewhere/1/1", LEASE) if waiting else None
    if claim is None:
        return
    with ledger.begin() as session:
        halted = halts.in_force(session, claim.account_id)
    with ledger.begin() as session:
        if claim.removed:
            events.stop(session, claim)
        elif halted:
            events.hold(session, claim, halted[0].blocks)
        elif dice.random() < 0.8:
            events.succeed(session, claim, {})
        else:
            events.fail(session, claim, "boom", timedelta())


def dispatch(ledger: Ledger, _dice: random.Random) -> None:
    with ledger.begin() as session:
        dispatch_claims.take_due(session, timedelta(0))
    with ledger.begin() as session:
        events.reap(session, LEASE, LEASE)
    with ledger.begin() as session:
        assert holds.release(session) == [], "parked"


def halt_and_resume(ledger: Ledger, dice: random.Random) -> None:
    scope = dice.choice(["all", "DU0", "DU1"])
    with ledger.begin() as session:
        halts.halt(session, scope, "fire drill", "ada")
    time.sleep(0.005)
    with ledger.begin() as session:
        halts.resume(session, scope, "ada")


def operate(ledger: Ledger, dice: random.Random) -> None:
    with ledger.begin() as session:
        active = session.scalars(select(Event.id).where(Event.state.in_(ACTIVE))).all()
    if active and dice.random() < 0.2:
        with ledger.begin() as session:
            events.remove(session, dice.choice(active), "by hand")


def test_nobody_waits_for_nobody_and_nothing_is_lost(ledger: Ledger) -> None:
    """A deadlock would make a run fail that has done its work, and run again."""

    def over_and_over(action: Callable[[Ledger, random.Random], None], seed: int) -> None:
        dice = random.Random(seed)
        while _runs(ledger) < RUNS:
            action(ledger, dice)

    actors = [signals, work, work, work, dispatch, dispatch, operate, halt_and_resume]
    with ThreadPoolExecutor(len(actors)) as pool:
        for done in [pool.submit(over_and_over, actor, seed) for seed, actor in enumerate(actors)]:
            done.result()
    with ledger.begin() as session:
        assert session.scalars(select(Event.id).where(Event.state == EventState.HELD)).all() == [], "parked"
    while _active(ledger):
        work(ledger, random.Random(0))
    with ledger.begin() as session:
        served = (
            select(func.max(Attempt.observed_generation))
            .where(Attempt.event_id == SignalEvent.event_id, Attempt.outcome == Outcome.SUCCEEDED)
            .scalar_subquery()
        )
        unserved = session.scalars(
            select(Event.state)
            .join(SignalEvent, SignalEvent.event_id == Event.id)
            .where(func.coalesce(served, 0) < SignalEvent.request_no)
        ).all()
    assert set(unserved) <= {EventState.REMOVED}


def _runs(ledger: Ledger) -> int:
    with ledger.begin() as session:
        return session.scalar(select(func.count()).select_from(Attempt)) or 0


def _active(ledger: Ledger) -> int:
    with ledger.begin() as session:
        session.execute(update(Event).where(Event.state.in_(WAITING)).values(due_at=func.now()))
        return session.scalar(select(func.count()).where(Event.state.in_(ACTIVE))) or 0
