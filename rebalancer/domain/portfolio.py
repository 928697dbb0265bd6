"""The trade's vocabulary as frozen values.

Money, prices, weights and held quantities are ``Decimal``; order quantities are whole and unsigned, the side carries
direction; weights are fractions 0-1; datetimes are aware UTC; ``None`` means absent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Self

from rebalancer.domain.money import ONE, ZERO, cents
from rebalancer.domain.units import NO_USD, Ratio, Shares, Usd


class Side(StrEnum):
    """Direction of an order or a fill."""

    BUY = "BUY"
    SELL = "SELL"

    @property
    def sign(self) -> int:
        """Of the shares that it brings: 1 or -1."""
        return 1 if self is Side.BUY else -1


class OrderType(StrEnum):
    """IBKR order types that the program uses."""

    MARKET = "MKT"
    LIMIT = "LMT"
    MIDPRICE = "MIDPRICE"
    MARKET_ON_CLOSE = "MOC"
    LIMIT_ON_CLOSE = "LOC"


class SettledCash(StrEnum):
    """Which accounts without margin must not buy with the proceeds of sales that have not settled."""

    IRA = "ira"
    CASH = "cash"
    OFF = "off"


class TimeInForce(StrEnum):
    """How long an order works; always sent explicitly (IBKR code 10349 otherwise)."""

    DAY = "DAY"
    GTC = "GTC"


class MarketDataType(StrEnum):
    """Kind of quote, as IBKR's market-data type 1-4."""

    LIVE = "live"
    FROZEN = "frozen"
    DELAYED = "delayed"
    DELAYED_FROZEN = "delayed-frozen"


@dataclass(frozen=True, slots=True)
class Quote:
    """A two-sided quote in USD per share.

    Attributes:
        at: time of its newest tick.
        close: last session's close, if the broker sent one.
    """

    symbol: str
    bid: Decimal
    ask: Decimal
    at: datetime
    data_type: MarketDataType = MarketDataType.LIVE
    last: Decimal | None = None
    close: Decimal | None = None

    @property
    def mid(self) -> Decimal:
        """Price at which holdings are valued."""
        return (self.bid + self.ask) / 2


@dataclass(frozen=True, slots=True)
class TargetWeight:
    """Share of investable equity that a symbol should have, 0-1."""

    symbol: str
    weight: Ratio


@dataclass(frozen=True, slots=True)
class StrategyPart:
    """One strategy's targets, and how much of an account they are for.

    Attributes:
        share: part of the account, 0-1.
        frozen: why they are those of an earlier rebalance; ``None`` for the newest.
    """

    strategy: str
    share: Ratio
    weights: tuple[TargetWeight, ...]
    as_of: date | None = None
    last_rebalance_on: date | None = None
    frozen: str | None = None


@dataclass(frozen=True, slots=True)
class Targets:
    """A strategy's targets as published; or those of a blend of strategies, summed.

    Attributes:
        members: of a blend; empty for one strategy.
        moved: by member of a blend, what it has changed in the targets since the account's last rebalance: weights by
            symbol, signed; empty if there is none on record.
    """

    strategy: str
    weights: tuple[TargetWeight, ...]
    as_of: date | None = None
    last_rebalance_on: date | None = None
    members: tuple[StrategyPart, ...] = ()
    moved: Mapping[str, Mapping[str, Ratio]] = field(default_factory=dict)

    @property
    def parts(self) -> tuple[StrategyPart, ...]:
        """The members, or the one strategy for all of the account."""
        whole = StrategyPart(self.strategy, Ratio(ONE), self.weights, self.as_of, self.last_rebalance_on)
        return self.members or (whole,)


@dataclass(frozen=True, slots=True)
class Position:
    """A holding; quantity is signed and may be fractional.

    Attributes:
        security_type: IBKR's secType; only ``STK`` in USD is ever traded.
        exchange: as the positions list has it, mostly the primary exchange; empty where the broker leaves it out.
        foreign: listed elsewhere than in the US, as the broker's definition of the contract says.
    """

    symbol: str
    quantity: Shares
    contract_id: int = 0
    average_cost: Decimal = ZERO
    security_type: str = "STK"
    currency: str = "USD"
    exchange: str = ""
    foreign: bool = False

    @property
    def tradable(self) -> bool:
        """US stocks and ETFs; everything else is never touched nor counted."""
        return self.security_type == "STK" and self.currency == "USD" and not self.foreign


@dataclass(frozen=True, slots=True)
class BaseCurrency:
    """The currency that the broker keeps an account in, where that is not the dollar.

    Attributes:
        rate: units of it for one USD, the broker's own.
        cash: trade-date cash in it, in it, negative where it is owed.
    """

    currency: str
    rate: Decimal
    cash: Decimal = ZERO

    def of(self, usd: Decimal) -> Decimal:
        """What USD are in it, to the cent."""
        return cents(usd * self.rate)

    def dollars(self, amount: Decimal) -> Usd:
        """What an amount in it is in USD, to the cent."""
        return Usd(cents(amount / self.rate))

    def record(self) -> dict[str, str]:
        """As it is on record."""
        return {"currency": self.currency, "rate": str(self.rate), "cash": str(self.cash)}

    def told(self, equity: Usd) -> dict[str, str]:
        """As results show it: with the account's equity, USD, in it."""
        return {**self.record(), "net_liquidation": str(self.of(equity))}

    @classmethod
    def read(cls, record: Mapping[str, str] | None) -> Self | None:
        """From the record; ``None`` of an account in dollars."""
        if not record:
            return None
        return cls(record["currency"], Decimal(record["rate"]), Decimal(record["cash"]))


