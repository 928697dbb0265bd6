"""Positions that were there, that nobody has sold, and that the broker's equity still counts: its list is short."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rebalancer.domain.account_history import Seen
from rebalancer.domain.errors import Refused
from rebalancer.domain.money import ONE, ZERO, cents
from rebalancer.domain.portfolio import AccountSnapshot, Quote
from rebalancer.domain.rule_names import Rule
from rebalancer.planning.checks import exact_arithmetic


def check_missing(seen: Seen, snapshot: AccountSnapshot, quotes: Mapping[str, Quote]) -> None:
    """Refuse an account whose list of positions lacks what was recorded, although the equity has it. Beside stocks of
    unknown value, or where it is worth little, nothing else tells. Shares that were sold have brought cash, those that
    were moved elsewhere have left the equity; what has no price has to be what it was, or nothing can be said.

    Raises:
        Refused: ``positions_missing``.
    """
    with exact_arithmetic():
        missing = dict(_missing(seen, snapshot, quotes))
    if missing:
        listing = "; ".join(f"{symbol}: {what}" for symbol, what in sorted(missing.items()))
        reason = f"the broker's list of positions lacks what its equity counts: {listing}"
        raise Refused(Rule.POSITIONS_MISSING, reason, missing)


def _missing(seen: Seen, snapshot: AccountSnapshot, quotes: Mapping[str, Quote]) -> Iterator[tuple[str, str]]:
    prices = {symbol: price for symbol, (_, price) in seen.holdings.items()}
    prices |= {symbol: quote.mid for symbol, quote in quotes.items()}
    listed = [entry for entry in snapshot.positions if entry.quantity]
    unpriced = [entry for entry in listed if not entry.tradable or entry.symbol not in prices]
    if {entry.symbol: entry.quantity for entry in unpriced} != seen.unpriced:
        return
    held = {entry.symbol: entry.quantity for entry in listed if entry not in unpriced}
    known = sum((shares * prices[symbol] for symbol, shares in held.items()), snapshot.cash)
    more = snapshot.net_liquidation - known - (snapshot.other_cash or ZERO) - seen.untold
    for symbol, (before, _) in seen.holdings.items():
        now = held.get(symbol, ZERO)
        value = (before - now) * prices[symbol]
        if value > ONE and more >= value / 2 and snapshot.cash - seen.cash < value / 2:
            yield symbol, f"{before} shares became {now}, and equity counts {cents(more)} USD more than is listed"
