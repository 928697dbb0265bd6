"""Orders that would make a loss one that the tax office does not count: the same stock is bought within thirty days
before or after its sale, in whichever account of the household, an IRA included (26 U.S.C. 1091; Rev. Rul. 2008-5).

Nobody here knows what else the owner holds at other brokers, nor what is "substantially identical" beyond the symbol.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

from rebalancer.domain.household import Household, Intention, Trade
from rebalancer.domain.money import ZERO, cents
from rebalancer.domain.portfolio import Position, ProposedOrder, Side
from rebalancer.domain.trading_sessions import trading_day

WINDOW = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class WashSale:
    """An order that would make one.

    Attributes:
        side: of the order.
        why: with the other trade, for a person.
    """

    symbol: str
    side: Side
    why: str


def wash_sales(
    account_id: str, orders: Iterable[ProposedOrder], positions: Iterable[Position], household: Household, now: datetime
) -> tuple[WashSale, ...]:
    """Of a plan's orders those whose loss, or whose sale's before them, would not count.

    Args:
        positions: of the account, with the broker's average cost: what a sale loses is told against that.
    """
    held = {one.symbol: one for one in positions}
    since = trading_day(now) - WINDOW
    lately = [one for one in household.trades if trading_day(one.at) >= since]
    return tuple(
        WashSale(order.symbol, order.side, why)
        for order in orders
        if (why := _why(account_id, order, held, lately, household.intentions))
    )


@dataclass(frozen=True, slots=True)
class Window:
    """A symbol of which an order would make one now, in whichever account.

    Attributes:
        side: of such an order; a sale makes one only where it is at a loss.
        why: with the trades that are behind it, for a person.
        free_from: day from which it makes none.
    """

    symbol: str
    side: Side
    why: str
    free_from: date


def windows(trades: Iterable[Trade], now: datetime) -> tuple[Window, ...]:
    """What these trades of all accounts bind, by symbol, buys first."""
    by_symbol: dict[str, list[Trade]] = {}
    for one in trades:
        if trading_day(one.at) >= trading_day(now) - WINDOW:
            by_symbol.setdefault(one.symbol, []).append(one)
    return tuple(window for symbol, found in sorted(by_symbol.items()) for window in _windows(symbol, found))


def _windows(symbol: str, trades: Sequence[Trade]) -> Iterator[Window]:
    lost = [one for one in trades if _at_a_loss(one)]
    if lost:
        yield Window(symbol, Side.BUY, _after_a_loss(trades), _free_from(max(one.at for one in lost)))
    bought = [one.at for one in trades if one.side is Side.BUY]
    if bought:
        yield Window(symbol, Side.SELL, "; ".join(_bought("", trades, ZERO)), _free_from(max(bought)))


def bound(trades: Iterable[Trade], now: datetime) -> dict[str, str]:
    """By symbol, what of these trades makes a buy one that it had better not be."""
    return {one.symbol: one.why for one in windows(trades, now) if one.side is Side.BUY}


def opposite_trades(
    account_id: str, orders: Iterable[ProposedOrder], trades: Iterable[Trade], now: datetime
) -> tuple[str, ...]:
    """What other accounts have traded today the other way round, in words."""
    today, sides = trading_day(now), {order.symbol: order.side for order in orders}
    sums: dict[tuple[str, str, Side], Decimal] = {}
    for one in trades:
        against = sides.get(one.symbol)
        if one.account_id != account_id and against not in (None, one.side) and trading_day(one.at) == today:
            key = (one.symbol, one.account_id, one.side)
            sums[key] = sums.get(key, ZERO) + one.quantity
    return tuple(
        f"{symbol}: {other} {_DONE[side]} {quantity.normalize():f} today, this account does the opposite"
        for (symbol, other, side), quantity in sorted(sums.items())
    )


_DONE: Mapping[Side, str] = {Side.BUY: "bought", Side.SELL: "sold"}


def _why(
    account_id: str,
    order: ProposedOrder,
    held: Mapping[str, Position],
    lately: Sequence[Trade],
    intentions: Iterable[Intention],
) -> str:
    """Empty for an order that does nothing of the kind."""
    of_symbol = [one for one in lately if one.symbol == order.symbol]
    if order.side is Side.BUY:
        return _after_a_loss(of_symbol)
    position = held.get(order.symbol)
    if position is None or order.price >= position.average_cost:
        return ""
    loss = cents((position.average_cost - order.price) * order.quantity)
    left = position.quantity - order.quantity
    again = [*_bought(account_id, of_symbol, left), *_about_to_be(account_id, order.symbol, intentions)]
    return f"a sale at a loss of about {loss} USD, and {'; '.join(again)}" if again else ""


def _after_a_loss(trades: Iterable[Trade]) -> str:
    lost = [one for one in trades if _at_a_loss(one)]
    if not lost:
        return ""
    newest = max(lost, key=lambda one: one.at)
    loss = cents(-sum((one.realized for one in lost if one.realized is not None), ZERO))
    day = trading_day(newest.at)
    free = _free_from(newest.at)
    return f"a buy within 30 days of a sale at a loss of {loss} USD ({newest.account_id}, {day}): free from {free}"


def _at_a_loss(one: Trade) -> bool:
    return one.side is Side.SELL and one.realized is not None and one.realized < 0


def _free_from(at: datetime) -> date:
    return trading_day(at) + WINDOW + timedelta(days=1)


def _bought(account_id: str, trades: Iterable[Trade], left: Decimal) -> Iterator[str]:
    """Buys that stay: those of other accounts, and of this one as far as it keeps shares."""
    newest: dict[str, tuple[Decimal, datetime]] = {}
    for one in trades:
        if one.side is Side.BUY:
            quantity, at = newest.get(one.account_id, (ZERO, one.at))
            newest[one.account_id] = quantity + one.quantity, max(at, one.at)
    for buyer, (quantity, at) in sorted(newest.items()):
        kept = min(quantity, left) if buyer == account_id else quantity
        if kept > 0:
            yield f"{buyer} bought {kept.normalize():f} until {trading_day(at)}: free from {_free_from(at)}"


def _about_to_be(account_id: str, symbol: str, intentions: Iterable[Intention]) -> Iterator[str]:
    for one in intentions:
        if one.symbol == symbol and one.account_id != account_id:
            yield f"{one.account_id} is about to buy {one.quantity}"
