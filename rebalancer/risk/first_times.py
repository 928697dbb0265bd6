"""What an account does for the first time: a person should have looked, since it may be a mistake in the set-up."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal

from rebalancer.domain.account_history import LastTrade
from rebalancer.domain.accounts import FirstTime
from rebalancer.domain.money import ZERO
from rebalancer.domain.units import Ratio, percent_text

NEW_SHARE = Ratio(Decimal("0.5"))
"""Weight in symbols that the account has never had as targets, from which on a person is asked."""
FACTOR, LEAST = 2, 3
"""The number of targets has jumped when it has more than doubled or halved, and by so many at least."""


@dataclass(frozen=True, slots=True)
class Now:
    """What it is about to trade; ``weights`` as fractions by symbol, the rest as in :class:`LastTrade`."""

    strategy: str
    gateway: str
    login: str
    weights: Mapping[str, Ratio]


def first_times(known: LastTrade | None, now: Now, asked: Collection[FirstTime]) -> tuple[str, ...]:
    """Why a person has to look, in words.

    Args:
        known: ``None`` for an account that has never traded.
        asked: what is asked about at all.
    """
    if known is None:
        return ("the account has never traded before",) if FirstTime.ACCOUNT in asked else ()
    return tuple(words for kind, words in _differences(known, now) if kind in asked)


def _differences(known: LastTrade, now: Now) -> Iterator[tuple[FirstTime, str]]:
    if known.strategy != now.strategy:
        yield FirstTime.STRATEGY, f"the strategy is {now.strategy}, it was {known.strategy} when it last traded"
    if known.gateway is not None and known.gateway != now.gateway:
        yield FirstTime.GATEWAY, f"the gateway is {now.gateway}, it was {known.gateway} when it last traded"
    if known.login is not None and known.login != now.login:
        yield FirstTime.GATEWAY, "the login manages other accounts than when it last traded"
    wanted = {symbol: weight for symbol, weight in now.weights.items() if weight}
    fresh = {symbol: weight for symbol, weight in wanted.items() if symbol not in known.symbols}
    share = Ratio(sum(fresh.values(), ZERO))
    if share >= NEW_SHARE:
        names = ", ".join(sorted(fresh))
        yield FirstTime.TARGETS, f"{percent_text(share)} of the targets are new to the account: {names}"
    fewer, more = sorted((known.targets, len(wanted)))
    if more > FACTOR * fewer and more - fewer >= LEAST:
        yield FirstTime.TARGETS, f"there are {len(wanted)} targets, there were {known.targets} when it last traded"