@dataclass(frozen=True, slots=True)
class AccountSnapshot:
    """What the broker said of one account at one moment; amounts in USD, at the broker's rate where it told another
    currency.

    Attributes:
        net_liquidation: total equity; base of the target weights.
        cash: trade-date cash.
        available_funds: what the broker checks a new order against.
        account_type: IBKR's AccountType text, for example ``INDIVIDUAL`` or ``IRA``.
        buying_power: never spent; it only tells accounts with margin from those without.
        previous_equity: at the last close, as the broker says; payments since then are not in it.
        settled_cash: what can be spent without owing any of it on a settlement day.
        other_cash: what the broker, at its own rates, counts as cash beyond ``cash``, never negative: what is owed in
            other currencies is taken off ``cash`` already. ``None`` where it cannot be told.
        accrued: interest and dividends in the equity that are yet to be paid, negative where they are owed.
        accrued_dividends: of them the dividends.
        stock_value: what the broker values the stocks in USD at, wherever they are listed.
        trading_type: IBKR's TradingType-S text, for example ``STKCASH`` or ``STKMRGN``.
        base: ``None`` for an account that is kept in dollars.
    """

    account_id: str
    at: datetime
    net_liquidation: Usd
    cash: Usd
    settled_cash: Usd | None
    available_funds: Usd | None
    positions: tuple[Position, ...]
    account_type: str | None = None
    buying_power: Usd | None = None
    previous_equity: Usd | None = None
    other_cash: Usd | None = NO_USD
    accrued: Usd = NO_USD
    accrued_dividends: Usd = NO_USD
    stock_value: Usd | None = None
    trading_type: str | None = None
    base: BaseCurrency | None = None


@dataclass(frozen=True, slots=True)
class Replacement:
    """Hold ``target`` where a strategy names ``source``, ``scale`` times as much."""

    source: str
    target: str
    scale: Decimal


@dataclass(frozen=True, slots=True)
class FeeSchedule:
    """Commission estimate per order in USD: ``per_share`` x quantity, at least ``minimum``, at most ``maximum_rate`` x
    notional (which wins over the minimum, as in IBKR's fixed pricing).
    """

    per_share: Decimal = Decimal("0.005")
    minimum: Usd = Usd(Decimal("1.00"))
    maximum_rate: Ratio = Ratio(Decimal("0.01"))

    def estimate(self, quantity: int, price: Decimal) -> Usd:
        """Commission for one order of ``quantity`` shares at ``price``."""
        return Usd(min(max(self.per_share * quantity, self.minimum), self.maximum_rate * quantity * price))


@dataclass(frozen=True, slots=True)
class ProposedOrder:
    """An order that the plan justifies; nothing has been sent.

    Attributes:
        price: USD per share that sizing used: bid for sells, ask for buys.
        fee: estimated commission, USD.
        reason: one sentence for a person.
    """

    symbol: str
    side: Side
    quantity: int
    price: Decimal
    fee: Usd
    reason: str

    @property
    def notional(self) -> Usd:
        """quantity x price."""
        return Usd(self.quantity * self.price)


@dataclass(frozen=True, slots=True)
class PlanLine:
    """One symbol of a plan: where it is, where it should be, where whole shares bring it.

    Weights are fractions of investable equity; ``planned_*`` assume that every proposed order fills at its price.

    Attributes:
        note: why drift remains, if so.
        lot: shares; the quantity of every order is a multiple of it.
        odd: less than a lot remains: it is drift that single shares would mend; the note says so.
    """

    symbol: str
    held: Shares
    price: Decimal
    target_weight: Ratio
    current_weight: Ratio
    target_shares: Shares
    planned_shares: Shares
    planned_weight: Ratio
    note: str | None = None
    lot: int = 1
    odd: bool = False

    @property
    def drift(self) -> Ratio:
        """current weight - target weight."""
        return Ratio(self.current_weight - self.target_weight)


@dataclass(frozen=True, slots=True)
class Plan:
    """The pure result of planning: proposed orders with reasons, before anything is sent.

    Attributes:
        equity: total equity used, USD.
        reserve: part of the equity left after all costs of the plan that stays cash, USD.
        investable: base of the target weights, USD: equity - costs allowed for - reserve.
        spendable_cash: cash that buys may use after the sells, reserve and all fees deducted.
        lines: every symbol held or targeted, sorted by symbol.
        sells / buys: in the order of sending.
        notes: remarks for a person, e.g. positions that are never touched.
    """

    equity: Usd
    reserve: Usd
    investable: Usd
    spendable_cash: Usd
    lines: tuple[PlanLine, ...]
    sells: tuple[ProposedOrder, ...]
    buys: tuple[ProposedOrder, ...]
    notes: tuple[str, ...] = ()

    @property
    def orders(self) -> tuple[ProposedOrder, ...]:
        """Sells, then buys."""
        return self.sells + self.buys

    @property
    def fees(self) -> Usd:
        """Estimated commissions of all proposed orders."""
        return Usd(sum((order.fee for order in self.orders), ZERO))
