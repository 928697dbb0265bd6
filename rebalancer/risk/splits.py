"""Splits that are booked by half: the price is the new one, the quantity still the old one, or the other way round."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal

from rebalancer.domain.account_history import Seen
from rebalancer.domain.errors import Refused
from rebalancer.domain.money import ONE
from rebalancer.domain.portfolio import AccountSnapshot, Quote
from rebalancer.domain.rule_names import Rule
from rebalancer.planning.checks import exact_arithmetic

RATIOS = frozenset(
    Decimal(new) / old for new, old in ((2, 1), (3, 1), (4, 1), (5, 1), (10, 1), (20, 1), (3, 2), (5, 2))
)
"""New shares for old ones; the same the other way round."""
_NEAR = Decimal("0.05")
"""Of a ratio: the market moves meanwhile."""


def check_splits(seen: Seen, snapshot: AccountSnapshot, quotes: Mapping[str, Quote]) -> None:
    """Refuse an account in which a holding's price or quantity has jumped like a split, and the other has not followed.
    A quantity that somebody has paid for, or been paid for, is none.

    Raises:
        Refused: ``split_suspected``.
    """
    with exact_arithmetic():
        suspected = dict(_suspected(seen, snapshot, quotes))
    if suspected:
        listing = "; ".join(f"{symbol}: {what}" for symbol, what in sorted(suspected.items()))
        raise Refused(Rule.SPLIT_SUSPECTED, f"this looks like a split that is booked by half: {listing}", suspected)


def _suspected(seen: Seen, snapshot: AccountSnapshot, quotes: Mapping[str, Quote]) -> Iterator[tuple[str, str]]:
    paid = seen.cash - snapshot.cash
    for entry in snapshot.positions:
        before, quote = seen.holdings.get(entry.symbol), quotes.get(entry.symbol)
        if before is None or quote is None or not entry.tradable or entry.quantity <= 0 or before[0] <= 0:
            continue
        shares, price = entry.quantity / before[0], quote.mid / before[1]
        bought = (entry.quantity - before[0]) * quote.mid
        traded = bool(bought) and abs(paid - bought) <= abs(bought) / 2
        if (_like_a_split(price) or (_like_a_split(shares) and not traded)) and not near(shares * price, ONE):
            yield entry.symbol, f"{before[0]} shares at {before[1]} USD became {entry.quantity} at {quote.mid}"


def _like_a_split(jump: Decimal) -> bool:
    return any(near(jump, ratio) or near(jump * ratio, ONE) for ratio in RATIOS)


def near(value: Decimal, to: Decimal) -> bool:
    """So near a ratio that the market may have made the difference."""
    return abs(value - to) <= _NEAR * to
