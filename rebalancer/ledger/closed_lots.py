"""Lots that sales have closed, as the broker's statements have them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict
from datetime import datetime

from sqlalchemy import delete, insert, select, tuple_

from rebalancer.domain.household import StatedLot
from rebalancer.domain.units import Shares, Usd
from rebalancer.ledger.models import ClosedLotRow
from rebalancer.ledger.session import Session


def keep(session: Session, lots: Collection[StatedLot]) -> None:
    """Put a statement's on record; whatever was stated of the same sales before is gone: IBKR may have corrected it."""
    if not lots:
        return
    sales = {(one.account_id, one.symbol, one.closed_at) for one in lots}
    sale = tuple_(ClosedLotRow.account_id, ClosedLotRow.symbol, ClosedLotRow.closed_at)
    session.execute(delete(ClosedLotRow).where(sale.in_(sales)))
    session.execute(insert(ClosedLotRow), [asdict(one) for one in lots])


def stated(session: Session, account_ids: Sequence[str], until: datetime) -> list[StatedLot]:
    """Those of sales before then, oldest first."""
    chosen = (
        select(ClosedLotRow)
        .where(ClosedLotRow.account_id.in_(account_ids), ClosedLotRow.closed_at < until)
        .order_by(ClosedLotRow.closed_at, ClosedLotRow.id)
    )
    return [
        StatedLot(
            account_id=row.account_id,
            symbol=row.symbol,
            closed_at=row.closed_at,
            opened=row.opened,
            quantity=Shares(row.quantity),
            cost=Usd(row.cost),
            realized=Usd(row.realized),
        )
        for row in session.scalars(chosen)
    ]
