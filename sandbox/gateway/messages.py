"""Outgoing messages except whole orders: each function returns one message's id and fields, in wire order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from sandbox.gateway.account_values import AccountValue
from sandbox.gateway.exchange_accounts import Valuation
from sandbox.gateway.exchange_events import Execution, Order
from sandbox.gateway.hours import ZONE
from sandbox.gateway.market import Listing, Quote
from sandbox.gateway.scenario import Instrument
from sandbox.gateway.wire import UNSET_DOUBLE, Message

ORDER_STATUS, ERROR, OPEN_ORDER, ACCOUNT_VALUE, PORTFOLIO = 3, 4, 5, 6, 7
EXECUTION, COMMISSION, POSITION, SUMMARY, POSITION_MULTI, ACCOUNT_UPDATE_MULTI = 11, 59, 61, 63, 71, 73
_DELAYED_TICKS = {1: 66, 2: 67, 4: 68, 9: 75, 45: 88}
_ORDER_TYPES = "ACTIVETIM,AD,ADJUST,ALERT,ALGO,DAY,GTC,IOC,LMT,MKT,OPG,REL,STP,STPLMT,TRAIL,WHATIF,"


def number(value: Decimal, places: int = 8) -> str:
    """Shortest text of a price or quantity."""
    text = format(round(value, places), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def error(version: int, request_id: int, code: int, text: str) -> Message:
    """An error or a warning; of no request when the id is -1."""
    safe = text.encode("ascii", "backslashreplace").decode()
    return (ERROR, 2, request_id, code, safe, *(("",) if version >= 166 else ()))


def version_frame(version: int, connection_time: str) -> Message:
    """The gateway's half of the handshake; the only message without an id."""
    return (version, connection_time)


def next_valid_id(order_id: int) -> Message:
    """Lowest order id that the client may use."""
    return (9, 1, order_id)


def managed_accounts(accounts: list[str]) -> Message:
    """Accounts of the login."""
    return (15, 1, ",".join(accounts))


def current_time(now: datetime) -> Message:
    """The gateway's clock."""
    return (49, 1, int(now.timestamp()))


def contract_fields(listing: Listing, exchange: str, *, strike: str = "0.0", right: str = "") -> tuple[object, ...]:
    """conId to tradingClass, eleven fields; ``strike`` and ``right`` are what a stock has there."""
    spec = listing.spec
    terms = ("", strike, right, "") if listing.stock else derivative_terms(listing)
    return (
        spec.con_id,
        listing.ticker,
        spec.security_type,
        *terms,
        exchange,
        spec.currency,
        listing.local_symbol,
        trading_class(listing),
    )


def derivative_terms(listing: Listing) -> tuple[object, ...]:
    """expiry, strike, right, multiplier."""
    spec = listing.spec
    return (spec.expiry, number(spec.strike), spec.right, "" if spec.multiplier == 1 else number(spec.multiplier))


def trading_class(listing: Listing) -> str:
    """Nasdaq's own listings share one class; elsewhere it is the symbol."""
    return "NMS" if listing.stock and listing.spec.exchange == "NASDAQ" else listing.ticker


@dataclass(frozen=True, slots=True)
class Details:
    """What contract details say beyond the listing itself; all empty where IBKR leaves the hours out."""

    zone: str
    trading_hours: str
    liquid_hours: str
    market_rule: int


def contract_details(version: int, request_id: int, listing: Listing, details: Details) -> Message:
    """One contract."""
    spec = listing.spec
    old = version < 164
    expiry, strike, right, multiplier = ("", "0", "", "") if listing.stock else derivative_terms(listing)
    terms = (expiry, strike, right, listing.venue, spec.currency, listing.local_symbol)
    head = (10, *((8,) if old else ()), request_id, listing.ticker, spec.security_type, *terms)
    identity = (trading_class(listing), trading_class(listing), spec.con_id, spec.min_tick, *((100,) if old else ()))
    name = spec.name.encode("ascii", "backslashreplace").decode()
    text = (multiplier, _ORDER_TYPES, f"{listing.venue},{spec.exchange}", 1, 0, name, spec.exchange, "", "", "", "")
    schedule = (details.zone, details.trading_hours, details.liquid_hours, "", "")
    isin = (1, "ISIN", spec.isin or _isin(spec.con_id))
    tail = (*isin, 1, "", "", f"{details.market_rule},{details.market_rule}", "", spec.stock_type)
    return (*head, *identity, *text, *schedule, *tail, *_sizes(version, spec))


def _sizes(version: int, spec: Instrument) -> tuple[object, ...]:
    """Older clients hear nothing of an order's size."""
    if version < 164:
        return ("100",) if version == 163 else ()
    return tuple(number(size) for size in (spec.min_size, spec.size_increment, spec.suggested_size_increment))


