"""What a statement of the broker says of one account, and what the ledger says of the same days."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum

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
    """A trade without an order ref that may be of an order of ours whose fills were not told."""
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
    """USD that nothing in the statement accounts for."""

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


@dataclass(frozen=True, slots=True)
class Trade:
    """One execution as the statement has it.

    Attributes:
        execution: the broker's execution id.
        at: to the second.
        reported: day of the statement that had it first.
        quantity: shares, negative when sold; 0 shares of a conversion of currencies.
        cash: USD that it brought (+) or cost, commission and taxes included; 0 in another currency.
        commission / taxes: USD, positive = paid.
        order_ref: empty where the broker does not tell it, as of paper accounts.
    """

    execution: str
    symbol: str
    at: datetime
    reported: date
    quantity: Decimal
    price: Decimal
    cash: Decimal
    commission: Decimal
    taxes: Decimal = ZERO
    order_ref: str = ""
    conversion: bool = False

    @property
    def side(self) -> Side:
        """By its sign."""
        return Side.BUY if self.quantity > 0 else Side.SELL


@dataclass(frozen=True, slots=True)
class Entry:
    """Shares or USD that came (+) or went without a trade.

    Attributes:
        text: the broker's.
    """

    kind: Kind
    reported: date
    text: str
    symbol: str = ""
    quantity: Decimal = ZERO
    cash: Decimal = ZERO


@dataclass(frozen=True, slots=True)
class Holdings:
    """Shares by symbol, without zeros, and USD of cash; ``None`` where it cannot be compared."""

    shares: Mapping[str, Decimal]
    cash: Decimal | None


@dataclass(frozen=True, slots=True)
class Statement:
    """One account's, of the days from ``first`` to ``last``.

    Attributes:
        closing: how ``last`` ended.
        stocks_only / dollars_only: nothing else is held; only then can the ledger's own look at the account be a start.
    """

    account_id: str
    first: date
    last: date
    closing: Holdings
    trades: tuple[Trade, ...] = ()
    entries: tuple[Entry, ...] = ()
    stocks_only: bool = True
    dollars_only: bool = True


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
    """A fill on record; ``commission``: USD, ``None`` while it is not known."""

    fill: Fill
    commission: Decimal | None

    @property
    def cash(self) -> Decimal:
        """USD that it brought or cost, as far as the ledger knows."""
        return -self.fill.signed * self.fill.price - (self.commission or ZERO)


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
        cash: USD.
    """

    kind: Kind
    text: str
    symbol: str = ""
    quantity: Decimal = ZERO
    cash: Decimal = ZERO


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
