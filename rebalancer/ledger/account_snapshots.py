"""What the broker said of accounts, and of each look what has come or gone since the one before."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from sqlalchemy import Numeric, bindparam, case, column, func, insert, select, update
from sqlalchemy.dialects.postgresql import JSONB, UUID
from sqlalchemy.orm import aliased
from sqlalchemy.sql.elements import ColumnElement
from sqlalchemy.sql.selectable import ScalarSelect

from rebalancer.domain.cash_flows import CashFlowKind, kind_of
from rebalancer.domain.money import ZERO
from rebalancer.domain.notices import NoticeKind
from rebalancer.ledger import outbox
from rebalancer.ledger.models import SnapshotRow
from rebalancer.ledger.session import Session


def keep(session: Session, **facts: Any) -> None:
    """Put a look at an account on record: columns of :class:`SnapshotRow` but ``id``, ``flow`` and ``flow_kind``. What
    came or went is named, and told unless it is small.
    """
    given = {"accrued_dividends": None} | facts
    kept = session.execute(_KEEP, given | {f"this_{name}": given[name] for name in _COMPARED}).one()
    if kept.flow is not None:
        paid = (kept.accrued_before or ZERO) - (given["accrued_dividends"] or ZERO)
        _name(session, kept.id, kept.flow, kind_of(kept.flow, given["net_liquidation"], paid), given)


def _name(session: Session, snapshot_id: int, flow: Decimal, kind: CashFlowKind, facts: Mapping[str, Any]) -> None:
    session.execute(update(SnapshotRow).where(SnapshotRow.id == snapshot_id).values(flow_kind=kind))
    if kind is not CashFlowKind.SMALL:
        equity = facts["net_liquidation"]
        share = str(abs(flow) / equity) if equity > 0 else None
        outbox.tell(
            session,
            NoticeKind.CASH_FLOW,
            facts["account_id"],
            facts["event_id"],
            flow=kind,
            amount=str(abs(flow)),
            share=share,
        )


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
    select(_earlier.cash, _earlier.event_id, _earlier.positions, _earlier.accrued_dividends)
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
_TABLE: Any = SnapshotRow.__table__
_KEEP = (
    insert(_TABLE)
    .values(flow=_flow)
    .returning(
        _TABLE.c.id,
        _TABLE.c.flow,
        case((_TABLE.c.flow.is_not(None), select(_last.c.accrued_dividends).scalar_subquery())).label("accrued_before"),
    )
)
"""Built once: every run needs it."""
