"""The life of an event: every transition is one conditional UPDATE, so that races have exactly one winner.

    queued, retrying, held --claim--> running --succeed--> succeeded (or queued again, when more was wanted meanwhile)
                                      running --fail-----> retrying
                                      running --hold-----> held (or queued again, when what held it has ended meanwhile)
                                      running --reap-----> retrying (its worker died)
    queued, retrying, held --remove-> removed; a running one at its next step

``attempt`` is the fencing number: an attempt that lost its lease can change nothing any more. A removal ends an event
once every order that it sent is accounted for: until then it is claimed again, to look after them and nothing else.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Boolean, and_, bindparam, case, func, literal, or_, select, update
from sqlalchemy.sql.dml import ReturningUpdate

from rebalancer.domain.claims import Claim
from rebalancer.domain.errors import LeaseLost
from rebalancer.domain.rule_names import Rule
from rebalancer.ledger import event_notices, halts, holds, outstanding
from rebalancer.ledger.dispatch_claims import free_busy
from rebalancer.ledger.models import Attempt, Event
from rebalancer.ledger.prepared import Prepared
from rebalancer.ledger.session import Session
from rebalancer.ledger.states import ACTIVE, WAITING, EventState, Outcome
from rebalancer.ledger.transitions import (
    HELD_BY,
    RELEASED,
    finished_if_removed,
    held_unless_removed,
    of_claim,
    owned_by,
    queued_unless_removed,
    removed_or,
    unless_removed,
)
from rebalancer.ledger.unaccounted_orders import unaccounted
from rebalancer.risk import Blocked

ENDED = "what held it has ended"
NEWS = "newer signal"
CRASHES_TOLERATED = 2
"""Lost workers in a row before a person is asked."""
LONGEST_CRASH_DELAY = timedelta(hours=1)
LOOK_AGAIN = timedelta(minutes=5)
"""After which a removed event asks again for orders of which the gateway has said nothing."""


@dataclass(frozen=True, slots=True)
class Recovered:
    """An event that was taken back from a lost worker.

    Attributes:
        raised: it needs a person's attention now, and did not before.
    """

    event_id: UUID
    account_id: str
    crashes: int
    raised: bool


def _succeeding() -> ReturningUpdate[str]:
    again = or_(Event.requested_generation > Event.observed_generation, bindparam("more_kinds", type_=Boolean()))
    return (
        update(Event)
        .where(HELD_BY, Event.lease_until > func.now())
        .values(
            state=case(
                (and_(again, Event.remove_requested), EventState.REMOVED),
                (again, EventState.QUEUED),
                else_=EventState.SUCCEEDED,
            ),
            reason=case((and_(again, Event.remove_requested), Event.reason), (again, NEWS), else_="done"),
            times_queued=case((again, 1), else_=Event.times_queued),
            finished_at=case((and_(again, ~Event.remove_requested), None), else_=func.now()),
            failures=0,
            refusals=0,
            crashes=0,
            needs_attention=False,
            **RELEASED,
        )
        .returning(Event.state)
    )


_SUCCEED = Prepared("succeed", _succeeding())
_END_ATTEMPT = (
    update(Attempt)
    .where(Attempt.event_id == bindparam("of_event"), Attempt.number == bindparam("of_attempt"))
    .values(
        outcome=bindparam("how"),
        error=bindparam("why"),
        refused=bindparam("was_refused"),
        result=bindparam("with_result"),
        finished_at=func.now(),
    )
    .execution_options(synchronize_session=False)
)


def succeed(session: Session, claim: Claim, result: dict[str, Any]) -> EventState:
    """Record success; runs once more when signals joined since the claim, or ask for another kind of rebalance.

    Raises:
        LeaseLost: success may not be written any more, even if nobody has taken over.
    """
    known = claim.observed_generation
    others = outstanding.left(session, claim.event_id, claim.command, known, (claim.kind, known))
    state = _SUCCEED.scalar(session, {**of_claim(claim), "more_kinds": bool(others)})
    if state is None:
        raise LeaseLost(f"attempt {claim.attempt} of event {claim.event_id} succeeded after it had lost its lease")
    _end_attempt(session, claim, Outcome.SUCCEEDED, None, result)
    holds.withdraw_question(session, claim.event_id)
    free_busy(session, claim.account_id)
    return EventState(state)


def fail(
    session: Session,
    claim: Claim,
    error: str,
    delay: timedelta,
    *,
    refused: bool = False,
    needs_attention: bool = False,
    rule: Rule | None = None,
    told: bool = False,
) -> EventState:
    """Record a failure and put the event at the back of the queue: due after ``delay``, at once if there is news.

    Args:
        refused: it is of a kind that a person has to resolve.
        needs_attention: stays set until a success.
        rule: that refused, if one did.
        told: people are told of it otherwise.

    Raises:
        LeaseLost: another attempt owns the event.
    """
    news = and_(Event.requested_generation > Event.observed_generation, ~Event.remove_requested)
    state = session.scalar(
        update(Event)
        .where(owned_by(claim))
        .values(
            state=removed_or(EventState.RETRYING),
            reason=unless_removed("retry"),
            finished_at=finished_if_removed(),
            times_queued=Event.times_queued + 1,
            failures=Event.failures + 1,
            refusals=Event.refusals + 1 if refused else 0,
            crashes=0,
            needs_attention=or_(Event.needs_attention, literal(needs_attention)),
            last_error=error,
            **RELEASED | {"due_at": func.now() + case((news, timedelta()), else_=delay), "rule": rule},
        )
        .returning(Event.state)
    )
    return _after(session, claim, state, outcome=Outcome.FAILED, error=error, refused=refused, told=told)


def hold(session: Session, claim: Claim, blocked: Blocked) -> EventState:
    """Wait for a known time or a person, and occupy no worker; due at once if what it waits for has ended, or on news.

    Raises:
        LeaseLost: another attempt owns the event.
    """
    halt = halts.lasting(session, claim.account_id) if blocked.rule is Rule.HALT else None
    holding = blocked if halt is None else replace(halt.blocks, until=min(halt.blocks.until, blocked.until))
    match blocked.rule:
        case Rule.HALT:
            lasts = halt is not None
        case Rule.APPROVAL:
            lasts = holds.is_asked(session, claim.event_id)
        case Rule.SETTLEMENT:
            lasts = not holds.has_news(session, claim.event_id)
        case Rule.CANARY | Rule.BREAKER:
            kept = holds.of_strategy(session, claim.event_id)
            lasts, holding = kept is not None, blocked if kept is None else kept.blocks
        case _:
            lasts = True
    at_once = queued_unless_removed(NEWS if blocked.rule is Rule.SETTLEMENT else ENDED)
    waits = held_unless_removed(holding, None if halt is None else halt.id) if lasts else at_once
    state = session.scalar(
        update(Event)
        .where(owned_by(claim))
        .values(finished_at=finished_if_removed(), crashes=0, **RELEASED | waits)
        .returning(Event.state)
    )
    after = _after(session, claim, state, outcome=Outcome.HELD, error=holding.reason)
    if after is EventState.HELD:
        event_notices.held(session, claim, holding)
    return after


def stop(session: Session, claim: Claim) -> EventState:
    """End a run for good, at an operator's word, after every order that it sent was accounted for; while the gateway
    says nothing of one, the event waits to ask again.

    Raises:
        LeaseLost: another attempt owns the event.
    """
    pause = case((unaccounted(), LOOK_AGAIN), else_=timedelta())
    state = session.scalar(
        update(Event)
        .where(owned_by(claim), Event.remove_requested)
        .values(
            finished_at=finished_if_removed(),
            **RELEASED
            | {
                "state": removed_or(EventState.HELD),
                "rule": case((unaccounted(), Rule.ORDERS_UNACCOUNTED), else_=None),
                "due_at": func.now() + pause,
            },
        )
        .returning(Event.state)
    )
    words = "stopped between two steps" if state == EventState.REMOVED else "nobody knows what became of its orders"
    return _after(session, claim, state, outcome=Outcome.HELD, error=words)


def remove(session: Session, event_id: UUID, reason: str) -> EventState | None:
    """Remove an active event: at once when it waits, at its next step when it runs. From now on it takes no signals:
    the next one of its account and command opens a new event.

    Returns:
        Its state afterwards, still a waiting one while orders of it are unaccounted for; ``None`` when no active event
        has that id.
    """
    ends = and_(Event.state.in_(WAITING), ~unaccounted())
    waits = Event.state.in_(WAITING)
    state = session.scalar(
        update(Event)
        .where(Event.id == event_id, Event.state.in_(ACTIVE))
        .values(
            state=case(
                (ends, EventState.REMOVED), (Event.state == EventState.HELD, EventState.QUEUED), else_=Event.state
            ),
            reason=reason,
            rule=None,
            halt_id=None,
            finished_at=case((ends, func.now()), else_=None),
            due_at=case((waits, func.now()), else_=Event.due_at),
            dispatched_at=case((waits, None), else_=Event.dispatched_at),
            remove_requested=True,
        )
        .returning(Event.state)
    )
    if state is not None:
        event_notices.removed(session, event_id, reason)
    return None if state is None else EventState(state)


def reap(session: Session, delay: timedelta, grace: timedelta, dead_workers: Collection[str] = ()) -> list[Recovered]:
    """Take running events back whose lease ran out ``grace`` ago, or whose worker is known to be dead.

    Due again at once the first time; each further crash in a row doubles the delay, up to an hour, and a person hears.
    """
    lost = or_(Event.lease_until < func.now() - grace, Event.worker.in_(dead_workers))
    rows = session.scalars(
        select(Event)
        .where(Event.state == EventState.RUNNING, lost)
        .order_by(Event.id)
        .with_for_update(skip_locked=True)
    )
    return [_take_back(session, event, delay) for event in rows.all()]


def _take_back(session: Session, lost: Event, delay: timedelta) -> Recovered:
    crashes = lost.crashes + 1
    pause = timedelta() if crashes == 1 else min(delay * 2 ** min(crashes - 1, 20), LONGEST_CRASH_DELAY)
    raised = crashes > CRASHES_TOLERATED and not lost.needs_attention
    if raised:
        event_notices.crashed(session, lost, crashes)
    session.execute(
        update(Event)
        .where(Event.id == lost.id)
        .values(
            state=removed_or(EventState.RETRYING),
            reason=unless_removed("worker lost"),
            finished_at=finished_if_removed(),
            crashes=crashes,
            times_queued=Event.times_queued + 1,
            last_error=f"worker {lost.worker} died or fell silent during attempt {lost.attempt}",
            needs_attention=lost.needs_attention or raised,
            **RELEASED | {"due_at": func.now() + pause},
        )
    )
    session.execute(
        update(Attempt)
        .where(Attempt.event_id == lost.id, Attempt.number == lost.attempt, Attempt.finished_at.is_(None))
        .values(outcome=Outcome.LOST, finished_at=func.now(), error="worker died or fell silent")
    )
    free_busy(session, lost.account_id)
    return Recovered(lost.id, lost.account_id, crashes, raised)


def _after(
    session: Session,
    claim: Claim,
    state: str | None,
    *,
    outcome: Outcome,
    error: str,
    refused: bool = False,
    told: bool = False,
) -> EventState:
    if state is None:
        raise LeaseLost(f"attempt {claim.attempt} of event {claim.event_id} was taken over before it could end")
    ended = Outcome.REMOVED if state == EventState.REMOVED else outcome
    _end_attempt(session, claim, ended, error, None, refused=refused, told=told)
    free_busy(session, claim.account_id)
    return EventState(state)


def _end_attempt(
    session: Session,
    claim: Claim,
    outcome: Outcome,
    error: str | None,
    result: dict[str, Any] | None,
    *,
    refused: bool = False,
    told: bool = False,
) -> None:
    ended = {"how": outcome, "why": error, "with_result": result, "was_refused": refused}
    session.execute(_END_ATTEMPT, of_claim(claim) | ended)
    if not told:
        event_notices.attempt_ended(session, claim, outcome, error, result)
