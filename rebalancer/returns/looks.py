"""An account at the moments of its record in which everything was known: targets, prices, cash and holdings."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from itertools import pairwise

from rebalancer.domain.errors import RebalancerError
from rebalancer.domain.money import ONE, ZERO

SPLIT_FROM = Decimal("1.25")
"""Shares that grow or shrink by less are no split."""
SAME_VALUE = Decimal("1.34")
"""A price that has changed against the number of shares within this factor belongs to a split: 3:2 moves it by 1.5."""


class Untellable(RebalancerError):
    """Something is not on record, and nothing is put in its place."""


@dataclass(frozen=True, slots=True)
class Trade:
    """What a run filled of a symbol.

    Attributes:
        shares: signed.
        price: USD per share.
        commission: USD, as far as known.
        conversion: of currencies; ``shares`` are so many that times ``price`` they are the USD exchanged.
    """

    symbol: str
    shares: Decimal
    price: Decimal
    commission: Decimal = ZERO
    conversion: bool = False


@dataclass(frozen=True, slots=True)
class Apart:
    """What is neither traded nor counted: on hold, kept apart, no US stock.

    Attributes:
        value: USD.
        holdings: shares by name; while they stay the same, a change of the value is one of prices.
    """

    value: Decimal = ZERO
    holdings: Mapping[str, Decimal] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Look:
    """One moment.

    Attributes:
        equity: USD, whatever came by then included.
        flow: USD that came (+) or went since the look before.
        prices: USD per share, mid.
        targets: tells newer targets of the strategy from older ones.
        published: the strategy's weights, 0-1; what is missing to 1 is cash.
        wanted: the same after replacements.
        planned: weights of the plan, as fractions of ``investable``.
        investable: USD.
        shares: held before the run, without what is apart.
        fund: what holds the reserve, if that is not cash.
        trades: of the run that began with this look; ``None`` where none did, or none of its orders was carried out.
    """

    at: datetime
    equity: Decimal
    prices: Mapping[str, Decimal]
    targets: Hashable
    published: Mapping[str, Decimal]
    wanted: Mapping[str, Decimal]
    planned: Mapping[str, Decimal]
    investable: Decimal
    shares: Mapping[str, Decimal]
    flow: Decimal = ZERO
    apart: Apart = field(default_factory=Apart)
    fund: str | None = None
    trades: tuple[Trade, ...] | None = None

    @property
    def after(self) -> dict[str, Decimal]:
        """Shares after the run."""
        held = dict(self.shares)
        for trade in (one for one in self.trades or () if not one.conversion):
            held[trade.symbol] = held.get(trade.symbol, ZERO) + trade.shares
        return held

    def price(self, symbol: str) -> Decimal:
        """USD per share, mid.

        Raises:
            Untellable: it is not on record.
        """
        if symbol not in self.prices:
            raise Untellable(f"no price of {symbol} on {self.at:%Y-%m-%d}")
        return self.prices[symbol]

    @property
    def slippage(self) -> Decimal:
        """USD that the fills cost more (+) or less than mid at the look."""
        return sum((one.shares * (one.price - self.price(one.symbol)) for one in self.trades or ()), ZERO)

    @property
    def commission(self) -> Decimal:
        """USD."""
        return sum((one.commission for one in self.trades or ()), ZERO)


def from_first_run(looks: Sequence[Look]) -> Sequence[Look]:
    """From the first run on: before it the account did not follow its strategy, as far as these looks know."""
    first = next((number for number, one in enumerate(looks) if one.trades is not None), len(looks))
    return looks[first:]


@dataclass(frozen=True, slots=True)
class Meanwhile:
    """What has happened since the look before to everything that is held, by whomever.

    Attributes:
        splits: by how much the shares of a symbol have multiplied.
        apart: what has become of one USD in what is apart.
    """

    splits: Mapping[str, Decimal] = field(default_factory=dict)
    apart: Decimal = ONE


def meanwhile(looks: Sequence[Look]) -> list[Meanwhile]:
    """Of each look; before the first nothing has happened."""
    return [Meanwhile(), *(Meanwhile(_splits(*pair), _apart_growth(*pair)) for pair in pairwise(looks))]


def _splits(before: Look, now: Look) -> dict[str, Decimal]:
    """Where number and price of shares have changed against each other."""
    held, found = before.after, {}
    for symbol, shares in now.shares.items():
        old = held.get(symbol, ZERO)
        if shares in (old, ZERO) or old == 0 or symbol not in now.prices or symbol not in before.prices:
            continue
        ratio = shares / old
        price = now.prices[symbol] / before.prices[symbol]
        if ratio > 0 and _factor(ratio) >= SPLIT_FROM and _factor(ratio * price) < SAME_VALUE:
            found[symbol] = ratio
    return found


def _apart_growth(before: Look, now: Look) -> Decimal:
    """Of unlike holdings nothing can be told, and a USD stays one."""
    same = before.apart.holdings == now.apart.holdings and before.apart.value > 0 and now.apart.value > 0
    return now.apart.value / before.apart.value if same else ONE


def _factor(change: Decimal) -> Decimal:
    return max(change, ONE / change)
