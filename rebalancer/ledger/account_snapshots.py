"""What the broker said of accounts, and of each look what has come or gone since the one before."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Numeric, bindparam, column, func, insert, select
from sqlalchemy.dialects.postgresql import JSONB, UUID
from sqlalchemy.orm import aliased
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.sql.selectable import ScalarSelect

from rebalancer.ledger.models import SnapshotRow
from rebalancer.ledger.session import Session


def keep(session: Session, **facts: Any) -> None:
    """Put a look at an account on record: columns of :class:`SnapshotRow` but ``id`` and ``flow``."""
    session.execute(_KEEP, facts | {f"this_{name}": facts[name] for name in _COMPARED})


def _held(positions: ColumnElement[Any]) -> ScalarSelect[Any]:
    """Shares by symbol: what is not held at all may be listed or not."""
    one = func.jsonb_array_elements(positions).table_valued(column("value", JSONB), name="one")
    shares = one.c.value["quantity"].astext.cast(Numeric)
    return select(func.jsonb_object_agg(one.c.value["symbol"].astext, shares)).where(shares != 0).scalar_subquery()


_COMPARED = ("account_id", "at", "event_id", "cash", "positions")
_earlier, _later = aliased(SnapshotRow), aliased(SnapshotRow)
_this: dict[str, Any] = {
    "cash": bindparam("this_cash", type_=Numeric()),
    "event_id": bindparam("this_event_id", type_=UUID()),
    "positions": bindparam("this_positions", type_=JSONB()),
}
_last = (
    select(_earlier.cash, _earlier.event_id, _earlier.positions)
    .where(_earlier.account_id == bindparam("this_account_id"), _earlier.at <= bindparam("this_at"))
    .order_by(_earlier.at.desc(), _earlier.id.desc())
    .limit(1)
    .subquery()
)
_newer = select(_later.id).where(_later.account_id == bindparam("this_account_id"), _later.at > bindparam("this_at"))
_flow = (
    select(_this["cash"] - _last.c.cash)
    .where(
        _last.c.event_id != _this["event_id"],
        _last.c.cash != _this["cash"],
        _held(_last.c.positions).is_not_distinct_from(_held(_this["positions"])),
        ~_newer.exists(),  # which has said already what came before it
    )
    .scalar_subquery()
)
_KEEP = insert(SnapshotRow.__table__).values(flow=_flow)  # type: ignore[arg-type]
"""Built once: every run needs it."""
