"""What a held event waits for, and whether that is still so.

A held event names the rule that holds it. A halt holds it as long as that halt is in force, an approval as long as its
plan is before a person, a canary or a breaker as long as its strategy is held, every other rule until ``due_at``.
Whoever ends a halt or answers a plan frees what it held in the same transaction; :func:`release` finds what nothing
holds any more although nobody freed it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import ColumnElement, bindparam, case, exists, func, or_, select, update

from rebalancer.domain.approvals import ApprovalState
from rebalancer.domain.commands import Command
from rebalancer.domain.outcomes import FOREVER
from rebalancer.domain.rule_names import Rule
from rebalancer.domain.strategy_holds import OPEN, HoldKind, HoldState, StrategyHold
from rebalancer.ledger.models import ApprovalRow, Event, HaltRow, SignalEvent, StrategyHoldRow
from rebalancer.ledger.prepared import Prepared
from rebalancer.ledger.session import Session
from rebalancer.ledger.states import EventState

ANY = select(exists().where(Event.state == EventState.HELD))
"""Without one :func:`release` finds nothing."""


@dataclass(frozen=True, slots=True)
class Stranded:
    """A held event that nothing holds.

    Attributes:
        rule: that held it last.
    """

    event_id: UUID
    account_id: str
    command: Command
    rule: str | None


def free(session: Session, why: str, *which: ColumnElement[bool]) -> list[UUID]:
    """Let held events run now.

    Args:
        why: reason for people.
    """
    chosen = (
        select(Event.id)
        .where(Event.state == EventState.HELD, *which)
        .order_by(Event.account_id, Event.command)
        .with_for_update()
    )
    freed = update(Event).where(Event.id.in_(session.scalars(chosen).all())).returning(Event.id)
    return list(
        session.scalars(freed.values(state=EventState.QUEUED, reason=why, rule=None, halt_id=None, due_at=func.now()))
    )


def stranded(session: Session) -> list[Stranded]:
    """Held events that no halt, approval or time holds any more, oldest first."""
    rows = session.scalars(select(Event).where(*_STRANDED).order_by(Event.created_at))
    return _stranded(rows.all())


def release(session: Session) -> list[Stranded]:
    """Let them run now; those that somebody else has locked are left to the next time."""
    rows = session.scalars(select(Event).where(*_STRANDED).with_for_update(skip_locked=True)).all()
    found = _stranded(rows)
    if found:
        free(session, "nothing holds it any more", Event.id.in_([one.event_id for one in found]))
    return found


def is_asked(session: Session, event_id: UUID) -> bool:
    """Whether a plan of the event is before a person."""
    return session.scalar(select(_ASKED).where(Event.id == event_id)) or False


def has_news(session: Session, event_id: UUID) -> bool:
    """Whether the event was asked for again since its run began; nobody asks until the transaction has ended."""
    asked = select(Event.requested_generation > Event.observed_generation).where(Event.id == event_id)
    return session.scalar(asked.with_for_update()) or False


def of_strategy(session: Session, event_id: UUID) -> StrategyHold | None:
    """The strategy's hold that keeps the event, as it is now: nobody ends it or puts it before a person until this
    transaction ends. The event is locked first, as whoever records a signal does.
    """
    session.execute(select(Event.id).where(Event.id == event_id).with_for_update())
    kept = select(StrategyHoldRow).where(*OF_STRATEGY, Event.id == event_id).order_by(StrategyHoldRow.id)
    locked = kept.limit(1).with_for_update(read=True, of=StrategyHoldRow)
    row = session.scalar(locked.execution_options(populate_existing=True))
    return None if row is None else view(row)


def view(row: StrategyHoldRow, waiting: tuple[str, ...] = ()) -> StrategyHold:
    """A hold as people and runs see it."""
    return StrategyHold(
        id=row.id,
        kind=HoldKind(row.kind),
        strategy=row.strategy,
        state=HoldState(row.state),
        event_id=row.event_id,
        account_id=row.account_id,
        reasons=tuple(row.reasons),
        since=row.since,
        judge_by=row.judge_by,
        asked_at=row.asked_at,
        waiting=waiting,
    )


_WITHDRAW = Prepared(
    "withdraw_question",
    update(ApprovalRow)
    .where(ApprovalRow.event_id == bindparam("of_event"), ApprovalRow.state == ApprovalState.PENDING)
    .values(state=ApprovalState.REPLACED),
)


def withdraw_question(session: Session, event_id: UUID) -> None:
    """What has been done without an answer is not asked any more."""
    _WITHDRAW.run(session, {"of_event": event_id})


def _stranded(rows: Sequence[Event]) -> list[Stranded]:
    return [Stranded(row.id, row.account_id, Command(row.command), row.rule) for row in rows]


_HALTED = exists().where(HaltRow.id == Event.halt_id, HaltRow.lifted_at.is_(None))
_ASKED = exists().where(ApprovalRow.event_id == Event.id, ApprovalRow.state == ApprovalState.PENDING)
BY_STRATEGY = (Rule.CANARY, Rule.BREAKER)
"""Rules by which all accounts of a strategy wait."""
OF_STRATEGY = (
    StrategyHoldRow.state.in_(OPEN),
    or_(StrategyHoldRow.kind == HoldKind.BREAKER, StrategyHoldRow.event_id != Event.id),
    SignalEvent.signal_id == StrategyHoldRow.signal_id,
    SignalEvent.event_id == Event.id,
)
"""A strategy's hold keeps the event: it serves the signal in question, and is not itself the canary."""
_HOLDS = case(
    (Event.rule == Rule.HALT, _HALTED),
    (Event.rule == Rule.APPROVAL, _ASKED),
    (Event.rule.in_(BY_STRATEGY), exists().where(*OF_STRATEGY)),
    else_=Event.due_at < FOREVER,
)
_STRANDED = (Event.state == EventState.HELD, Event.due_at > func.now(), ~_HOLDS)
