"""An account's cash and holdings, and how fills change them: pure and exact."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import ROUND_FLOOR, Decimal

from rebalancer.domain.currencies import CurrencyPair
from rebalancer.domain.money import ONE, ZERO
from rebalancer.domain.portfolio import Side

USD = "USD"
DEPOSITS = "Deposits/Withdrawals"
MARGIN_RATE = Decimal("0.5")
"""Initial margin of a margin account's long stock (Regulation T)."""
MAINTENANCE_RATE = Decimal("0.25")
_SATURDAY = 5


def settles_on(traded_on: date) -> date:
    """Settlement day of a US trade: the next weekday."""
    day = traded_on + timedelta(days=1)
    while day.weekday() >= _SATURDAY:
        day += timedelta(days=1)
    return day


@dataclass(frozen=True, slots=True)
class Holding:
    """Shares of one symbol; ``average_cost`` is USD per share including commissions, as IBKR reports it."""

    quantity: Decimal
    average_cost: Decimal
    realized: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class AccountState:
    """One account at one moment; amounts in USD, whatever its base currency.

    Attributes:
        settled / unsettled: parts of the USD cash; sale proceeds settle on the next weekday.
        settled_only: buys must be paid for with settled cash.
        unsettled_since: day of the newest sale.
        holdings: also those that have been sold out, with quantity 0.
        base_currency: in which account-wide values are told.
        other_cash: cash by currency, in that currency.
        auto_convert: without margin, dollars that a purchase lacks are bought with other currencies.
        exchanged: of each pair the sum of what was traded of it, in its first currency. Positions list that as IBKR's
            virtual positions; no cash is in it.
        accrued_interest / accrued_dividends: earned or owed, not yet paid.
    """

    account_id: str
    type: str
    margin: bool
    settled: Decimal
    settled_only: bool = False
    unsettled: Decimal = ZERO
    unsettled_since: date | None = None
    holdings: Mapping[str, Holding] = field(default_factory=dict)
    base_currency: str = USD
    other_cash: Mapping[str, Decimal] = field(default_factory=dict)
    accrued_interest: Decimal = ZERO
    accrued_dividends: Decimal = ZERO
    auto_convert: bool = False
    exchanged: Mapping[str, Decimal] = field(default_factory=dict)

    @property
    def cash(self) -> Decimal:
        """Trade-date cash in USD."""
        return self.settled + self.unsettled

    @property
    def settlement(self) -> date | None:
        """Day on which all of the cash will have settled; ``None``: it has."""
        return None if self.unsettled_since is None else settles_on(self.unsettled_since)

    def held(self, symbol: str) -> Decimal:
        """Shares held."""
        holding = self.holdings.get(symbol)
        return holding.quantity if holding else ZERO

    def settle(self, today: date) -> AccountState:
        """The account at the start of ``today``: earlier sales have settled."""
        if self.settlement is None or self.settlement > today:
            return self
        return replace(self, settled=self.cash, unsettled=ZERO, unsettled_since=None)

    def after_fill(self, fill: AccountFill) -> AccountState:
        """The account after one fill: cash changes by exactly its notional and its commission."""
        holding, realized = _trade(self.holdings.get(fill.symbol, Holding(ZERO, ZERO)), fill)
        holdings = {**self.holdings, fill.symbol: replace(holding, realized=holding.realized + realized)}
        if fill.side is Side.SELL:
            proceeds = fill.notional - fill.commission
            return replace(self, unsettled=self.unsettled + proceeds, unsettled_since=fill.traded_on, holdings=holdings)
        cost = fill.notional + fill.commission
        from_unsettled = min(max(cost - max(self.settled, ZERO), ZERO), max(self.unsettled, ZERO))
        return replace(
            self,
            settled=self.settled - (cost - from_unsettled),
            unsettled=self.unsettled - from_unsettled,
            holdings=holdings,
        )

    def after_correction(self, fill: AccountFill, change: Decimal) -> AccountState:
        """The account once an execution has another price: ``fill`` at that one, and by how many USD its notional is
        more than it was.
        """
        holding = self.holdings[fill.symbol]
        if fill.side is Side.SELL:
            sold = {**self.holdings, fill.symbol: replace(holding, realized=holding.realized + change)}
            return replace(self, unsettled=self.unsettled + change, holdings=sold)
        cost = holding.average_cost + change / holding.quantity
        bought = {**self.holdings, fill.symbol: replace(holding, average_cost=cost)}
        return replace(self, settled=self.settled - change, holdings=bought)

    def after_exchange(self, pair: CurrencyPair, fill: AccountFill) -> AccountState:
        """The account after currencies were exchanged; dollars that come in settle on the next weekday, the commission
        is in the base currency.
        """
        usd, foreign = pair.changes(fill.side, fill.quantity, fill.price)
        signed = fill.quantity if fill.side is Side.BUY else -fill.quantity
        exchanged = {**self.exchanged, str(pair): self.exchanged.get(str(pair), ZERO) + signed}
        changed = replace(self, exchanged=exchanged)._with_dollars(usd, fill.traded_on)
        return changed.with_cash({pair.foreign: foreign}).with_cash({self.base_currency: -fill.commission})

    def _with_dollars(self, usd: Decimal, traded_on: date) -> AccountState:
        if usd < 0:
            return replace(self, settled=self.settled + usd)
        return replace(self, unsettled=self.unsettled + usd, unsettled_since=traded_on)

    def with_cash(self, amounts: Mapping[str, Decimal]) -> AccountState:
        """The account with so much more of currencies, settled."""
        other_cash = dict(self.other_cash)
        for currency, amount in amounts.items():
            if currency != USD:
                other_cash[currency] = other_cash.get(currency, ZERO) + amount
        return replace(self, settled=self.settled + amounts.get(USD, ZERO), other_cash=other_cash)

    def after_payment(self, payment: Payment) -> AccountState:
        """The account after cash or accruals have changed without a trade."""
        return replace(
            self.with_cash(payment.amounts),
            accrued_interest=self.accrued_interest + payment.accrued_interest,
            accrued_dividends=self.accrued_dividends + payment.accrued_dividends,
        )

    def after_split(self, symbol: str, ratio: Decimal, price: Decimal, new: Decimal = ZERO) -> AccountState:
        """The account once a split is booked; a fraction that it makes of whole shares is paid in cash.

        Args:
            ratio: new shares for each old one.
            price: USD per new share.
            new: shares that were bought since the price changed.
        """
        held = self.holdings[symbol]
        old = held.quantity - min(new, held.quantity)
        quantity = held.quantity + old * (ratio - ONE)
        left = ZERO if held.quantity % 1 else quantity - quantity.to_integral_value(ROUND_FLOOR)
        booked = replace(held, quantity=quantity - left, average_cost=held.average_cost * held.quantity / quantity)
        return replace(self, settled=self.settled + left * price, holdings={**self.holdings, symbol: booked})


