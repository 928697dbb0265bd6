"""What is on record of an account, as rules and runs ask for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from rebalancer.domain.money import ZERO
from rebalancer.domain.orders import Fill
from rebalancer.domain.portfolio import AccountSnapshot
from rebalancer.domain.units import NO_USD, Usd


@dataclass(frozen=True, slots=True)
class Traded:
    """What an account, or all of them, have traded today.

    Attributes:
        orders: sent or about to be.
        notional: USD of all fills, and of what is about to be filled; of stocks.
        converted: USD that were exchanged for other currencies.
    """

    orders: int = 0
    notional: Usd = NO_USD
    converted: Usd = NO_USD


@dataclass(frozen=True, slots=True)
class LastTrade:
    """What the account traded last.

    Attributes:
        gateway: address; ``None`` where that was not recorded.
        login: fingerprint of the accounts of the login; likewise.
        targets: number of targets with a weight.
        symbols: of the targets of every trade on record.
    """

    strategy: str
    gateway: str | None
    login: str | None
    targets: int
    symbols: frozenset[str]


@dataclass(frozen=True, slots=True)
class Seen:
    """An account as it was recorded last, with our fills since.

    Attributes:
        holdings: shares and USD per share by symbol.
        cash: USD.
        untold: USD of the equity beyond cash and holdings.
        unpriced: quantity by symbol of what had no price, such as stocks on hold and options.
        kept: shares by symbol that were kept apart then.
        contracts: what each holding was called, by contract id, as far as that is on record.
        at: when it was; ``None`` where that does not matter.
    """

    holdings: Mapping[str, tuple[Decimal, Decimal]]
    cash: Decimal
    untold: Decimal = ZERO
    unpriced: Mapping[str, Decimal] = field(default_factory=dict)
    kept: Mapping[str, Decimal] = field(default_factory=dict)
    contracts: Mapping[int, str] = field(default_factory=dict)
    at: datetime | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class AfterSnapshot:
    """A snapshot and our fills since.

    Attributes:
        fills: executions; beside them what was filled without one, and what may have been.
        commissions: USD by execution id, as far as known; one in another currency takes an unknown sum of dollars.
        turnover_before: USD that other runs had filled shortly before; the snapshot's cash is unsure to a part of that.
    """

    snapshot: AccountSnapshot
    fills: tuple[Fill, ...]
    commissions: Mapping[str, Decimal]
    turnover_before: Usd = NO_USD


@dataclass(frozen=True, slots=True)
class OrderRecord:
    """An order as it is on record; amounts in USD.

    Attributes:
        average_price: of its fills, ``None`` without any.
        commission: sum of what is known.
    """

    order_ref: str
    symbol: str
    side: str
    quantity: int
    status: str
    filled: Decimal
    average_price: Decimal | None
    commission: Decimal


@dataclass(frozen=True, slots=True)
class Strangers:
    """Orders at the broker of our form that are not on record.

    Attributes:
        lost: ours, carried out between the backup and the restore of this ledger.
        others: of another installation, or of a copy of this one.
    """

    lost: frozenset[str]
    others: frozenset[str]
