"""The identity of the installation that keeps this ledger; it is part of every order ref."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from secrets import token_hex

from sqlalchemy import Text, bindparam, exists, func, select, text, union_all, update
from sqlalchemy.dialects.postgresql import ARRAY, insert

from rebalancer.domain.account_history import Strangers
from rebalancer.domain.order_refs import OrderRef
from rebalancer.domain.rule_names import Rule
from rebalancer.ledger.models import Event, ForeignOrderRow, HaltRow, InstallationRow, Order
from rebalancer.ledger.prepared import Prepared
from rebalancer.ledger.session import Session
from rebalancer.ledger.states import EventState

RESTORE = "restore"
"""Who halts a restored ledger."""
_TURN = 0x696E7374
"""Advisory lock under which an identity is made."""
_PLACE = "rebalancer place"
"""What a connection knows of itself."""
_DATABASE = text("SELECT oid FROM pg_database WHERE datname = current_database()")
_MAY_READ = text("SELECT has_function_privilege('pg_control_system()', 'EXECUTE')")
_CLUSTER = text("SELECT system_identifier FROM pg_control_system()")


def current(session: Session) -> str:
    """Our identity. A ledger that was restored, or copied to another place, gets a new one here."""
    identity = known(session)
    if identity is None:
        session.execute(select(func.pg_advisory_xact_lock(_TURN)))
        identity = known(session) or _renewed(session, _place(session))
    return identity


def _place(session: Session) -> str:
    """Database cluster and database, which a connection never changes; where a host hides the cluster's identifier,
    ``%`` stands for it.
    """
    known = session.connection().info
    if _PLACE not in known:
        cluster = session.scalar(_CLUSTER) if session.scalar(_MAY_READ) else "%"
        known[_PLACE] = f"{cluster}/{session.scalar(_DATABASE)}"
    place: str = known[_PLACE]
    return place


_CURRENT = Prepared(
    "installation",
    select(InstallationRow.identity).where(
        InstallationRow.retired_at.is_(None),
        InstallationRow.place.like(bindparam("place")),
        ~exists().where(HaltRow.by == RESTORE, HaltRow.since > InstallationRow.made_at),
    ),
)


def known(session: Session) -> str | None:
    """Our identity, if no new one is due."""
    found: str | None = _CURRENT.scalar(session, {"place": _place(session)})
    return found


def _renewed(session: Session, place: str) -> str:
    """After the restore, which is in the past, so that nothing that was done before counts as done since."""
    restored = select(func.max(HaltRow.since)).where(HaltRow.by == RESTORE, HaltRow.since > InstallationRow.made_at)
    session.execute(
        update(InstallationRow)
        .where(InstallationRow.retired_at.is_(None))
        .values(retired_at=func.coalesce(restored.scalar_subquery(), func.now()))
    )
    identity = token_hex(4)
    session.execute(insert(InstallationRow).values(identity=identity, place=place, made_at=func.clock_timestamp()))
    return identity


def strangers(session: Session, seen: Mapping[str, datetime | None], restored_at: datetime | None) -> Strangers:
    """Sort what the broker lists.

    Args:
        seen: order refs, with the time of the first execution; ``None`` without one.
        restored_at: when this ledger was last restored, lately.
    """
    ours = {ref: read for ref in seen if (read := OrderRef.read(ref)) is not None}
    unknown = ours.keys() - _on_record(session, ours)
    if not unknown:
        return Strangers(frozenset(), frozenset())
    retired = frozenset(
        session.scalars(select(InstallationRow.identity).where(InstallationRow.retired_at.is_not(None)))
    )
    lost = {ref for ref in unknown if _lost(ours[ref], seen[ref], retired, restored_at)}
    return Strangers(frozenset(lost), frozenset(unknown - lost))


_ON_RECORD = Prepared(
    "refs_on_record",
    union_all(
        select(Order.order_ref).where(Order.order_ref == func.any(bindparam("refs", type_=ARRAY(Text)))),
        select(ForeignOrderRow.order_ref).where(
            ForeignOrderRow.order_ref == func.any(bindparam("refs", type_=ARRAY(Text))),
            ForeignOrderRow.accepted_at.is_not(None),
        ),
    ),
)


def _on_record(session: Session, refs: Collection[str]) -> frozenset[str]:
    """Intended by us, or accepted by a person."""
    return frozenset(_ON_RECORD.run(session, {"refs": list(refs)}).scalars())


def _lost(ref: OrderRef, executed: datetime | None, retired: Collection[str], restored_at: datetime | None) -> bool:
    """Of our own past: what was carried out since the restore, whoever we were before is at work elsewhere."""
    if restored_at is None or (ref.installation is not None and ref.installation not in retired):
        return False
    return executed is None or executed <= restored_at


def held(session: Session) -> list[str]:
    """Reasons of the events that wait because another client has the turn to trade their account."""
    waiting = select(Event.reason).where(Event.state == EventState.HELD, Event.rule == Rule.OTHER_INSTALLATION)
    return list(session.scalars(waiting.order_by(Event.created_at)))


def unaccepted(session: Session) -> dict[str, list[str]]:
    """Refs of others' orders that nobody has looked at yet, by the account that is halted for them."""
    rows = session.execute(
        select(ForeignOrderRow.account_id, func.array_agg(ForeignOrderRow.order_ref))
        .where(ForeignOrderRow.accepted_at.is_(None))
        .group_by(ForeignOrderRow.account_id)
        .order_by(ForeignOrderRow.account_id)
    )
    return {row[0]: list(row[1]) for row in rows}


def seen(session: Session, account_id: str, refs: Collection[str]) -> None:
    """Put orders of others on record."""
    for ref in sorted(refs):
        row = insert(ForeignOrderRow).values(order_ref=ref, account_id=account_id)
        session.execute(row.on_conflict_do_nothing())


def accept(session: Session, account_id: str, by: str) -> None:
    """A person who has looked lets the account go on: what was seen so far stops it no more."""
    session.execute(
        update(ForeignOrderRow)
        .where(ForeignOrderRow.account_id == account_id, ForeignOrderRow.accepted_at.is_(None))
        .values(accepted_at=func.now(), accepted_by=by)
    )
