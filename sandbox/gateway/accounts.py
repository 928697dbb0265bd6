"""An account's cash and holdings, and how fills change them: pure and exact."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal

from rebalancer.model import Side
from rebalancer.money import ZERO

MARGIN_RATE = Decimal("0.5")
"""Initial margin of a margin account's long stock (Regulation T)."""
MAINTENANCE_RATE = Decimal("0.25")


@dataclass(frozen=True, slots=True)
class Holding:
    """Shares of one symbol; ``average_cost`` is USD per share including commissions, as IBKR reports it."""

    quantity: Decimal
    average_cost: Decimal
    realized: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class AccountState:
    """One account at one moment, USD.

    Attributes:
        settled / unsettled: parts of the cash; sale proceeds settle on the next day.
        settled_only: buys must be paid for with settled cash.
        unsettled_since: day of the newest sale.
        holdings: also those that have been sold out, with quantity 0.
    """

    account_id: str
    type: str
    margin: bool
    settled: Decimal
    settled_only: bool = False
    unsettled: Decimal = ZERO
    unsettled_since: date | None = None
    holdings: Mapping[str, Holding] = field(default_factory=dict)

    @property
    def cash(self) -> Decimal:
        """Trade-date cash."""
        return self.settled + self.unsettled

    def held(self, symbol: str) -> Decimal:
        """Shares held."""
        holding = self.holdings.get(symbol)
        return holding.quantity if holding else ZERO

    def settle(self, today: date) -> AccountState:
        """The account at the start of ``today``: earlier sales have settled."""
        if self.unsettled_since is None or self.unsettled_since >= today:
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
    """

    state: AccountState
    marks: Mapping[str, Decimal]
    committed: Decimal = ZERO
    previous_equity: Decimal | None = None

    @property
    def gross(self) -> Decimal:
        """Value of all holdings."""
        return sum((abs(self.value(symbol)) for symbol in self.state.holdings), ZERO)

    @property
    def net_liquidation(self) -> Decimal:
        """Total equity."""
        return self.state.cash + sum((self.value(symbol) for symbol in self.state.holdings), ZERO)

    @property
    def initial_margin(self) -> Decimal:
        """Equity that holdings and open orders bind: all that they cost, or half of it on margin."""
        rate = MARGIN_RATE if self.state.margin else Decimal(1)
        return rate * (self.gross + self.committed)

    @property
    def maintenance_margin(self) -> Decimal:
        """Equity below which the account would be liquidated."""
        return (MAINTENANCE_RATE if self.state.margin else Decimal(1)) * self.gross

    @property
    def available(self) -> Decimal:
        """What a new order is checked against."""
        return self.net_liquidation - self.initial_margin

    @property
    def buying_power(self) -> Decimal:
        """Notional that could be bought: four times the available funds on margin, intraday."""
        return max(self.available, ZERO) * (4 if self.state.margin else 1)

    def value(self, symbol: str) -> Decimal:
        """Market value of a holding."""
        return self.state.held(symbol) * self.marks[symbol]

    def unrealized(self, symbol: str) -> Decimal:
        """Profit of a holding that is not yet realized."""
        return self.value(symbol) - self.state.held(symbol) * self.state.holdings[symbol].average_cost

    def affords(self, cost: Decimal) -> bool:
        """True when a buy of this cost may be accepted."""
        if self.state.settled_only and cost > self.state.settled - self.committed:
            return False
        return (cost * MARGIN_RATE if self.state.margin else cost) <= self.available