@dataclass(frozen=True, slots=True)
class Payment:
    """Cash that moves by itself: a deposit, a fee, a dividend, a conversion of currencies.

    Attributes:
        amounts: what is added, negative for what is taken, by currency.
        accrued_interest / accrued_dividends: by how much what is yet to be paid changes, USD.
        kind: as statements call it.
        symbol: of the stock that pays it.
    """

    amounts: Mapping[str, Decimal] = field(default_factory=dict)
    accrued_interest: Decimal = ZERO
    accrued_dividends: Decimal = ZERO
    kind: str = DEPOSITS
    symbol: str = ""


@dataclass(frozen=True, slots=True)
class AccountFill:
    """What one execution means to the account."""

    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal
    commission: Decimal
    traded_on: date

    @property
    def notional(self) -> Decimal:
        """quantity x price, USD."""
        return self.quantity * self.price

    def realized_in(self, holding: Holding | None) -> Decimal | None:
        """Profit that it realizes on a holding; ``None`` for a buy."""
        if self.side is Side.BUY or holding is None:
            return None
        return self.notional - self.commission - self.quantity * holding.average_cost


def _trade(holding: Holding, fill: AccountFill) -> tuple[Holding, Decimal]:
    """The holding after the fill, and the profit that the fill realized."""
    if fill.side is Side.SELL:
        left = holding.quantity - fill.quantity
        return replace(holding, quantity=left), fill.realized_in(holding) or ZERO
    quantity = holding.quantity + fill.quantity
    cost = holding.quantity * holding.average_cost + fill.notional + fill.commission
    return replace(holding, quantity=quantity, average_cost=cost / quantity if quantity else ZERO), ZERO


