"""Which processes of ours are at work, as they say themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, delete, func, select
from sqlalchemy.dialects.postgresql import insert

from rebalancer.domain.accounts import MAIN_GATEWAY
from rebalancer.ledger.models import Component
from rebalancer.ledger.session import Session

BEAT = "beat"
PARTS = "parts"
"""In the detail of beat: by part that has to work all the time, ``silent_s`` and the last ``error``, if any."""
LOGINS = "logins"
"""In the detail of beat, by gateway whose log says it: ``step`` of its login and ``since`` when."""
WORKER = "worker"
AT = "at"
"""In the detail of a worker process that serves another gateway than the main one: its name."""
WANTED = "wanted_client_ids"
"""In the detail of a worker process: client ids of the gateway's that it needs, and that others have."""
LISTENER = "listener"
API = "api"
BEAT_SILENT_S = 15.0
WORKER_SILENT_S = SILENT_S = 30.0
"""After that long without a word a process does not count any more."""

FORGOTTEN_AFTER = timedelta(hours=1)


_NOTED = insert(Component.metadata.tables[Component.__tablename__])
_SEEN = _NOTED.values(seen_at=func.now()).on_conflict_do_update(
    index_elements=[Component.name, Component.host], set_={"detail": _NOTED.excluded.detail, "seen_at": func.now()}
)
"""Made once: every process says it every few seconds."""
_WANTED = select(func.jsonb_agg(Component.detail[WANTED])).where(
    Component.name == WORKER,
    Component.detail.has_key(WANTED),
    Component.seen_at > func.now() - timedelta(seconds=WORKER_SILENT_S),
    func.coalesce(Component.detail[AT].astext, MAIN_GATEWAY) == bindparam("at_gateway"),
)
_SEEN_AND_WANTED = _SEEN.returning(_WANTED.scalar_subquery())


@dataclass(frozen=True, slots=True)
class ComponentView:
    """A process; ``age_s`` is by the ledger's clock."""

    name: str
    host: str
    seen_at: datetime
    age_s: float
    detail: dict[str, Any]

    @property
    def gateway(self) -> str:
        """Of a worker process: name of the gateway that it serves."""
        return str(self.detail.get(AT, MAIN_GATEWAY))


def seen(session: Session, name: str, host: str, detail: dict[str, Any]) -> None:
    """Note that a process is at work."""
    session.execute(_SEEN, {"name": name, "host": host, "detail": detail})


def started(session: Session, name: str, host: str, detail: dict[str, Any]) -> None:
    """The same for a process that has just begun; see :func:`forget_ended`."""
    forget_ended(session, name)
    seen(session, name, host, detail)


def forget_ended(session: Session, name: str) -> None:
    """Those of a kind that ended long ago are forgotten."""
    session.execute(delete(Component).where(Component.name == name, Component.seen_at < func.now() - FORGOTTEN_AFTER))


def gone(session: Session, name: str, host: str) -> None:
    """Note that a process ended in order."""
    session.execute(delete(Component).where(Component.name == name, Component.host == host))


def known(session: Session) -> list[ComponentView]:
    """Every process not forgotten, the one seen last first."""
    age = func.extract("epoch", func.now() - Component.seen_at)
    rows = session.execute(select(Component, age).order_by(Component.seen_at.desc()))
    return [
        ComponentView(name=row.name, host=row.host, seen_at=row.seen_at, age_s=float(age), detail=row.detail)
        for row, age in rows
    ]


def seen_and_wanted(session: Session, host: str, detail: dict[str, Any], gateway: str) -> frozenset[int]:
    """Note that a worker process is at work. Both are one message, since each of them does so every few seconds.

    Returns:
        Client ids that worker processes of a gateway at work need, and that others have.
    """
    given = {"name": WORKER, "host": host, "detail": detail, "at_gateway": gateway}
    wishes = session.scalar(_SEEN_AND_WANTED, given) or ()
    return frozenset(one for wanted in wishes for one in wanted)


def idle_parts(detail: Mapping[str, Any]) -> list[str]:
    """Parts of a process that have not worked for as long as makes a process count as silent, and why."""
    parts = detail.get(PARTS, {})
    return [
        f"{name} has not worked for {part['silent_s']:.0f} s: {part['error'] or 'it hangs'}"
        for name, part in sorted(parts.items())
        if part["silent_s"] > BEAT_SILENT_S
    ]


def now(session: Session) -> datetime:
    """The ledger's clock."""
    moment: datetime = session.execute(select(func.clock_timestamp())).scalar_one()
    return moment
