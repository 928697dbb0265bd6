"""ib_async's objects to our values. Floats end here; sentinels become ``None``."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation

import ib_async

from rebalancer.errors import GatewayUnavailable
from rebalancer.ibkr.messages import CompletedOrderMessage, ExecutionMessage
from rebalancer.model import MarketDataType, OrderType, Position, Side
from rebalancer.money import ZERO
from rebalancer.order_states import OrderStatus
from rebalancer.orders import CommissionReport, Fill, Instrument, MarginChange, OpenOrder, OrderRequest

UNSET_FROM = 1.7e308
"""IBKR writes "not set" as the largest double, in several spellings."""

ROUTING_EXCHANGE = "SMART"
CURRENCY = "USD"
STOCK = "STK"

_DATA_TYPES = {
    1: MarketDataType.LIVE,
    2: MarketDataType.FROZEN,
    3: MarketDataType.DELAYED,
    4: MarketDataType.DELAYED_FROZEN,
}
DATA_TYPE_NUMBERS = {data_type: number for number, data_type in _DATA_TYPES.items()}


def decimal(value: float | Decimal | None) -> Decimal | None:
    """Exact value of the shortest text of a float; ``None`` for NaN, infinities and IBKR's "not set"."""
    if value is None:
        return None
    number = float(value)
    if not math.isfinite(number) or abs(number) > UNSET_FROM:
        return None
    if isinstance(value, Decimal):
        return value
    return Decimal(int(number)) if number.is_integer() else Decimal(repr(number))


def amount(value: float | Decimal | None) -> Decimal:
    """A quantity for which "not set" means zero."""
    return decimal(value) or ZERO


def price(value: float | Decimal | None) -> Decimal | None:
    """A positive price; the broker's -1 and 0 mean that there is none."""
    number = decimal(value)
    return number if number is not None and number > 0 else None


def decimal_text(text: str) -> Decimal | None:
    """An account value's text; ``None`` when it is not a usable number."""
    try:
        number = Decimal(text)
    except InvalidOperation:
        return None
    return number if number.is_finite() and abs(number) < Decimal(UNSET_FROM) else None


def order_status(text: str) -> OrderStatus:
    """The status of that name; a name that we do not know counts as working, since it may still fill."""
    try:
        return OrderStatus(text)
    except ValueError:
        return OrderStatus.SUBMITTED


def market_data_type(number: int) -> MarketDataType | None:
    """IBKR's market-data type 1-4."""
    return _DATA_TYPES.get(number)


def side(text: str) -> Side:
    """From an order's action (BUY, SELL, SSHORT) or an execution's side (BOT, SLD)."""
    return Side.BUY if text.upper() in {"BUY", "BOT"} else Side.SELL


def utc(moment: datetime) -> datetime:
    """Aware UTC; ib_async has read a time without zone as the gateway's local time already."""
    return moment.astimezone(UTC)


def position(held: ib_async.Position) -> Position:
    """One row of the positions list."""
    contract = held.contract
    return Position(
        symbol=contract.symbol,
        quantity=amount(held.position),
        contract_id=contract.conId,
        average_cost=amount(held.avgCost),
        security_type=contract.secType,
        currency=contract.currency,
    )


def instrument(details: ib_async.ContractDetails) -> Instrument:
    """One contract definition.

    Raises:
        GatewayUnavailable: the definition lacks its contract or its tick size.
    """
    contract, tick = details.contract, price(details.minTick)
    if contract is None or tick is None:
        raise GatewayUnavailable(f"the gateway sent an unusable contract definition: {details}")
    return Instrument(
        symbol=contract.symbol,
        contract_id=contract.conId,
        primary_exchange=contract.primaryExchange,
        min_tick=tick,
        time_zone=details.timeZoneId,
        liquid_hours=details.liquidHours,
        trading_hours=details.tradingHours,
    )


def stock(symbol: str, contract_id: int = 0) -> ib_async.Contract:
    """A US stock or ETF, routed by SMART: positions name the primary exchange, which IBKR refuses (10311)."""
    return ib_async.Contract(
        secType=STOCK, conId=contract_id, symbol=symbol, exchange=ROUTING_EXCHANGE, currency=CURRENCY
    )


def ib_order(request: OrderRequest) -> ib_async.Order:
    """The order as sent; account and time in force are always explicit (codes 435 and 10349).

    Raises:
        ValueError: no quantity, or a limit order without limit price.
    """
    if request.quantity < 1:
        raise ValueError(f"order {request.order_ref} has no quantity")
    order = ib_async.Order(
        action=request.side.value,
        totalQuantity=request.quantity,
        orderType=request.order_type.value,
        tif=request.time_in_force.value,
        account=request.account_id,
        orderRef=request.order_ref,
        outsideRth=request.outside_regular_hours,
        transmit=True,
    )
    if request.order_type is OrderType.LIMIT:
        if request.limit_price is None:
            raise ValueError(f"limit order {request.order_ref} has no limit price")
        order.lmtPrice = request.limit_price
    return order


def open_order(
    order_id: int, contract: ib_async.Contract, order: ib_async.Order, state: ib_async.OrderState
) -> OpenOrder:
    """One openOrder message."""
    return OpenOrder(
        account_id=order.account,
        order_id=order_id,
        client_id=order.clientId,
        perm_id=order.permId,
        order_ref=order.orderRef,
        symbol=contract.symbol,
        side=side(order.action),
        quantity=amount(order.totalQuantity),
        filled=ZERO,
        order_type=order.orderType,
        status=order_status(state.status),
    )


def margin_change(state: ib_async.OrderState) -> MarginChange | None:
    """The answer to a what-if order; ``None`` while it has no margins."""
    initial, maintenance = decimal_text(state.initMarginChange), decimal_text(state.maintMarginChange)
    if initial is None or maintenance is None:
        return None
    return MarginChange(initial, maintenance, decimal(state.commission))


def completed_order(order: ib_async.Order, state: ib_async.OrderState) -> CompletedOrderMessage:
    """One completedOrder message."""
    return CompletedOrderMessage(
        account_id=order.account,
        order_ref=order.orderRef,
        perm_id=order.permId,
        status=order_status(state.status),
        filled=decimal(order.filledQuantity),
    )


def execution(request_id: int, contract: ib_async.Contract, done: ib_async.Execution) -> ExecutionMessage:
    """One execDetails message."""
    fill = Fill(
        order_ref=done.orderRef,
        execution_id=done.execId,
        at=utc(done.time),
        account_id=done.acctNumber,
        symbol=contract.symbol,
        side=side(done.side),
        quantity=amount(done.shares),
        price=amount(done.price),
        cumulative_quantity=amount(done.cumQty),
        perm_id=done.permId,
    )
    return ExecutionMessage(request_id, done.orderId, done.clientId, fill, bool(done.liquidation))


def commission(report: ib_async.CommissionReport) -> CommissionReport | None:
    """One commissionReport; ``None`` while the broker has not computed it (-1 or "not set")."""
    paid = decimal(report.commission)
    if paid is None or paid == Decimal(-1):
        return None
    return CommissionReport(report.execId, paid, report.currency)


def execution_key(execution_id: str) -> tuple[str, int]:
    """Identity of an execution and its revision: ``...01.02`` corrects ``...01.01``."""
    base, _, revision = execution_id.rpartition(".")
    return (base, int(revision)) if base and revision.isdigit() else (execution_id, 0)