@dataclass(frozen=True, slots=True)
class Valuation:
    """An account at market prices, USD.

    Attributes:
        committed: what its open buy orders will cost.
        previous_equity: at the start of the day.
        rates: USD for one unit of each other currency.
        kinds: security type by symbol of what is no stock.
    """

    state: AccountState
    marks: Mapping[str, Decimal]
    committed: Decimal = ZERO
    previous_equity: Decimal | None = None
    rates: Mapping[str, Decimal] = field(default_factory=dict)
    kinds: Mapping[str, str] = field(default_factory=dict)

    @property
    def gross(self) -> Decimal:
        """Value of all holdings."""
        return sum((abs(self.value(symbol)) for symbol in self.state.holdings), ZERO)

    @property
    def holdings(self) -> Decimal:
        """Value of all holdings, shorts negative."""
        return sum((self.value(symbol) for symbol in self.state.holdings), ZERO)

    def of_kind(self, security_type: str) -> Decimal:
        """Value of the holdings of one security type."""
        named = (symbol for symbol in self.state.holdings if self.kinds.get(symbol, "STK") == security_type)
        return sum((self.value(symbol) for symbol in named), ZERO)

    @property
    def foreign_cash(self) -> Decimal:
        """Worth of the cash in other currencies."""
        return sum((amount * self.rate(currency) for currency, amount in self.state.other_cash.items()), ZERO)

    @property
    def total_cash(self) -> Decimal:
        """Worth of the cash in all currencies."""
        return self.state.cash + self.foreign_cash

    @property
    def net_liquidation(self) -> Decimal:
        """Total equity, accruals included."""
        return self.total_cash + self.holdings + self.state.accrued_interest + self.state.accrued_dividends

    @property
    def equity_with_loan(self) -> Decimal:
        """What orders are measured by: total equity on margin, else settled cash."""
        return self.net_liquidation if self.state.margin else self.state.settled + self.foreign_cash

    @property
    def initial_margin(self) -> Decimal:
        """Equity that holdings and open orders bind: half of their cost on margin, else what open orders cost."""
        return MARGIN_RATE * (self.gross + self.committed) if self.state.margin else self.committed

    @property
    def maintenance_margin(self) -> Decimal:
        """Equity below which the account would be liquidated."""
        return MAINTENANCE_RATE * self.gross if self.state.margin else ZERO

    @property
    def available(self) -> Decimal:
        """AvailableFunds as they are told; a cash account's do not rise with a sale until it has settled."""
        return self.equity_with_loan - self.initial_margin

    @property
    def buying_power(self) -> Decimal:
        """Notional that could be bought: four times the available funds on margin, intraday."""
        return max(self.available, ZERO) * (4 if self.state.margin else 1)

    def rate(self, currency: str) -> Decimal:
        """USD for one unit of a currency."""
        return ONE if currency == USD else self.rates[currency]

    def value(self, symbol: str) -> Decimal:
        """Market value of a holding."""
        return self.state.held(symbol) * self.marks[symbol]

    def unrealized(self, symbol: str) -> Decimal:
        """Profit of a holding that is not yet realized."""
        return self.value(symbol) - self.state.held(symbol) * self.state.holdings[symbol].average_cost

    @property
    def funds(self) -> Decimal:
        """What a buy may bind: without margin trade-date cash, or settled cash only, where proceeds pay for no buys."""
        if self.state.settled_only:
            return self.state.settled - self.committed
        if self.state.margin:
            return self.available
        return self.state.cash - self.committed + (self.foreign_cash if self.state.auto_convert else ZERO)

    def affords(self, cost: Decimal) -> bool:
        """True when a buy of this cost is accepted."""
        half = self.state.margin and not self.state.settled_only
        return (cost * MARGIN_RATE if half else cost) <= self.funds
