"""Fills, orders and changes as rows of text for other programs, oldest first, in batches of a transaction each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, exists, select, tuple_
from sqlalchemy.orm import InstrumentedAttribute

from rebalancer.ledger.models import AuditRow, FillRow, Order
from rebalancer.ledger.queries.spans import Span
from rebalancer.ledger.session import Ledger

BATCH = 1000
Column = InstrumentedAttribute[Any]


@dataclass(frozen=True, slots=True)
class Export:
    """A table as it is exported.

    Attributes:
        place: columns by which rows are ordered, together unique; the first is a time or a number.
        at: when it happened.
        account: whose it is; ``None`` for what is nobody's.
    """

    columns: Sequence[Column]
    place: Sequence[Column]
    at: Column
    account: Column | None = None

    @property
    def head(self) -> list[str]:
        """Names of the columns."""
        return [column.key for column in self.columns]


@dataclass(frozen=True, slots=True)
class Part:
    """Which rows; ``None`` leaves out none. Of what is nobody's, the account counts for nothing."""

    account_id: str | None = None
    since: datetime | None = None
    until: datetime | None = None


FILLS = Export(
    columns=(
        *(FillRow.at, FillRow.account_id, FillRow.side, FillRow.symbol, FillRow.quantity, FillRow.price),
        *(FillRow.commission, FillRow.currency, FillRow.order_ref, FillRow.execution),
    ),
    place=(FillRow.at, FillRow.order_ref, FillRow.execution),
    at=FillRow.at,
    account=FillRow.account_id,
)
ORDERS = Export(
    columns=(
        *(Order.created_at, Order.account_id, Order.side, Order.symbol, Order.quantity, Order.order_type),
        *(Order.limit_price, Order.time_in_force, Order.planned_price, Order.planned_fee, Order.status, Order.filled),
        *(Order.final_at, Order.reason, Order.event_id, Order.attempt, Order.order_ref, Order.perm_id),
    ),
    place=(Order.created_at, Order.order_ref),
    at=Order.created_at,
    account=Order.account_id,
)
STYLED_ORDERS = replace(ORDERS, columns=(*ORDERS.columns, Order.style, Order.style_why, Order.style_instead_of))
AUDIT = Export(
    columns=(
        *(AuditRow.id, AuditRow.at, AuditRow.actor, AuditRow.address, AuditRow.action, AuditRow.subject),
        AuditRow.detail,
    ),
    place=(AuditRow.id,),
    at=AuditRow.at,
)


def orders(ledger: Ledger) -> Export:
    """All there is to say of orders: of their styles only where one has any."""
    with ledger.begin() as session:
        styled = session.scalar(select(exists().where(Order.style.is_not(None))))
    return STYLED_ORDERS if styled else ORDERS


def rows(ledger: Ledger, export: Export, part: Part) -> Iterator[Sequence[Any]]:
    """Every row; a reader that is slow keeps no transaction open.

    Raises:
        RecordUnavailable: PostgreSQL is away; what was given until then is a part only.
    """
    chosen: list[ColumnElement[bool]] = []
    if part.account_id is not None and export.account is not None:
        chosen.append(export.account == part.account_id)
    chosen += Span(part.since, part.until).holds(export.at)
    last: list[ColumnElement[bool]] = []
    width = len(export.columns)
    while True:
        query = select(*export.columns, *export.place).where(*chosen, *last).order_by(*export.place).limit(BATCH)
        with ledger.begin() as session:
            found = session.execute(query).all()
        yield from (row[:width] for row in found)
        if len(found) < BATCH:
            return
        last = [tuple_(*export.place) > tuple_(*found[-1][width:])]
