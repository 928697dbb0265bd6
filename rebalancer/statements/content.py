"""What a statement of the broker says of one account, and what the ledger says of the same days."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum

from rebalancer.domain.currencies import USD, CurrencyPair
from rebalancer.domain.household import StatedLot
from rebalancer.domain.money import ZERO
from rebalancer.domain.orders import Fill
from rebalancer.domain.portfolio import Side


class Kind(StrEnum):
    """What a difference between ledger and statement is."""

    DIVIDEND = "dividend"
    """Payments in lieu of dividends too."""
    TAX = "tax"
    """Withheld, or on a trade."""
    INTEREST = "interest"
    FEE = "fee"
    DEPOSIT = "deposit"
    WITHDRAWAL = "withdrawal"
    HAND_TRADE = "hand-trade"
    """A trade that is none of ours."""
    CONVERSION = "conversion"
    """Of one currency into another."""
    SPLIT = "split"
    CORPORATE_ACTION = "corporate-action"
    TRANSFER = "transfer"
    """Shares or cash to or from another account or broker."""
    LATE_COMMISSION = "late-commission"
    """Of a fill that the ledger has without one."""
    LOST_FILL = "lost-fill"
    """Of an order of ours, which the API never told."""
    ROUNDING = "rounding"
    """Of amounts that agree to the cent, one by one."""

    FOREIGN_ORDER = "foreign-order"
    """A trade under an order ref of our form that is not on record."""
    PERHAPS_OURS = "perhaps-ours"
    """A trade without an order ref that may be of an order of ours whose fills were not told, or that takes back
    something of which the statement says nothing."""
    MISSING_FILL = "missing-fill"
    """The ledger has a fill of which the statement says nothing."""
    OTHER_FILL = "other-fill"
    """Both have it, with another quantity or price."""
    OTHER_COMMISSION = "other-commission"
    UNKNOWN_ENTRY = "unknown-entry"
    """A cash entry of a type that nobody knows here."""
    POSITION = "position"
    """Shares that nothing in the statement accounts for."""
    CASH = "cash"
    """Cash that nothing in the statement accounts for."""

    @property
    def explained(self) -> bool:
        """Whether the statement itself says why; everything else is for a person."""
        return self not in UNEXPLAINED


UNEXPLAINED = frozenset(
    {
        Kind.FOREIGN_ORDER,
        Kind.PERHAPS_OURS,
        Kind.MISSING_FILL,
        Kind.OTHER_FILL,
        Kind.OTHER_COMMISSION,
        Kind.UNKNOWN_ENTRY,
        Kind.POSITION,
        Kind.CASH,
    }
)

Amounts = Mapping[str, Decimal]
"""Cash by currency, each amount in its own."""


def total(amounts: Iterable[Amounts]) -> dict[str, Decimal]:
    """Their sum, currency by currency."""
    found: dict[str, Decimal] = {}
    for one in amounts:
        for currency, amount in one.items():
            found[currency] = found.get(currency, ZERO) + amount
    return found


def negative(amounts: Amounts) -> dict[str, Decimal]:
    """What undoes them."""
    return {currency: -amount for currency, amount in amounts.items()}


@dataclass(frozen=True, slots=True)
class Trade:
    """One execution as the statement has it.

    Attributes:
        execution: the broker's execution id.
        at: to the second.
        reported: day of the statement that had it first.
        quantity: negative when sold; shares, or of a conversion units of the pair's first currency.
        gross: what it brought (+) or cost, without commission and taxes.
        commission: positive = paid, in ``charged_in``.
        taxes: positive = paid, in ``currency``.
        currency: of its price.
        order_ref: empty where the broker does not tell it, as of paper accounts.
        cancels: it takes an execution back, with everything of it reversed.
    """

    execution: str
    symbol: str
    at: datetime
    reported: date
    quantity: Decimal
    price: Decimal
    gross: Amounts
    commission: Decimal
    charged_in: str = USD
    taxes: Decimal = ZERO
    currency: str = USD
    order_ref: str = ""
    conversion: bool = False
    cancels: bool = False

    @property
    def side(self) -> Side:
        """By its sign."""
        return Side.BUY if self.quantity > 0 else Side.SELL

    @property
    def shares(self) -> Decimal:
        """That it added; none of a conversion."""
        return ZERO if self.conversion else self.quantity

    @property
    def cash(self) -> dict[str, Decimal]:
        """All that it brought (+) or cost."""
        return total((self.gross, {self.charged_in: -self.commission}, {self.currency: -self.taxes}))


@dataclass(frozen=True, slots=True)
class Entry:
    """Shares or cash that came (+) or went without a trade.

    Attributes:
        text: the broker's.
        cash: in ``currency``.
    """

    kind: Kind
    reported: date
    text: str
    symbol: str = ""
    quantity: Decimal = ZERO
    cash: Decimal = ZERO
    currency: str = USD


@dataclass(frozen=True, slots=True)
class Holdings:
    """What is held.

    Attributes:
        shares: by symbol, without zeros.
        comparable: the currencies whose cash is known; ``None``: of every one, 0 where it is not in ``cash``.
    """

    shares: Mapping[str, Decimal]
    cash: Amounts
    comparable: frozenset[str] | None = None

    def knows(self, currency: str) -> bool:
        """Whether its cash can be compared."""
        return self.comparable is None or currency in self.comparable


@dataclass(frozen=True, slots=True)
class Statement:
    """One account's, of the days from ``first`` to ``last``.

    Attributes:
        closing: how ``last`` ended.
        stocks_only: nothing else is held; only then can the ledger's own look at the account be a start.
        closed_lots: of stocks in dollars; empty where the query has none.
    """

    account_id: str
    first: date
    last: date
    closing: Holdings
    trades: tuple[Trade, ...] = ()
    entries: tuple[Entry, ...] = ()
    stocks_only: bool = True
    closed_lots: tuple[StatedLot, ...] = ()


@dataclass(frozen=True, slots=True)
class Start:
    """From where the days are counted: the end of the statement before, or the ledger's own look at the account.

    Attributes:
        day: of the look, or the last of that statement.
        at: of the look; ``None`` for a statement.
    """

    day: date
    holdings: Holdings
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class BookedFill:
    """A fill on record; ``commission``: in ``charged_in``, ``None`` while it is not known."""

    fill: Fill
    commission: Decimal | None
    charged_in: str = USD

    @property
    def shares(self) -> Decimal:
        """That it added; none of a conversion."""
        return ZERO if CurrencyPair.read(self.fill.symbol) else self.fill.signed

    @property
    def gross(self) -> dict[str, Decimal]:
        """What it brought (+) or cost, without commission."""
        fill = self.fill
        if pair := CurrencyPair.read(fill.symbol):
            return {pair.first: fill.signed, pair.second: -fill.signed * fill.price}
        return {USD: -fill.signed * fill.price}

    @property
    def cash(self) -> dict[str, Decimal]:
        """All of it, as far as the ledger knows."""
        return total((self.gross, {self.charged_in: -(self.commission or ZERO)}))


@dataclass(frozen=True, slots=True)
class BookedOrder:
    """An order on record; ``untold``: shares that may have filled without their executions having been told."""

    order_ref: str
    symbol: str
    side: Side
    day: date
    untold: Decimal


@dataclass(frozen=True, slots=True)
class Books:
    """What the ledger says of one account.

    Attributes:
        start: ``None`` without any look or statement: then only fills are compared.
        fills: of the days in question, and those that the statement names.
    """

    start: Start | None
    fills: tuple[BookedFill, ...] = ()
    orders: Mapping[str, BookedOrder] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Difference:
    """What the statement has beyond the ledger, negative where it has less.

    Attributes:
        quantity: shares of ``symbol``.
        cash: in ``currency``.
    """

    kind: Kind
    text: str
    symbol: str = ""
    quantity: Decimal = ZERO
    cash: Decimal = ZERO
    currency: str = USD


@dataclass(frozen=True, slots=True)
class Proof:
    """How a statement and the ledger compare.

    Attributes:
        lost: trades of our orders that the ledger lacks, to be put on record.
        charged: trades whose commission the ledger lacks.
    """

    statement: Statement
    differences: tuple[Difference, ...]
    lost: tuple[Trade, ...] = ()
    charged: tuple[Trade, ...] = ()

    @property
    def unexplained(self) -> tuple[Difference, ...]:
        """Those for a person."""
        return tuple(one for one in self.differences if not one.kind.explained)
