"""Several strategies in one account: their targets, summed by weight; pure.

They are summed before replacements and planner, which know of one set of targets only.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from decimal import Decimal
from typing import Any

from rebalancer.domain.money import HUNDRED, ZERO
from rebalancer.domain.portfolio import StrategyPart, TargetWeight
from rebalancer.domain.units import Ratio, percent_text
from rebalancer.planning.checks import exact_arithmetic


def blend(members: Collection[StrategyPart]) -> tuple[TargetWeight, ...]:
    """The members' weights, each times the member's share; what several name adds up. The order of members does not
    matter.

    Returns:
        By symbol, sorted.

    Raises:
        Refused: ``numbers_out_of_range``.
    """
    with exact_arithmetic():
        total = _sum(contribution(member) for member in members)
    return tuple(TargetWeight(symbol, total[symbol]) for symbol in sorted(total))


def contribution(member: StrategyPart) -> dict[str, Ratio]:
    """What a member asks for, as fractions of the account."""
    return _sum({entry.symbol: Ratio(entry.weight * member.share)} for entry in member.weights)


def moves(now: Iterable[StrategyPart], before: Collection[StrategyPart]) -> dict[str, dict[str, Ratio]]:
    """Which member has changed what since an earlier blend: signed weights by symbol, of each member that there is or
    was; empty for one that has changed nothing. They add up to the difference of the two blends.

    Args:
        before: as of the account's last rebalance.

    Raises:
        Refused: ``numbers_out_of_range``.
    """
    with exact_arithmetic():
        was = {member.strategy: contribution(member) for member in before}
        are = {member.strategy: contribution(member) for member in now}
        return {name: _difference(was.get(name, {}), are.get(name, {})) for name in sorted(was.keys() | are.keys())}


def member_lines(targets: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """A blend's members and what each has moved, for a person; nothing of a single strategy.

    Args:
        targets: as on record.

    Returns:
        Member with its percentage, and the rest in words.
    """
    members, moved = targets.get("members", {}), targets.get("moved", {})
    for name in sorted(members.keys() | moved.keys()):
        member = members.get(name)
        words = [] if member is None else [f"as of {member['as_of'] or 'an unknown day'}"]
        if member is not None and member["frozen"]:
            words.append(f"as at the last rebalance, since {member['frozen']}")
        if moved:
            words.append(_moved(moved.get(name, {})))
        share = "no longer a member" if member is None else percent_text(Ratio(Decimal(member["share"])))
        yield f"{name}, {share}", "; ".join(words)


def _moved(changes: Mapping[str, str]) -> str:
    listing = ", ".join(f"{symbol} {Decimal(by) * HUNDRED:+.1f} %" for symbol, by in sorted(changes.items()))
    return f"moved {listing} of the account" if listing else "moved nothing"


def _sum(parts: Iterable[Mapping[str, Ratio]]) -> dict[str, Ratio]:
    total: dict[str, Ratio] = {}
    for part in parts:
        for symbol, weight in part.items():
            total[symbol] = Ratio(total.get(symbol, ZERO) + weight)
    return total


def _difference(was: Mapping[str, Ratio], now: Mapping[str, Ratio]) -> dict[str, Ratio]:
    changes = {
        symbol: Ratio(now.get(symbol, ZERO) - was.get(symbol, ZERO)) for symbol in sorted(was.keys() | now.keys())
    }
    return {symbol: change for symbol, change in changes.items() if change}
