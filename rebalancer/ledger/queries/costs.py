"""Orders with the quotes that they were decided at and what their executions cost; see :mod:`rebalancer.costs`.

Orders are read in the order in which they were intended, a batch at a time, over an index: what is read of the ledger
is what is asked for, however much else there is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Self

from sqlalchemy import ColumnElement, Numeric, Row, Select, case, cast, column, func, or_, select, true, tuple_
from sqlalchemy.dialects.postgresql import JSONB

from rebalancer.costs.shortfall import Decided, SentOrder
from rebalancer.domain.currencies import USD, CurrencyPair
from rebalancer.domain.money import ONE
from rebalancer.domain.order_styles import OrderStyle
from rebalancer.domain.portfolio import OrderType, Side
from rebalancer.domain.units import Usd
from rebalancer.ledger import fill_amounts
from rebalancer.ledger.models import Attempt, FillRow, Order
from rebalancer.ledger.orders import NEVER_SENT
from rebalancer.ledger.queries.spans import Span
from rebalancer.ledger.session import Ledger, Session

BATCH = 5000
LATELY = timedelta(days=92)


@dataclass(frozen=True, slots=True)
class OrderSpan(Span):
    """Which orders: intended in that time.

    Attributes:
        account_ids: of these accounts; ``None`` leaves out none.
    """

    account_ids: Sequence[str] | None = None

    @classmethod
    def lately_or(cls, asked: Span, account_id: str | None) -> Self:
        """What was asked for, of one account or all; the last three months where nobody says how far back."""
        since = asked.since or datetime.now(UTC) - LATELY
        return cls(since, asked.until, None if account_id is None else [account_id])


def sent_orders(ledger: Ledger, span: OrderSpan) -> Iterator[SentOrder]:
    """Every order that was sent, the oldest first; a reader that is slow keeps no transaction open.

    Raises:
        RecordUnavailable: PostgreSQL is away; what was given until then is a part only.
    """

    def following(after: SentOrder | None) -> list[SentOrder]:
        with ledger.begin() as session:
            return batch(session, span, BATCH, after)

    return _all(following)


def sent_in(session: Session, span: OrderSpan) -> Iterator[SentOrder]:
    """The same within one transaction."""
    return _all(lambda after: batch(session, span, BATCH, after))


def _all(following: Callable[[SentOrder | None], list[SentOrder]]) -> Iterator[SentOrder]:
    after: SentOrder | None = None
    while True:
        found = following(after)
        yield from found
        if len(found) < BATCH:
            return
        after = found[-1]


def newest_orders(session: Session, span: OrderSpan, limit: int) -> list[SentOrder]:
    """The last of them, the newest first."""
    place = Order.created_at.desc(), Order.order_ref.desc()
    return _orders(session, _chosen(span).order_by(*place).limit(limit))


def batch(session: Session, span: OrderSpan, limit: int, after: SentOrder | None = None) -> list[SentOrder]:
    """The first of them, the oldest first, or those that follow ``after``."""
    place = Order.created_at, Order.order_ref
    query = _chosen(span).order_by(*place).limit(limit)
    return _orders(session, query if after is None else query.where(tuple_(*place) > (after.at, after.order_ref)))


def _chosen(span: OrderSpan) -> Select[Any]:
    query = select(Order.order_ref).where(Order.status != NEVER_SENT, *span.holds(Order.created_at))
    return query if span.account_ids is None else query.where(Order.account_id.in_(span.account_ids))


def _orders(session: Session, query: Select[Any]) -> list[SentOrder]:
    executed, quote = _executed(), _quote()
    rows: Any = session.execute(
        query.with_only_columns(
            *(Order.order_ref, Order.event_id, Order.attempt, Order.account_id, Order.symbol, Order.side),
            *(Order.created_at, Order.quantity, Order.planned_price, Order.filled),
            *(Order.style, Order.style_instead_of, Order.order_type),
            *(quote["bid"].astext.label("bid"), quote["ask"].astext.label("ask"), _margin(quote).label("margin")),
            *executed.c,
        )
        .join(Attempt, (Attempt.event_id == Order.event_id) & (Attempt.number == Order.attempt))
        .join(executed, true())
    )
    return [_order(row) for row in rows]


def _executed() -> Any:
    """Shares, price and commission of an order's executions, and how many have no commission in USD."""
    commission = fill_amounts.commission()
    return (
        select(
            func.coalesce(func.sum(FillRow.quantity), 0).label("shares"),
            func.coalesce(func.sum(FillRow.quantity * FillRow.price), 0).label("paid"),
            func.coalesce(func.sum(commission), 0).label("commission"),
            func.count().filter(commission.is_(None)).label("unknown"),
            func.max(FillRow.at).label("ended_at"),
        )
        .where(FillRow.order_ref == Order.order_ref)
        .correlate(Order)
        .lateral("executed")
    )


def _quote() -> ColumnElement[Any]:
    """The symbol's quote at the first plan of the run that has one: a later round makes up for what an earlier one did
    not fill, and is late by as much.
    """
    later = func.jsonb_path_query_first(
        Attempt.plan["further_rounds"],
        "$[*].inputs.quotes.keyvalue() ? (@.key == $symbol).value",
        func.jsonb_build_object("symbol", Order.symbol),
        type_=JSONB,
    )
    return func.coalesce(Attempt.inputs["quotes"][Order.symbol], later, type_=JSONB)


def _margin(quote: ColumnElement[Any]) -> ColumnElement[Decimal]:
    """What a buy was planned with, over its ask: 1, or more by the ``PRICE_MARGIN_PERCENT`` of that time, which
    every buy of the run's first plan says.
    """
    one = func.jsonb_array_elements(Attempt.plan["orders"]).table_valued(column("order", JSONB)).render_derived()
    ask = Attempt.inputs["quotes"][one.c.order["symbol"].astext]["ask"].astext
    said = (
        select(cast(one.c.order["price"].astext, Numeric) / cast(ask, Numeric))
        .where(one.c.order["side"].astext == Side.BUY)
        .limit(1)
        .correlate(Attempt)
        .scalar_subquery()
    )
    as_quoted = or_(Order.side != Side.BUY, Order.planned_price == cast(quote["ask"].astext, Numeric))
    return case((as_quoted, 1), else_=func.coalesce(said, 1))


def _order(row: Row[Any]) -> SentOrder:
    return SentOrder(
        order_ref=row.order_ref,
        event_id=row.event_id,
        attempt=row.attempt,
        account_id=row.account_id,
        symbol=row.symbol,
        side=Side(row.side),
        at=row.created_at,
        quantity=row.quantity,
        sized_at=row.planned_price / row.margin,
        quote=Decided.read(row.bid, row.ask),
        shares=row.shares,
        paid=Usd(row.paid),
        commission=Usd(row.commission),
        usd=_usd(row.symbol, row.planned_price),
        incomplete=row.unknown > 0 or row.filled > row.shares,
        style=row.style or _plain(row.order_type),
        instead_of=row.style_instead_of,
        chosen=row.style is not None,
        ended_at=row.ended_at,
    )


def _usd(symbol: str, price: Decimal) -> Decimal:
    """For one unit of what prices are in: of a pair such as USD.CHF francs, at the price at which it was planned."""
    pair = CurrencyPair.read(symbol)
    return ONE / price if pair is not None and pair.first == USD else ONE


def _plain(order_type: str) -> str:
    """Of an order without a style."""
    return OrderStyle.LIMIT if order_type == OrderType.LIMIT else OrderStyle.MARKET
