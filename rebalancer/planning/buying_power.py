"""What buys may spend: money that is there, never buying power. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal

from rebalancer.domain.errors import Refused
from rebalancer.domain.money import CENT, ONE, ZERO, floor_shares
from rebalancer.domain.orders import Algorithm, Instrument
from rebalancer.domain.portfolio import AccountSnapshot, FeeSchedule, OrderType, ProposedOrder, SettledCash, Side
from rebalancer.domain.rule_names import Rule
from rebalancer.domain.units import NO_RATIO, Ratio, Usd
from rebalancer.planning.styled_orders import Styling

_MARGIN_FROM = Decimal("1.5")
"""Buying power in available funds, from which an account has margin: IBKR shows 1 without, 2 to 4 with it."""


@dataclass(frozen=True, slots=True)
class Terms:
    """How orders are priced.

    Attributes:
        collar: how much worse than its planned price a limit order may fill, as a fraction.
        cushion: what IBKR demands beyond the cost of a market order in an account without margin, as a fraction.
        styles: by symbol, how its order is worked; as the type says where it has none.
        tight: the funds lack the cushion: what has no limit gets one.
    """

    order_type: OrderType
    collar: Ratio
    cushion: Ratio = NO_RATIO
    styles: Mapping[str, Styling] = field(default_factory=dict)
    tight: bool = False

    @property
    def limited(self) -> bool:
        """Orders that may have a limit have one."""
        return self.tight or self.order_type is OrderType.LIMIT


@dataclass(frozen=True, slots=True)
class PricedOrder:
    """A proposed order and the price it is sent with.

    Attributes:
        limit_price: USD per share; ``None`` for a market order.
        styling: ``None`` for an order without a style.
    """

    order: ProposedOrder
    limit_price: Decimal | None = None
    styling: Styling | None = None

    @property
    def order_type(self) -> OrderType:
        """As IBKR calls it."""
        if self.styling is not None:
            return self.styling.order_type(limited=self.limit_price is not None)
        return OrderType.MARKET if self.limit_price is None else OrderType.LIMIT

    @property
    def algorithm(self) -> Algorithm | None:
        """What works it."""
        return None if self.styling is None else self.styling.algorithm


def has_margin(snapshot: AccountSnapshot) -> bool:
    """Whether the broker lends to the account; what it does not say counts as no, and so does a type that says cash."""
    if "CASH" in (snapshot.trading_type or "").upper():
        return False
    power, available = snapshot.buying_power, snapshot.available_funds
    return power is not None and available is not None and power > max(ZERO, _MARGIN_FROM * available)


def must_settle(snapshot: AccountSnapshot, which: SettledCash) -> bool:
    """Whether the account may buy with settled cash only."""
    if which is SettledCash.OFF or has_margin(snapshot):
        return False
    return which is SettledCash.CASH or "IRA" in (snapshot.account_type or "").upper()


def available_cash(snapshot: AccountSnapshot) -> Usd:
    """Cash that the broker would accept orders for now, reserve included, USD. Where it does not lend, these are
    settled funds: IBKR's AvailableFunds of a cash account do not rise with a sale until it has settled
    (https://www.ibkrguides.com/traderworkstation/available-for-trading.htm).
    """
    if snapshot.available_funds is None:
        return snapshot.cash
    # Both are rounded to the cent.
    return min(snapshot.cash, Usd(snapshot.available_funds - CENT))


def spendable_now(snapshot: AccountSnapshot, which: SettledCash) -> Usd:
    """What buys may spend today, reserve included, USD; the rest of the cash waits until it has settled.

    Raises:
        Refused: ``settled_cash_missing``, neither settled cash nor available funds are known where they must be.
    """
    if not must_settle(snapshot, which):
        return available_cash(snapshot)
    if snapshot.settled_cash is None and snapshot.available_funds is None:
        reason = f"the broker does not say how much cash of {snapshot.account_id} has settled"
        raise Refused(Rule.SETTLED_CASH_MISSING, reason, {"account_type": str(snapshot.account_type)})
    available = available_cash(snapshot)
    return available if snapshot.settled_cash is None else min(available, snapshot.settled_cash)


def ticket(order: ProposedOrder, terms: Terms, instrument: Instrument) -> PricedOrder:
    """An order with the price that the terms ask for: the worst acceptable one that the market rule allows, on the side
    that keeps the collar.
    """
    styling = terms.styles.get(order.symbol)
    if styling is None:
        return PricedOrder(order, _worst_price(order, terms, instrument) if terms.limited else None)
    worst = _worst_price(order, terms, instrument)
    limit = styling.limit(order.side, worst, instrument, limited=terms.limited, tight=terms.tight)
    return PricedOrder(order, limit, styling)


def _worst_price(order: ProposedOrder, terms: Terms, instrument: Instrument) -> Decimal:
    if order.side is Side.BUY:
        return instrument.floor_price(order.price * (ONE + terms.collar))
    return instrument.ceil_price(order.price * (ONE - terms.collar))


def next_wave(
    buys: Sequence[ProposedOrder],
    funds: Usd,
    terms: Terms,
    instruments: Mapping[str, Instrument],
    fees: FeeSchedule,
) -> tuple[tuple[PricedOrder, ...], tuple[ProposedOrder, ...]]:
    """The buys that the broker will accept together, and those to send once these have filled.

    The broker sets aside more than an order will cost: its limit, or a market order's cushion. So all buys may be
    affordable and yet not together. Those for whose cushion the funds are too little become limit orders, so that as
    many as possible go together; of several, the first keep the cushion. The first that is not affordable even so gets
    fewer shares or a lower limit, or is left out.

    Args:
        funds: USD.
        instruments: by symbol, for their price steps.
    """
    while buys:
        together, left = _together(buys, funds, terms, instruments, fees)
        if together:
            wave = _with_cushions(together, left, terms, instruments, fees)
            return wave, tuple(buys[len(wave) :])
        first, *later = buys
        if fitted := _fitted(first, funds, terms, instruments[first.symbol], fees):
            return (fitted,), tuple(later)
        buys = later
    return (), ()


def _together(
    buys: Sequence[ProposedOrder],
    funds: Usd,
    terms: Terms,
    instruments: Mapping[str, Instrument],
    fees: FeeSchedule,
) -> tuple[list[PricedOrder], Usd]:
    """As many of the first buys as the funds allow, each priced so that it binds least; and the funds left."""
    together: list[PricedOrder] = []
    limited = replace(terms, tight=True)
    for order in buys:
        both = (ticket(order, one, instruments[order.symbol]) for one in (terms, limited))
        cheapest = min(both, key=lambda sent: _bound(sent, terms, fees))
        left = Usd(funds - _bound(cheapest, terms, fees))
        if left < 0:
            break
        together.append(cheapest)
        funds = left
    return together, funds


def _with_cushions(
    together: Sequence[PricedOrder],
    left: Usd,
    terms: Terms,
    instruments: Mapping[str, Instrument],
    fees: FeeSchedule,
) -> tuple[PricedOrder, ...]:
    """The same orders, as the terms ask for as far as what is ``left`` of the funds pays for that."""
    wave: list[PricedOrder] = []
    for sent in together:
        usual = ticket(sent.order, terms, instruments[sent.order.symbol])
        more = Usd(_bound(usual, terms, fees) - _bound(sent, terms, fees))
        wave.append(usual if more <= left else sent)
        left = Usd(left - more) if more <= left else left
    return tuple(wave)


def _bound(sent: PricedOrder, terms: Terms, fees: FeeSchedule) -> Usd:
    """USD that an order takes from the available funds while it works."""
    price = sent.order.price * (ONE + terms.cushion) if sent.limit_price is None else sent.limit_price
    return Usd(sent.order.quantity * price + fees.estimate(sent.order.quantity, price))


def _fitted(
    order: ProposedOrder, funds: Usd, terms: Terms, instrument: Instrument, fees: FeeSchedule
) -> PricedOrder | None:
    """A limit order that fits into the funds; ``None`` if they are too little for one lot."""
    least = instrument.ceil_price(order.price)
    left = funds - fees.estimate(order.quantity, order.price * (ONE + terms.collar))
    quantity = min(order.quantity, floor_shares(max(left, ZERO) / least, instrument.lot))
    if quantity < 1:
        return None
    highest = max(least, order.price * (ONE + terms.collar))
    limit = instrument.floor_price(min(left / quantity, highest))
    own = ticket(order, replace(terms, tight=True), instrument)
    if own.styling is not None and own.limit_price is not None:
        limit = min(limit, own.limit_price)
    fitted = replace(order, quantity=quantity, fee=fees.estimate(quantity, order.price))
    return replace(own, order=fitted, limit_price=limit)