def _isin(con_id: int) -> str:
    """A well-formed number of a country that does not exist, so that nobody takes it for a real one."""
    body = f"ZZ{con_id:09d}"
    digits = [int(digit) for letter in body for digit in str(int(letter, 36))]
    doubled = [2 * digit if place % 2 == 0 else digit for place, digit in enumerate(reversed(digits))]
    total = sum(digit // 10 + digit % 10 for digit in doubled)
    return f"{body}{-total % 10}"


def contract_details_end(request_id: int) -> Message:
    """No more contracts for this request."""
    return (52, 1, request_id)


def market_rule(rule_id: int, steps: Sequence[tuple[Decimal, Decimal]]) -> Message:
    """Price increments by low edge."""
    return (93, rule_id, len(steps), *(number(value) for row in steps for value in row))


def market_data_type(request_id: int, kind: int) -> Message:
    """Kind of the quotes that follow: 1 live, 2 frozen."""
    return (58, 1, request_id, kind)


def tick_parameters(request_id: int, listing: Listing) -> Message:
    """What precedes the first tick."""
    return (81, request_id, listing.spec.min_tick, "9c0001", 3)


def tick_price(request_id: int, tick_type: int, price: Decimal, size: int) -> Message:
    """A price and its size."""
    return (1, 6, request_id, tick_type, price, size, 0)


def tick_halted(request_id: int, *, halted: bool) -> Message:
    """Whether trading is halted, as a generic tick."""
    return (45, 6, request_id, 49, int(halted))


def tick_snapshot_end(request_id: int) -> Message:
    """The snapshot is complete."""
    return (57, 1, request_id)


def tick_string(request_id: int, tick_type: int, text: str) -> Message:
    """A tick that is text."""
    return (46, 6, request_id, tick_type, text)


def first_ticks(request_id: int, quote: Quote) -> list[Message]:
    """Everything known of a symbol."""
    return [
        *quote_ticks(request_id, quote),
        tick_price(request_id, 4, quote.last, quote.last_size),
        tick_string(request_id, 45, str(int(quote.at.timestamp()))),
        tick_price(request_id, 9, quote.close, 0),
    ]


def as_delayed(tick: Message) -> Message:
    """The same tick under the number that marks it as delayed."""
    number = int(str(tick[3]))
    return (*tick[:3], _DELAYED_TICKS[number], *tick[4:])


def quote_ticks(request_id: int, quote: Quote) -> list[Message]:
    """Bid and ask."""
    return [
        tick_price(request_id, 1, quote.bid, quote.bid_size),
        tick_price(request_id, 2, quote.ask, quote.ask_size),
    ]


def account_value(account: str, value: AccountValue) -> Message:
    """One key of an account-updates subscription."""
    return (ACCOUNT_VALUE, 2, value.key, value.value, value.currency, account)


def account_update_multi(request_id: int, account: str, value: AccountValue) -> Message:
    """One key of a multi-account subscription."""
    return (ACCOUNT_UPDATE_MULTI, 1, request_id, account, "", value.key, value.value, value.currency)


def account_summary(request_id: int, account: str, value: AccountValue) -> Message:
    """One key of an account summary."""
    return (SUMMARY, 1, request_id, account, value.key, value.value, value.currency)


def portfolio_value(listing: Listing, valuation: Valuation) -> Message:
    """One holding at market prices."""
    state, symbol = valuation.state, listing.symbol
    holding = state.holdings[symbol]
    return (
        PORTFOLIO,
        8,
        *contract_fields(listing, listing.spec.exchange, right="0"),
        number(holding.quantity),
        number(valuation.marks[symbol] / listing.spec.multiplier),
        number(valuation.value(symbol), 2),
        number(holding.average_cost),
        number(valuation.unrealized(symbol), 2),
        number(holding.realized, 2),
        state.account_id,
    )


def account_time(now: datetime) -> Message:
    """When the account values were computed."""
    return (8, 1, f"{now.astimezone(ZONE):%H:%M}")


def account_download_end(account: str) -> Message:
    """The first set of account values is complete."""
    return (54, 1, account)


def end_of(message_id: int, request_id: int) -> Message:
    """End of the answer to a numbered request: 55 executions, 64 summary, 72 positions, 74 account updates."""
    return (message_id, 1, request_id)


def position(account: str, listing: Listing, quantity: Decimal, average_cost: Decimal) -> Message:
    """One holding; its exchange is the primary one."""
    contract = contract_fields(listing, listing.spec.exchange)
    return (POSITION, 3, account, *contract, number(quantity), number(average_cost))


def position_multi(request_id: int, account: str, listing: Listing, quantity: Decimal, cost: Decimal) -> Message:
    """One holding, for a numbered subscription."""
    contract = contract_fields(listing, listing.spec.exchange)
    return (POSITION_MULTI, 1, request_id, account, *contract, number(quantity), number(cost), "")


def position_end() -> Message:
    """The first set of positions is complete."""
    return (62, 1)


def order_status(order: Order) -> Message:
    """An order's status without the order."""
    return (
        ORDER_STATUS,
        order.order_id,
        order.status,
        number(order.filled),
        number(order.remaining),
        number(order.average_price),
        order.perm_id,
        0,
        number(order.last_price),
        order.client_id,
        "",
        0,
    )


def execution(version: int, request_id: int, listing: Listing, done: Execution, stamp: str) -> Message:
    """One fill; the request id is -1 when it has just happened, ``stamp`` its time as the gateway writes it.

    Orders of nobody's number are -1 here, and a market order of that kind is the broker's own: it liquidates.
    """
    order = done.order
    return (
        EXECUTION,
        request_id,
        order.order_id or -1,
        *contract_fields(listing, listing.spec.exchange),
        done.execution_id,
        stamp,
        order.account,
        listing.spec.exchange,
        "BOT" if order.side == "BUY" else "SLD",
        number(done.quantity),
        number(done.price),
        order.perm_id,
        order.client_id,
        int(order.liquidation),
        number(done.cumulative),
        number(done.average_price),
        order.ticket.order_ref,
        "",
        "",
        "",
        2,
        *((0,) if version >= 178 else ()),
    )


def commission(done: Execution) -> Message:
    """What one fill cost."""
    realized = UNSET_DOUBLE if done.realized is None else number(done.realized)
    paid = number(done.commission), done.commission_currency
    return (COMMISSION, 1, done.execution_id, *paid, realized, UNSET_DOUBLE, "")


def open_orders_end() -> Message:
    """No more open orders."""
    return (53, 1)


def completed_orders_end() -> Message:
    """No more completed orders."""
    return (102,)


def order_bound(order: Order) -> Message:
    """An order entered by hand has got a number."""
    return (100, order.perm_id, order.client_id, order.order_id)
