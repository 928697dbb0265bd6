"""ib_async's objects to our values. Floats end here; sentinels become ``None``."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal, InvalidOperation

import ib_async

from rebalancer.domain.money import ONE, ZERO, ceil_to_tick
from rebalancer.domain.order_states import OrderStatus
from rebalancer.domain.orders import Instrument, MarginChange, OpenOrder, OrderRequest, PriceStep
from rebalancer.domain.portfolio import MarketDataType, OrderType, Side
from rebalancer.ibkr.messages import CompletedOrderMessage

UNSET_FROM = 1.7e308
"""IBKR writes "not set" as the largest double, in several spellings."""
_UNSET_FROM = Decimal(UNSET_FROM)

ROUTING_EXCHANGE = "SMART"
CURRENCY = "USD"
STOCK = "STK"
CURRENCY_EXCHANGE = "IDEALPRO"
EXCHANGED = "CASH"
"""Security type of a pair of currencies."""

_LIMITED = frozenset({OrderType.LIMIT, OrderType.LIMIT_ON_CLOSE})
"""Order types that are nothing without a limit price; that of MIDPRICE is a cap, which it need not have."""

_ABSURD_SIZE = Decimal(1_000_000)
"""Shares: no stock trades in such lots, but some of IBKR's spellings of "not set" are numbers."""

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
    return number if number.is_finite() and abs(number) < _UNSET_FROM else None


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


def instrument(details: ib_async.ContractDetails) -> Instrument:
    """One contract definition, its price steps still unknown.

    Raises:
        ValueError: it is no stock in USD, or lacks its tick size.
    """
    contract, tick = details.contract, price(details.minTick)
    if contract is None or (contract.secType, contract.currency) != (STOCK, CURRENCY) or tick is None:
        raise ValueError(f"not usable: {details}")
    return Instrument(
        symbol=contract.symbol,
        contract_id=contract.conId,
        primary_exchange=contract.primaryExchange,
        min_tick=tick,
        time_zone=details.timeZoneId,
        liquid_hours=details.liquidHours,
        trading_hours=details.tradingHours,
        lot=lot(decimal(details.minSize), decimal(details.sizeIncrement)),
    )


def lot(minimum: Decimal | None, increment: Decimal | None) -> int:
    """Fewest whole shares of which every multiple keeps to a contract's smallest size and its increment. What is
    missing, not positive, or absurd says nothing; of fractions of a share only whole shares are left. The *suggested*
    increment, 100 for most stocks, binds no order.
    """
    step = Decimal(_size(increment).as_integer_ratio()[0])
    return int(ceil_to_tick(max(step, _size(minimum)), step))


def _size(shares: Decimal | None) -> Decimal:
    """A size that an order has to keep to; one share where the broker names none."""
    return shares if shares is not None and 0 < shares < _ABSURD_SIZE else ONE


def market_rule_id(details: ib_async.ContractDetails) -> int | None:
    """Number of the market rule for orders routed by SMART; the rules stand in the order of the exchanges."""
    exchanges, rules = details.validExchanges.split(","), details.marketRuleIds.split(",")
    named = [rule for exchange, rule in zip(exchanges, rules, strict=False) if exchange.strip() == ROUTING_EXCHANGE]
    text = (named or rules)[0].strip()
    return int(text) if text.isascii() and text.isdigit() else None


def price_steps(increments: Iterable[ib_async.PriceIncrement]) -> tuple[PriceStep, ...]:
    """A market rule; empty when it is not usable: an increment is missing, or none begins at 0."""
    steps = sorted((amount(one.lowEdge), amount(one.increment)) for one in increments)
    usable = bool(steps) and steps[0][0] == 0 and all(step > 0 for _, step in steps)
    return tuple(PriceStep(edge, step) for edge, step in steps) if usable else ()


def stock(symbol: str, contract_id: int = 0) -> ib_async.Contract:
    """A US stock or ETF, routed by SMART: positions name the primary exchange, which IBKR refuses (10311)."""
    return ib_async.Contract(
        secType=STOCK, conId=contract_id, symbol=symbol, exchange=ROUTING_EXCHANGE, currency=CURRENCY
    )


def symbol_of(symbol: str, security_type: str, currency: str) -> str:
    """Under which name we know it: a pair of currencies by both of them."""
    return f"{symbol}.{currency}" if security_type == EXCHANGED else symbol


def contract(symbol: str, contract_id: int, security_type: str = STOCK) -> ib_async.Contract:
    """What is quoted and traded: a stock, or a pair of currencies by its name."""
    if security_type == STOCK:
        return stock(symbol, contract_id)
    first, _, second = symbol.partition(".")
    return ib_async.Contract(
        secType=security_type, conId=contract_id, symbol=first, exchange=CURRENCY_EXCHANGE, currency=second
    )


def currency_pair(details: ib_async.ContractDetails) -> Instrument:
    """One definition of a pair of currencies.

    Raises:
        ValueError: it is none, or lacks its tick size.
    """
    contract, tick = details.contract, price(details.minTick)
    if contract is None or contract.secType != EXCHANGED or tick is None:
        raise ValueError(f"not usable: {details}")
    return Instrument(
        symbol=symbol_of(contract.symbol, contract.secType, contract.currency),
        contract_id=contract.conId,
        primary_exchange=contract.exchange,
        min_tick=tick,
        time_zone=details.timeZoneId,
        liquid_hours=details.liquidHours,
        trading_hours=details.tradingHours,
        price_steps=(PriceStep(ZERO, tick),),
        lot=lot(ONE, decimal(details.sizeIncrement)),
        security_type=EXCHANGED,
    )


def ib_order(request: OrderRequest) -> ib_async.Order:
    """The order as sent; account and time in force are always explicit (codes 435 and 10349).

    Raises:
        ValueError: no quantity, or none of the limit prices that its type needs.
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
    if request.order_type in _LIMITED and request.limit_price is None:
        raise ValueError(f"limit order {request.order_ref} has no limit price")
    if request.limit_price is not None:
        order.lmtPrice = request.limit_price
    if request.algorithm is not None:
        order.algoStrategy = request.algorithm.strategy
        order.algoParams = [ib_async.TagValue(tag, value) for tag, value in request.algorithm.parameters]
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
        symbol=symbol_of(contract.symbol, contract.secType, contract.currency),
        side=side(order.action),
        quantity=amount(order.totalQuantity),
        filled=ZERO,
        order_type=order.orderType,
        status=order_status(state.status),
        security_type=contract.secType,
        currency=contract.currency,
        contract_id=contract.conId,
    )


def margin_change(state: ib_async.OrderState) -> MarginChange | None:
    """The answer to a what-if order; ``None`` while it has no margins."""
    initial, maintenance = decimal_text(state.initMarginChange), decimal_text(state.maintMarginChange)
    if initial is None or maintenance is None:
        return None
    return MarginChange(initial, maintenance, decimal(state.commission))


def completed_order(
    contract: ib_async.Contract, order: ib_async.Order, state: ib_async.OrderState, ended_at: datetime | None
) -> CompletedOrderMessage:
    """One completedOrder message."""
    return CompletedOrderMessage(
        account_id=order.account,
        order_ref=order.orderRef,
        perm_id=order.permId,
        status=order_status(state.status),
        filled=decimal(order.filledQuantity),
        symbol=symbol_of(contract.symbol, contract.secType, contract.currency),
        side=side(order.action),
        quantity=amount(order.totalQuantity),
        ended_at=ended_at,
    )
