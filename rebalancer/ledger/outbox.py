"""Facts that people are told of: written with what they tell, routed, claimed, sent, marked.

Whoever sends claims with a lease, sends without any transaction open, then marks: a hanging server holds no lock. A
sender that dies between sending and marking is why a message may arrive twice; none is lost.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, exists, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import aliased

from rebalancer.domain.notices import Delivery, Notice, NoticeKind
from rebalancer.ledger.models import DeliveryRow, NoticeRow
from rebalancer.ledger.session import Session
from rebalancer.notify.timing import pause_after

ROUTED_AT_ONCE = 200
MOST = 8
"""Facts in one message."""
TRIES_TOGETHER = 2
"""So often a message of several facts is tried; afterwards each of them travels alone."""
_LOCKS = 0x6E6F7469
"""Class of the advisory locks by which senders of one target take turns in claiming."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """Facts that one sender may send to one target, as one message, until its lease runs out."""

    target: str
    notices: tuple[Notice, ...]
    lease_until: datetime


@dataclass(frozen=True, slots=True)
class Telling:
    """What became of telling one target.

    Attributes:
        state: ``waiting``, ``sent`` or ``given up``.
    """

    target: str
    state: str
    due_at: datetime
    tries: int
    last_error: str | None
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class Told:
    """A fact and who is told.

    Attributes:
        routed: it is decided who is told; without anybody among ``tellings``, nobody.
    """

    notice: Notice
    routed: bool
    tellings: tuple[Telling, ...]


@dataclass(frozen=True, slots=True)
class Stuck:
    """Messages that a target did not take so far."""

    target: str
    waiting: int
    since: datetime
    last_error: str


def tell(
    session: Session,
    kind: NoticeKind,
    account_id: str | None = None,
    event_id: UUID | None = None,
    key: str | None = None,
    **detail: Any,
) -> bool:
    """Put a fact into the outbox, in the transaction that makes it true.

    Args:
        key: facts with the same one are told once.

    Returns:
        False when it was there already.
    """
    row = insert(NoticeRow).values(kind=kind, account_id=account_id, event_id=event_id, key=key, detail=detail)
    made = session.scalar(row.on_conflict_do_nothing(index_elements=[NoticeRow.key]).returning(NoticeRow.id))
    return made is not None


def told_already(session: Session, keys: Sequence[str]) -> frozenset[str]:
    """Those of the keys under which something was told."""
    return frozenset(filter(None, session.scalars(select(NoticeRow.key).where(NoticeRow.key.in_(keys)))))


def newest_of(session: Session, *kinds: NoticeKind, of: Mapping[str, str] | None = None) -> Notice | None:
    """The newest fact of some kinds.

    Args:
        of: a gateway, as facts name it (see :func:`~rebalancer.domain.gateways.of_gateway`); ``None`` for any.
    """
    chosen = select(NoticeRow).where(NoticeRow.kind.in_(kinds)).order_by(NoticeRow.id.desc()).limit(1)
    if of is not None:
        named = NoticeRow.detail["gateway"].astext
        chosen = chosen.where(named == of["gateway"] if of else named.is_(None))
    row = session.scalar(chosen)
    return None if row is None else _notice(row)


def take_turns(session: Session, what: str) -> None:
    """Wait until no other transaction is at the same; ends with this one."""
    session.execute(select(func.pg_advisory_xact_lock(_LOCKS, func.hashtext(what))))


def anything(age: timedelta = timedelta()) -> Select[bool]:
    """Whether there may be a new fact of at least that age to route, or something to send or to drop."""
    new = exists().where(NoticeRow.routed_at.is_(None), NoticeRow.at <= func.now() - age)
    return select(or_(new, exists().where(DeliveryRow.ended_at.is_(None))))


ANY = anything()


def route_new(session: Session, decide: Callable[[Notice], Sequence[Delivery]], age: timedelta = timedelta()) -> int:
    """Decide for each new fact of at least that age who is told; in turns, since order is kept.

    Returns:
        How many facts were new.
    """
    take_turns(session, "routing")
    rows = session.scalars(
        select(NoticeRow)
        .where(NoticeRow.routed_at.is_(None), NoticeRow.at <= func.now() - age)
        .order_by(NoticeRow.id)
        .limit(ROUTED_AT_ONCE)
    ).all()
    for row in rows:
        for one in decide(_notice(row)):
            session.add(DeliveryRow(notice_id=row.id, target=one.target, box=one.box, due_at=one.due_at))
        row.routed_at = func.now()
    return len(rows)


def claim(session: Session, target: str, lease: timedelta) -> Claimed | None:
    """The right to send what waits for a target in one box, if something there is due and nobody sends from it.

    What is due takes along what waits behind it, so that an error comes with what led to it, and order is kept. What
    has failed several times travels alone from then on: perhaps the service takes anything but that.
    """
    take_turns(session, f"target {target}")
    other = aliased(DeliveryRow)
    being_sent = (
        select(other.notice_id)
        .where(other.target == target, other.box == DeliveryRow.box, other.ended_at.is_(None), _leased(other))
        .exists()
    )
    waits = and_(DeliveryRow.target == target, DeliveryRow.ended_at.is_(None))
    due = session.scalar(
        select(DeliveryRow)
        .where(waits, DeliveryRow.due_at <= func.now(), ~being_sent)
        .order_by(DeliveryRow.due_at, DeliveryRow.notice_id)
        .limit(1)
    )
    if due is None:
        return None
    ids = [due.notice_id] if due.tries >= TRIES_TOGETHER else _together(session, waits, due.box)
    until = session.execute(select(func.now() + lease)).scalar_one()
    session.execute(
        update(DeliveryRow)
        .where(DeliveryRow.target == target, DeliveryRow.notice_id.in_(ids))
        .values(lease_until=until)
    )
    rows = session.scalars(select(NoticeRow).where(NoticeRow.id.in_(ids)).order_by(NoticeRow.id))
    return Claimed(target, tuple(map(_notice, rows)), until)


def _together(session: Session, waits: ColumnElement[bool], box: str) -> list[int]:
    """The oldest of a box that may travel in one message."""
    chosen = select(DeliveryRow.notice_id).where(waits, DeliveryRow.box == box, DeliveryRow.tries < TRIES_TOGETHER)
    return list(session.scalars(chosen.order_by(DeliveryRow.notice_id).limit(MOST)))


def sent(session: Session, claimed: Claimed) -> None:
    """Mark as sent; the service works, so what failed before in the same box is tried again at once."""
    boxes = session.scalars(
        update(DeliveryRow)
        .where(_of(claimed), DeliveryRow.ended_at.is_(None))
        .values(sent=True, ended_at=func.now(), tries=DeliveryRow.tries + 1, lease_until=None, last_error=None)
        .returning(DeliveryRow.box)
    ).all()
    again = and_(DeliveryRow.target == claimed.target, DeliveryRow.ended_at.is_(None), DeliveryRow.tries > 0)
    session.execute(
        update(DeliveryRow).where(again, DeliveryRow.box.in_(boxes), ~_leased(DeliveryRow)).values(due_at=func.now())
    )


def failed(session: Session, claimed: Claimed, error: str, patience: timedelta) -> int:
    """Try again later, ever more slowly; give up what is older than ``patience``.

    Returns:
        How many facts were given up.
    """
    mine = and_(_of(claimed), DeliveryRow.ended_at.is_(None), DeliveryRow.lease_until == claimed.lease_until)
    tries = session.scalar(select(func.max(DeliveryRow.tries)).where(mine))
    if tries is None:
        return 0
    again = func.now() + pause_after(tries + 1)
    session.execute(
        update(DeliveryRow)
        .where(mine)
        .values(tries=DeliveryRow.tries + 1, last_error=error, lease_until=None, due_at=again)
    )
    old = select(NoticeRow.id).where(NoticeRow.at < func.now() - patience).scalar_subquery()
    given_up = (
        update(DeliveryRow)
        .where(_of(claimed), DeliveryRow.ended_at.is_(None), DeliveryRow.notice_id.in_(old))
        .values(ended_at=func.now())
        .returning(DeliveryRow.notice_id)
    )
    return len(session.scalars(given_up).all())


def drop_unknown(session: Session, targets: Sequence[str], patience: timedelta) -> int:
    """Give up what has waited for so long for targets that are no longer configured.

    Returns:
        How many deliveries.
    """
    old = select(NoticeRow.id).where(NoticeRow.at < func.now() - patience).scalar_subquery()
    gone = (
        update(DeliveryRow)
        .where(DeliveryRow.ended_at.is_(None), DeliveryRow.target.not_in(targets), DeliveryRow.notice_id.in_(old))
        .values(ended_at=func.now(), last_error="the target is no longer configured")
        .returning(DeliveryRow.notice_id)
    )
    return len(session.scalars(gone).all())


def recent(session: Session, limit: int, before: int | None = None) -> list[Told]:
    """The newest facts, newest first; from below the id ``before`` on."""
    chosen = select(NoticeRow).order_by(NoticeRow.id.desc()).limit(limit)
    if before is not None:
        chosen = chosen.where(NoticeRow.id < before)
    rows = list(session.scalars(chosen))
    told: defaultdict[int, tuple[Telling, ...]] = defaultdict(tuple)
    ids = [row.id for row in rows]
    for one in session.scalars(select(DeliveryRow).where(DeliveryRow.notice_id.in_(ids)).order_by(DeliveryRow.target)):
        told[one.notice_id] += (_telling(one),)
    return [Told(_notice(row), row.routed_at is not None, told[row.id]) for row in rows]


def stuck(session: Session) -> list[Stuck]:
    """Targets that did not take something which still waits."""
    newest = func.max(DeliveryRow.last_error)
    rows = session.execute(
        select(DeliveryRow.target, func.count().label("waiting"), func.min(NoticeRow.at).label("since"), newest)
        .join(NoticeRow, NoticeRow.id == DeliveryRow.notice_id)
        .where(DeliveryRow.ended_at.is_(None), DeliveryRow.tries > 0)
        .group_by(DeliveryRow.target)
        .order_by(DeliveryRow.target)
    )
    return [Stuck(target, waiting, since, error or "") for target, waiting, since, error in rows]


def _leased(row: type[DeliveryRow]) -> ColumnElement[bool]:
    return and_(row.lease_until.is_not(None), row.lease_until > func.now())


def _of(claimed: Claimed) -> ColumnElement[bool]:
    ids = [notice.id for notice in claimed.notices]
    return and_(DeliveryRow.target == claimed.target, DeliveryRow.notice_id.in_(ids))


def _notice(row: NoticeRow) -> Notice:
    return Notice(
        id=row.id,
        at=row.at,
        kind=NoticeKind(row.kind),
        account_id=row.account_id,
        event_id=row.event_id,
        detail=row.detail,
    )


def _telling(row: DeliveryRow) -> Telling:
    ended = "sent" if row.sent else "given up"
    state = "waiting" if row.ended_at is None else ended
    return Telling(
        target=row.target,
        state=state,
        due_at=row.due_at,
        tries=row.tries,
        last_error=row.last_error,
        ended_at=row.ended_at,
    )
