"""The kill switch: while a halt is on record nothing is sent, for one account or for all."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, and_, bindparam, case, func, literal, select, update
from sqlalchemy.dialects.postgresql import insert

from rebalancer.domain.claims import Claim
from rebalancer.domain.errors import LeaseLost
from rebalancer.domain.notices import NoticeKind
from rebalancer.domain.outcomes import FOREVER
from rebalancer.domain.rule_names import Rule
from rebalancer.ledger import holds, installations, outbox, unacknowledged_orders
from rebalancer.ledger.models import Event, HaltRow
from rebalancer.ledger.prepared import Prepared
from rebalancer.ledger.session import Session
from rebalancer.ledger.transitions import OWNED, named
from rebalancer.risk import Blocked

EVERYTHING = "all"
"""Scope of a halt of all accounts."""
_LOOK_SOON, _LOOK_AT_LEAST = timedelta(minutes=1), timedelta(minutes=15)
"""How soon the broker is asked again for an unacknowledged order, and how rarely after a long time."""


@dataclass(frozen=True, slots=True)
class Halt:
    """A halt that is in force.

    Attributes:
        scope: account id, or :data:`EVERYTHING`.
    """

    id: int
    scope: str
    reason: str
    by: str
    since: datetime

    @property
    def blocks(self) -> Blocked:
        """What a run comes to that meets it; it looks again by itself whether an order is acknowledged after all."""
        what = "everything" if self.scope == EVERYTHING else self.scope
        reason = f"halted: {what} by {self.by} since {self.since:%Y-%m-%d %H:%M} UTC: {self.reason}"
        return Blocked(Rule.HALT, reason, self._until)

    @property
    def _until(self) -> datetime:
        if self.by != unacknowledged_orders.BY:
            return FOREVER
        now = datetime.now(UTC)
        return now + min(max(now - self.since, _LOOK_SOON), _LOOK_AT_LEAST)


def halt(session: Session, scope: str, reason: str, by: str) -> bool:
    """Put a halt on record; from its commit on no new order of that scope is sent.

    Returns:
        False when one was in force already; it stays as it is.
    """
    row = insert(HaltRow).values(scope=scope, reason=reason, by=by)
    made = session.scalar(
        row.on_conflict_do_nothing(index_elements=[HaltRow.scope], index_where=HaltRow.lifted_at.is_(None)).returning(
            HaltRow.id
        )
    )
    if made is not None:
        outbox.tell(session, NoticeKind.HALTED, _account(scope), reason=reason, by=by)
    return made is not None


def halt_too(session: Session, scope: str, reason: str, by: str) -> bool:
    """Halt for a reason that must be on record even while another halt is in force: its reason is added to that one,
    which then only a person lifts.

    Returns:
        False when that reason was on record already.
    """
    row = insert(HaltRow).values(scope=scope, reason=reason, by=by)
    known = HaltRow.by
    made = session.scalar(
        row.on_conflict_do_update(
            index_elements=[HaltRow.scope],
            index_where=HaltRow.lifted_at.is_(None),
            set_={
                "reason": HaltRow.reason + "; " + row.excluded.reason,
                "by": case((known == unacknowledged_orders.BY, row.excluded.by), else_=known),
            },
            where=func.strpos(HaltRow.reason, row.excluded.reason) == 0,
        ).returning(HaltRow.id)
    )
    return made is not None


def lift_own(session: Session, scope: str, by: str) -> bool:
    """Lift a halt that the program made, if it is that one which is in force; what it held is due now."""
    return _lift(session, by, HaltRow.scope == scope, HaltRow.by == by) is not None


def resume(session: Session, scope: str, by: str) -> list[UUID] | None:
    """Lift the halt of that scope; a halt of all accounts and one of an account are lifted each by itself.

    Returns:
        The events that are due now, because it held them; those that another halt covers too will be held again.
        ``None`` when there was no halt.
    """
    freed = _lift(session, by, HaltRow.scope == scope)
    if freed is None:
        return None
    if scope != EVERYTHING:
        held = unacknowledged_orders.waiting(session, [scope])
        unacknowledged_orders.release(session, held, f"resumed by {by}, who has looked")
        installations.accept(session, scope, by)
    outbox.tell(session, NoticeKind.RESUMED, _account(scope), by=by)
    return freed


def _lift(session: Session, by: str, *which: ColumnElement[bool]) -> list[UUID] | None:
    """The events that the halt held; a run that is about to be held by it finds it lifted, see :func:`lasting`."""
    lifting = update(HaltRow).where(HaltRow.lifted_at.is_(None), *which)
    lifted = session.scalar(lifting.values(lifted_at=func.now(), lifted_by=by).returning(HaltRow.id))
    return None if lifted is None else holds.free(session, "resumed", Event.halt_id == lifted)


def in_force(session: Session, account_id: str | None = None) -> list[Halt]:
    """Halts, oldest first: all, or those that an account is under."""
    return [_view(row) for row in session.scalars(_in_force(account_id))]


_CLEARANCE = Prepared(
    "clearance",
    select(Event.remove_requested, HaltRow.id, HaltRow.scope, HaltRow.reason, HaltRow.by, HaltRow.since)
    .outerjoin(
        HaltRow, and_(HaltRow.lifted_at.is_(None), HaltRow.scope.in_((bindparam("account_id"), literal(EVERYTHING))))
    )
    .where(OWNED, Event.lease_until > func.now())
    .order_by(HaltRow.since, HaltRow.id),
)


def clearance(session: Session, claim: Claim) -> tuple[bool, list[Halt]]:
    """What is asked before every order, in one statement: whether the event is still wanted, and the halts that its
    account is under.

    Raises:
        LeaseLost: its lease has run out, or another attempt owns it.
    """
    rows = _CLEARANCE.rows(session, named(claim))
    if not rows:
        raise LeaseLost(f"attempt {claim.attempt} of event {claim.event_id} no longer holds its lease")
    return not rows[0].remove_requested, [_view(row) for row in rows if row.id is not None]


def lasting(session: Session, account_id: str) -> Halt | None:
    """A halt that an account is under; nobody lifts it before this transaction ends. One that looks again by itself
    comes first: it is to end as soon as it can, whatever else is halted.
    """
    looks_again = (HaltRow.by == unacknowledged_orders.BY).desc()
    chosen = _in_force(account_id).order_by(None).order_by(looks_again, HaltRow.since, HaltRow.id)
    row = session.scalar(chosen.limit(1).with_for_update(read=True))
    return None if row is None else _view(row)


def _in_force(account_id: str | None) -> Select[HaltRow]:
    chosen = select(HaltRow).where(HaltRow.lifted_at.is_(None)).order_by(HaltRow.since, HaltRow.id)
    return chosen if account_id is None else chosen.where(HaltRow.scope.in_((account_id, EVERYTHING)))


def _view(row: HaltRow | Row[*tuple[Any, ...]]) -> Halt:
    return Halt(id=row.id, scope=row.scope, reason=row.reason, by=row.by, since=row.since)


def _account(scope: str) -> str | None:
    return None if scope == EVERYTHING else scope
