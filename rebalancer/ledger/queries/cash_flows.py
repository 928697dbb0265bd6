"""Cash that came to accounts or went without a trade."""

from __future__ import annotations

from sqlalchemy import select

from rebalancer.domain.cash_flows import CashFlow, CashFlowKind
from rebalancer.ledger.models import SnapshotRow
from rebalancer.ledger.session import Session


def newest(session: Session, account_id: str, limit: int) -> list[CashFlow]:
    """The newest first; what is too small to be told apart is left out."""
    rows = session.execute(
        select(SnapshotRow.account_id, SnapshotRow.at, SnapshotRow.flow, SnapshotRow.flow_kind)
        .where(
            SnapshotRow.account_id == account_id,
            SnapshotRow.flow.is_not(None),
            SnapshotRow.flow_kind.is_distinct_from(CashFlowKind.SMALL),
        )
        .order_by(SnapshotRow.at.desc(), SnapshotRow.id.desc())
        .limit(limit)
    )
    return [
        CashFlow(row.account_id, row.at, row.flow, None if row.flow_kind is None else CashFlowKind(row.flow_kind))
        for row in rows
    ]
