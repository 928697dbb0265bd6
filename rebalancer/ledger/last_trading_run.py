"""The account before the newest run that traded, and what that run has filled since."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement, Interval, Row, and_, bindparam, exists, func, or_, select

from rebalancer.domain.account_history import AfterSnapshot, Seen
from rebalancer.domain.currencies import CurrencyPair
from rebalancer.domain.orders import Fill
from rebalancer.domain.portfolio import AccountSnapshot, BaseCurrency, Position, Side
from rebalancer.domain.units import NO_SHARES, NO_USD, Shares, Usd
from rebalancer.ledger import fill_amounts
from rebalancer.ledger.fills import execution_id, fill_of
from rebalancer.ledger.models import Attempt, FillRow, Order, SnapshotRow
from rebalancer.ledger.orders import UNLISTED
from rebalancer.ledger.prepared import Prepared
from rebalancer.ledger.session import Session
from rebalancer.ledger.unreported_fills import untold

_REACH = timedelta(days=1)


def _counts() -> ColumnElement[bool]:
    """Orders that filled, and those of today that the broker had and no longer lists, which may have."""
    vanished = and_(Order.status == UNLISTED, Order.created_at > func.now() - _REACH)
    return or_(Order.filled > 0, vanished)


_BEFORE_IT = (
    select(func.coalesce(func.sum(fill_amounts.value()), 0))
    .join(Order, Order.order_ref == FillRow.order_ref)
    .where(
        FillRow.account_id == SnapshotRow.account_id,
        FillRow.at > SnapshotRow.at - bindparam("within", type_=Interval()),
        or_(Order.event_id != SnapshotRow.event_id, Order.attempt != SnapshotRow.attempt),
    )
    .correlate(SnapshotRow)
    .scalar_subquery()
)
_SNAPSHOT = (
    SnapshotRow.account_id,
    SnapshotRow.event_id,
    SnapshotRow.attempt,
    SnapshotRow.moment,
    SnapshotRow.at,
    SnapshotRow.net_liquidation,
    SnapshotRow.cash,
    SnapshotRow.settled_cash,
    SnapshotRow.available_funds,
    SnapshotRow.base,
    SnapshotRow.positions,
)
_NEWEST = Prepared(
    "newest_run",
    select(*_SNAPSHOT, _BEFORE_IT.label("turnover_before"))
    .where(
        SnapshotRow.account_id == bindparam("account_id"),
        SnapshotRow.moment == "before",
        SnapshotRow.at > func.now() - _REACH,
        exists().where(
            Order.event_id == SnapshotRow.event_id,
            Order.attempt == SnapshotRow.attempt,
            func.coalesce(Order.final_at, func.now()) > func.now() - bindparam("within", type_=Interval()),
            _counts(),
        ),
    )
    .order_by(SnapshotRow.id.desc())
    .limit(1),
)
_FILLED = Prepared(
    "filled_in_run",
    select(
        Order.order_ref,
        Order.account_id,
        Order.symbol,
        Order.side,
        Order.contract_id,
        Order.perm_id,
        Order.created_at,
        Order.planned_price,
        Order.filled,
        Order.quantity.label("ordered"),
        FillRow.execution,
        FillRow.revision,
        FillRow.at,
        FillRow.quantity,
        FillRow.price,
        FillRow.commission,
        FillRow.currency,
        untold().label("untold"),
        _counts().label("counts"),
    )
    .outerjoin(FillRow, FillRow.order_ref == Order.order_ref)
    .where(
        Order.event_id == bindparam("event_id"),
        Order.attempt == bindparam("attempt"),
        or_(FillRow.order_ref.is_not(None), _counts()),
    ),
)
_LAST_SEEN = Prepared(
    "last_seen",
    select(*_SNAPSHOT, Attempt.started_at, Attempt.finished_at, Attempt.plan["kept"].label("kept"))
    .join(Attempt, and_(Attempt.event_id == SnapshotRow.event_id, Attempt.number == SnapshotRow.attempt))
    .where(
        SnapshotRow.account_id == bindparam("account_id"),
        SnapshotRow.at > func.now() - bindparam("within", type_=Interval()),
    )
    .order_by(SnapshotRow.id.desc())
    .limit(1),
)
"""All are built once: every run asks them several times."""


def last_run(session: Session, account_id: str, within: timedelta) -> AfterSnapshot | None:
    """The account as it was before the newest run that traded, and what that run has filled since.

    Returns:
        ``None`` if there was no such run, or its orders ended longer ago than ``within``.
    """
    before = _NEWEST.run(session, {"account_id": account_id, "within": within}).one_or_none()
    if before is None:
        return None
    rows = _FILLED.rows(session, {"event_id": before.event_id, "attempt": before.attempt})
    told = [row for row in rows if row.execution is not None]
    counting = {row.order_ref: row for row in rows if row.counts}
    fills = (
        *(fill_of(row, row.contract_id) for row in told),
        *(fill for row in counting.values() for fill in _stated(row)),
    )
    return AfterSnapshot(
        _with_hidden(session, before, fills),
        fills,
        {execution_id(row): row.commission for row in told if row.commission is not None and row.currency == "USD"},
        Usd(before.turnover_before),
    )


def seen(session: Session, account_id: str, within: timedelta) -> Seen | None:
    """The account as it was recorded last, with our fills since; ``None`` if that is longer ago than ``within``."""
    row = _LAST_SEEN.run(session, {"account_id": account_id, "within": within}).one_or_none()
    if row is None:
        return None
    since = _since(row)
    bought, paid = defaultdict[str, Decimal](Decimal), Decimal(0)
    for order in session.scalars(select(Order).where(Order.account_id == account_id, since, Order.filled > 0)):
        if pair := CurrencyPair.read(order.symbol):
            paid -= pair.changes(Side(order.side), order.filled, order.planned_price)[0]
            continue
        signed = order.filled if order.side == Side.BUY else -order.filled
        bought[order.symbol] += signed
        paid += signed * order.planned_price
    priced = [one for one in row.positions if one["price"] is not None]
    return Seen(
        {one["symbol"]: (Decimal(one["quantity"]) + bought[one["symbol"]], Decimal(one["price"])) for one in priced},
        row.cash - paid,
        row.net_liquidation - row.cash - sum(Decimal(one["quantity"]) * Decimal(one["price"]) for one in priced),
        {one["symbol"]: held for one in row.positions if one["price"] is None and (held := Decimal(one["quantity"]))},
        {symbol: Decimal(count) for symbol, count in (row.kept or {}).items()},
        {one["contract_id"]: one["symbol"] for one in row.positions if one.get("contract_id")},
        row.at,
    )


def _since(row: Row[Any]) -> ColumnElement[bool]:
    """Orders after a snapshot. The time of a snapshot is the worker's, those of orders are the ledger's, and clocks
    differ: of its own run it is known what came first, and of other runs that they were before this one, or after.
    """
    its_own = and_(Order.event_id == row.event_id, Order.attempt == row.attempt)
    at = max(row.at, row.started_at)
    others = Order.created_at >= (at if row.finished_at is None else min(at, row.finished_at))
    return or_(its_own, others) if row.moment == "before" else and_(~its_own, others)


def _stated(order: Row[Any]) -> Iterator[Fill]:
    """What no execution tells of, at the planned price."""
    quantity = order.untold if order.filled else Decimal(order.ordered)
    if quantity > 0:
        yield Fill(
            order_ref=order.order_ref,
            execution_id=f"{order.order_ref} untold",
            at=order.created_at,
            account_id=order.account_id,
            symbol=order.symbol,
            side=Side(order.side),
            quantity=quantity,
            price=order.planned_price,
            cumulative_quantity=quantity,
            perm_id=order.perm_id or 0,
            stated_only=True,
            contract_id=order.contract_id,
        )


def _snapshot(row: Row[Any], left_alone: Sequence[Mapping[str, Any]]) -> AccountSnapshot:
    """What is needed of it: cash and the positions that are ever traded, which are those with a price.

    Args:
        left_alone: others that were traded all the same.
    """
    priced = [one for one in row.positions if one["price"] is not None]
    held = tuple(Position(one["symbol"], Shares(Decimal(one["quantity"]))) for one in (*priced, *left_alone))
    base = BaseCurrency.read(row.base)
    return AccountSnapshot(
        account_id=row.account_id,
        at=row.at,
        net_liquidation=Usd(row.net_liquidation),
        cash=Usd(row.cash),
        settled_cash=_usd(row.settled_cash),
        available_funds=_usd(row.available_funds),
        positions=held,
        other_cash=max(NO_USD, base.dollars(base.cash)) if base else NO_USD,
        base=base,
    )


def _with_hidden(session: Session, row: Row[Any], fills: Sequence[Fill]) -> AccountSnapshot:
    """The snapshot, with what the broker hid of it: of a symbol of which more was sold than it shows, or that was left
    alone at first, a later plan of the run has seen how much there was.
    """
    stocks = [one for one in fills if not CurrencyPair.read(one.symbol)]
    traded = {one.contract_id for one in stocks}
    left_alone = [one for one in row.positions if one["price"] is None and one.get("contract_id") in traded]
    snapshot = _snapshot(row, left_alone)
    left = {one.symbol: one.quantity for one in snapshot.positions}
    for fill in stocks:
        left[fill.symbol] = Shares(left.get(fill.symbol, NO_SHARES) + fill.signed)
    hidden = {symbol for symbol, shares in left.items() if shares < 0} | {one["symbol"] for one in left_alone}
    if not hidden:
        return snapshot
    plan = session.scalars(
        select(Attempt.plan).where(Attempt.event_id == row.event_id, Attempt.number == row.attempt)
    ).one()
    held = _held_later([one["plan"] for one in plan.get("further_rounds", ())])
    shown = tuple(Position(symbol, held[symbol]) for symbol in sorted(hidden & held.keys()))
    others = tuple(one for one in snapshot.positions if one.symbol not in {each.symbol for each in shown})
    return replace(snapshot, positions=others + shown)


def _held_later(plans: Sequence[Mapping[str, Any]]) -> dict[str, Shares]:
    """Shares by symbol as the first of these plans saw them, with those that are kept apart."""
    return {
        line["symbol"]: Shares(Decimal(line["held"]) + Decimal(plan.get("kept", {}).get(line["symbol"], 0)))
        for plan in reversed(plans)
        for line in plan["lines"]
        if Decimal(line["held"]) > 0
    }


def _usd(amount: Decimal | None) -> Usd | None:
    return None if amount is None else Usd(amount)
