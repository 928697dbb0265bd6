"""Holdings that have changed though nobody here has traded them, by name; pure. Nothing is refused: what could be a
list that is short or a split that is booked by half has been refused before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal

from rebalancer.domain.account_history import Seen
from rebalancer.domain.money import ONE
from rebalancer.domain.portfolio import AccountSnapshot, Position, Quote
from rebalancer.planning.checks import exact_arithmetic
from rebalancer.risk.splits import RATIOS, near

WENT = "a merger, a delisting, a transfer, or a sale by hand"
CAME = "a spin-off, a merger, a transfer, or a buy by hand"


def corporate_actions(seen: Seen, snapshot: AccountSnapshot, quotes: Mapping[str, Quote]) -> tuple[str, ...]:
    """What has become of the account's US stocks since it was recorded last, our fills apart, in words.

    Args:
        quotes: of what is traded; without one nothing is said of a symbol.
    """
    held = {one.symbol: one for one in snapshot.positions if one.tradable and one.quantity}
    renamed = {
        was: one.symbol
        for one in held.values()
        if (was := seen.contracts.get(one.contract_id, one.symbol)) != one.symbol
    }
    with exact_arithmetic():
        changed = tuple(_changed(seen, held, quotes, renamed))
    return (
        *(
            f"{new} was called {was}: the symbol has changed, the contract has not"
            for was, new in sorted(renamed.items())
        ),
        *changed,
    )


def _changed(
    seen: Seen, held: Mapping[str, Position], quotes: Mapping[str, Quote], renamed: Mapping[str, str]
) -> Iterator[str]:
    known = {renamed.get(symbol, symbol): holding for symbol, holding in seen.holdings.items() if holding[0] > 0}
    for symbol, (shares, price) in sorted(known.items()):
        now, quote = held.get(symbol), quotes.get(symbol)
        if now is None:
            yield f"{symbol}: {_count(shares)} shares went that nobody sold here: {WENT}"
        elif quote is not None and now.quantity > 0 and now.quantity != shares:
            why = _why(now, shares, quote.mid / price)
            yield f"{symbol}: {_count(shares)} shares became {_count(now.quantity)} shares: {why}"
    for symbol in sorted(held.keys() & quotes.keys() - known.keys() - seen.unpriced.keys()):
        yield f"{symbol}: {_count(held[symbol].quantity)} shares came that nobody bought here: {CAME}"


def _count(shares: Decimal) -> str:
    return f"{shares.normalize():f}"


def _why(now: Position, shares: Decimal, price: Decimal) -> str:
    """Of a number that has changed; ``price`` as a part of what it was."""
    ratio = now.quantity / shares
    split = next((one for one in RATIOS if near(ratio, one) and near(price * one, ONE)), None)
    if split is not None:
        return f"a split of {_in_words(split)}"
    reverse = next((one for one in RATIOS if near(ratio * one, ONE) and near(price, one)), None)
    if reverse is not None:
        return f"a reverse split of {_in_words(reverse)}"
    return "a dividend in shares, a transfer, or a trade by hand"


def _in_words(ratio: Decimal) -> str:
    new, old = ratio.as_integer_ratio()
    return f"{new} for {old}"
