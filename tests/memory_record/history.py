"""What follows from the rows. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from rebalancer.domain.account_history import AfterSnapshot, OrderRecord, Seen, Traded
from rebalancer.domain.currencies import CurrencyPair, dollars
from rebalancer.domain.household import Trade
from rebalancer.domain.money import ZERO
from rebalancer.domain.orders import Fill, OrderRequest, OrderTrace
from rebalancer.domain.portfolio import OrderType, Position, Side, TimeInForce
from rebalancer.domain.units import Usd
from rebalancer.ledger.orders import NEVER_SENT
from tests.memory_record.rows import Sent, Snapshot


def record(order: Sent) -> OrderRecord:
    fills = order.progress.fills
    spent = sum((fill.quantity * fill.price for fill in fills.values()), ZERO)
    paid = (order.progress.commissions[one].commission for one in fills if one in order.progress.commissions)
    return OrderRecord(
        order_ref=order.request.order_ref,
        symbol=order.request.symbol,
        side=order.request.side,
        quantity=order.request.quantity,
        status=order.status,
        filled=order.progress.filled,
        average_price=spent / order.progress.told if order.progress.told else None,
        commission=sum(paid, ZERO),
    )


def traded(orders: Iterable[Sent], since: datetime) -> Traded:
    known = [order for order in orders if order.at >= since]
    stocks = sum((order.notional for order in known if order.request.security_type == "STK"), ZERO)
    converted = sum((_dollars(order) for order in known if order.request.security_type == "CASH"), ZERO)
    return Traded(sum(order.status != NEVER_SENT for order in known), stocks, converted)


def _dollars(order: Sent) -> Decimal:
    pair = CurrencyPair.read(order.request.symbol)
    return order.progress.filled if pair and pair.first == "USD" else order.notional


def trades(orders: Iterable[Sent], symbols: Collection[str], since: datetime) -> list[Trade]:
    told = [
        (order.request, fill, order.progress.commissions.get(execution))
        for order in orders
        for execution, fill in order.progress.fills.items()
        if order.request.symbol in symbols and fill.at >= since
    ]
    return [
        Trade(
            account_id=asked.account_id,
            symbol=asked.symbol,
            side=asked.side,
            at=fill.at,
            quantity=fill.quantity,
            price=fill.price,
            commission=ZERO if paid is None else paid.commission,
            realized=None if paid is None else paid.realized,
        )
        for asked, fill, paid in sorted(told, key=lambda one: one[1].at)
    ]


def turnover_before(snapshot: Snapshot, sent: Iterable[Sent], within: timedelta) -> Usd:
    since = snapshot.account.at - within
    others = (fill for order in sent if order.attempt != snapshot.attempt for fill in order.progress.fills.values())
    return Usd(sum((dollars(one.symbol, one.quantity, one.price) for one in others if one.at > since), ZERO))


def after(snapshot: Snapshot, ours: Iterable[Sent], counting: Iterable[Sent], turnover_before: Usd) -> AfterSnapshot:
    told = [
        (replace(fill, contract_id=order.request.contract_id), order.progress.commissions.get(execution))
        for order in ours
        for execution, fill in order.progress.fills.items()
    ]
    traded = {fill.contract_id for fill, _ in told}
    held = tuple(
        Position(one["symbol"], Decimal(one["quantity"]))
        for one in snapshot.positions
        if one["price"] is not None or one.get("contract_id") in traded
    )
    return AfterSnapshot(
        replace(snapshot.account, positions=held),
        (*(fill for fill, _ in told), *(fill for order in counting for fill in _stated(order))),
        {fill.execution_id: paid.commission for fill, paid in told if paid is not None and paid.currency == "USD"},
        turnover_before,
    )


def _stated(order: Sent) -> Iterator[Fill]:
    asked = order.request
    quantity = order.untold if order.progress.filled else Decimal(asked.quantity)
    if quantity > 0:
        yield Fill(
            order_ref=asked.order_ref,
            execution_id=f"{asked.order_ref} untold",
            at=order.at,
            account_id=asked.account_id,
            symbol=asked.symbol,
            side=asked.side,
            quantity=quantity,
            price=order.price,
            cumulative_quantity=quantity,
            perm_id=order.progress.perm_id,
            stated_only=True,
            contract_id=asked.contract_id,
        )


def since(snapshot: Snapshot, orders: Sequence[Sent]) -> Iterator[Sent]:
    """Orders after a snapshot; of its own run it is known what came first."""
    own = [one for one in orders if one.attempt == snapshot.attempt]
    yield from own if snapshot.moment == "before" else ()
    yield from (one for one in orders if one not in own and one.at >= snapshot.account.at)


def seen(snapshot: Snapshot, since: Iterable[Sent]) -> Seen:
    bought, paid = defaultdict[str, Decimal](Decimal), ZERO
    for order in since:
        if pair := CurrencyPair.read(order.request.symbol):
            paid -= pair.changes(order.request.side, order.progress.filled, order.price)[0]
            continue
        signed = order.progress.filled if order.request.side is Side.BUY else -order.progress.filled
        bought[order.request.symbol] += signed
        paid += signed * order.price
    priced = [one for one in snapshot.positions if one["price"] is not None]
    worth = sum((Decimal(one["quantity"]) * Decimal(one["price"]) for one in priced), ZERO)
    return Seen(
        {one["symbol"]: (Decimal(one["quantity"]) + bought[one["symbol"]], Decimal(one["price"])) for one in priced},
        snapshot.account.cash - paid,
        snapshot.account.net_liquidation - snapshot.account.cash - worth,
        {one["symbol"]: Decimal(one["quantity"]) for one in snapshot.positions if one["price"] is None},
        contracts={one["contract_id"]: one["symbol"] for one in snapshot.positions if one.get("contract_id")},
        at=snapshot.account.at,
    )


def kept(plan: Mapping[str, Any] | None) -> dict[str, Decimal]:
    return {symbol: Decimal(count) for symbol, count in (plan or {}).get("kept", {}).items()}


def symbols(inputs: Mapping[str, Any]) -> frozenset[str]:
    return frozenset(symbol for symbol, weight in inputs["targets"]["weights"].items() if Decimal(weight))


def recovered(trace: OrderTrace) -> Sent:
    """An order that was lost with an earlier ledger: what was asked for is what was filled."""
    first, filled = trace.fills[0], sum((fill.quantity for fill in trace.fills), ZERO)
    request = OrderRequest(
        order_ref=trace.order_ref,
        account_id=first.account_id,
        symbol=first.symbol,
        contract_id=0,
        side=first.side,
        quantity=int(filled),
        order_type=OrderType.MARKET,
        time_in_force=TimeInForce.DAY,
    )
    spent = sum((fill.quantity * fill.price for fill in trace.fills), ZERO)
    attempt = (UUID(f"{trace.order_ref[:12]}{'0' * 20}"), 1)
    return Sent(attempt, request, spent / filled, min(fill.at for fill in trace.fills))
