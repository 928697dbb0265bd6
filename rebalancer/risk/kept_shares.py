"""Shares of a symbol that its owner keeps apart: the rest of them is traded, these are not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from decimal import Decimal

from rebalancer.domain.account_history import Seen
from rebalancer.domain.errors import Refused
from rebalancer.domain.money import ONE, ZERO
from rebalancer.domain.portfolio import AccountSnapshot, Position, Quote
from rebalancer.domain.rule_names import Rule
from rebalancer.domain.units import NO_SHARES, Shares, Usd
from rebalancer.planning.checks import exact_arithmetic, holdings
from rebalancer.risk.splits import RATIOS

Kept = Mapping[str, Shares]
"""Shares by symbol."""
NOTHING_KEPT: Kept = {}
_SAME = Decimal("0.005")
"""Of a ratio: of fractions of shares a split pays cash."""


def check_kept(kept: Kept, seen: Seen | None, snapshot: AccountSnapshot, quotes: Mapping[str, Quote]) -> None:
    """Refuse an account that holds fewer shares than are kept apart, or whose shares seem to have been split since the
    number to keep was last used: it is a number of other shares then.

    Args:
        seen: the account as it was recorded last, however long ago that is.

    Raises:
        Refused: ``kept_shares_missing``, ``split_suspected``; ``position_invalid``, ``positions_ambiguous``.
    """
    with exact_arithmetic():
        split = dict(_split(kept, seen, snapshot, quotes)) if seen is not None else {}
    if split:
        listing = "; ".join(f"{symbol}: {what}" for symbol, what in sorted(split.items()))
        raise Refused(Rule.SPLIT_SUSPECTED, f"this looks like a split of shares that are kept apart: {listing}", split)
    held = holdings(snapshot)
    short = {symbol: held.get(symbol, NO_SHARES) for symbol in sorted(kept)}
    missing = {symbol: f"{found} of {kept[symbol]}" for symbol, found in short.items() if found < kept[symbol]}
    if missing:
        listing = ", ".join(f"{symbol} {what}" for symbol, what in missing.items())
        reason = f"fewer shares are held than hold keeps apart: {listing}; correct hold"
        raise Refused(Rule.KEPT_SHARES_MISSING, reason, missing)


def without_kept(snapshot: AccountSnapshot, kept: Kept) -> AccountSnapshot:
    """The same account with only the rest of such shares; its equity is not changed."""
    return replace(snapshot, positions=tuple(_rest(one, kept) for one in snapshot.positions)) if kept else snapshot


def rest_of(snapshot: AccountSnapshot, kept: Kept, quotes: Mapping[str, Quote]) -> AccountSnapshot:
    """The account as it would be if it held only the rest: positions, equity, and the value of its stocks.

    Args:
        quotes: of each symbol in ``kept``.
    """
    if not kept:
        return snapshot
    with exact_arithmetic():
        value = sum((count * quotes[symbol].mid for symbol, count in kept.items()), ZERO)
        stocks = snapshot.stock_value
        return replace(
            without_kept(snapshot, kept),
            net_liquidation=Usd(snapshot.net_liquidation - value),
            stock_value=None if stocks is None else Usd(stocks - value),
        )


def _rest(position: Position, kept: Kept) -> Position:
    if not position.tradable or position.symbol not in kept:
        return position
    return replace(position, quantity=Shares(position.quantity - kept[position.symbol]))


def _split(kept: Kept, seen: Seen, snapshot: AccountSnapshot, quotes: Mapping[str, Quote]) -> Iterator[tuple[str, str]]:
    for position in snapshot.positions:
        symbol = position.symbol
        before, quote, count = seen.holdings.get(symbol), quotes.get(symbol), kept.get(symbol)
        if before is None or quote is None or count is None or not position.tradable or before[0] <= 0:
            continue
        if seen.kept.get(symbol) != count:
            continue  # the number is newer than what was recorded
        shares, price = position.quantity / before[0], quote.mid / before[1]
        ratio = next((one for one in _ratios() if abs(shares - one) <= _SAME * one), None)
        if ratio is not None and _factor(shares * price) < _factor(price):
            now = f"{before[0]} shares at {before[1]} USD became {position.quantity} at {quote.mid}"
            yield (
                symbol,
                f"{now}; {count} are kept, {(count * ratio).normalize():f} would be as many: write what is meant",
            )


def _factor(change: Decimal) -> Decimal:
    """How far from no change, in either direction. The market may have moved since the record: what tells a split from
    a person who has bought or sold so many is that the value has changed less than the price.
    """
    return max(change, ONE / change)


def _ratios() -> Iterator[Decimal]:
    for ratio in RATIOS:
        yield ratio
        yield ONE / ratio
