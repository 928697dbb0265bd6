"""Whether the account that traded a signal first has fared well enough for the others to follow."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from itertools import groupby
from operator import attrgetter

from rebalancer.domain.money import ZERO
from rebalancer.domain.portfolio import Side
from rebalancer.domain.strategy_holds import CanaryTerms
from rebalancer.domain.units import NO_RATIO, Ratio, Shares, Usd, percent_text
from rebalancer.planning.checks import exact_arithmetic


@dataclass(frozen=True, slots=True)
class Executed:
    """What became of one order.

    Attributes:
        filled: shares that count as filled.
        told: shares whose price the broker has told.
        value: of those, USD.
        mid: middle of the quote that the order was sized from, USD per share; ``None`` if it is not on record.
    """

    symbol: str
    side: Side
    filled: Shares
    told: Shares
    value: Usd
    mid: Decimal | None


@dataclass(frozen=True, slots=True)
class Trial:
    """A canary so far.

    Attributes:
        refusals: errors of its runs that a person has to resolve, rejected orders among them.
        finished: it holds its targets, or all of them that can be paid for today.
        removed: it was ended by a person.
        overdue: it has had its time.
        state: what it does now, in words.
    """

    refusals: tuple[str, ...]
    executed: tuple[Executed, ...]
    finished: bool
    removed: bool
    overdue: bool
    state: str


def judge(trial: Trial, terms: CanaryTerms) -> tuple[str, ...] | None:
    """Why a person has to look, one sentence each.

    Returns:
        Empty if it went well; ``None`` while that cannot be said.
    """
    reasons = [*trial.refusals, *_dear(trial.executed, terms.most_slippage)]
    if trial.removed:
        reasons.append("it was removed before it had finished")
    elif trial.overdue and not trial.finished:
        minutes = int(terms.within.total_seconds()) // 60
        reasons.append(f"it has not finished within {minutes} minutes: {trial.state}")
    return tuple(reasons) if reasons or trial.finished else None


def slippage(executed: Iterable[Executed]) -> Ratio:
    """How much worse than the middle of their quotes orders of one symbol have filled, as a fraction; negative if they
    have filled better. Orders whose price or quote is not known do not count.
    """
    known = [one for one in executed if one.mid is not None and one.told > 0]
    expected = sum((one.told * (one.mid or ZERO) for one in known), ZERO)
    if not expected:
        return NO_RATIO
    cost = sum((one.side.sign * (one.value - one.told * (one.mid or ZERO)) for one in known), ZERO)
    return Ratio(cost / expected)


def _dear(executed: Iterable[Executed], most: Ratio) -> list[str]:
    by_symbol = attrgetter("symbol")
    found = []
    with exact_arithmetic():
        for symbol, group in groupby(sorted(executed, key=by_symbol), by_symbol):
            orders = list(group)
            if any(one.filled > one.told or (one.filled and one.mid is None) for one in orders):
                found.append(f"{symbol}: its price cannot be judged, since an execution or a quote is not on record")
            elif (worse := slippage(orders)) > most:
                told, allowed = percent_text(worse, 2), percent_text(most, 2)
                found.append(f"{symbol} filled {told} worse than the middle of its quote, allowed are {allowed}")
    return found
