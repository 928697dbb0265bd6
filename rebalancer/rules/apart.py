"""Holdings that are neither traded nor counted: the owner's own, and what is no US stock."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from rebalancer.model import AccountSnapshot, Position, Quote, TargetWeight
from rebalancer.money import ZERO
from rebalancer.planning.checks import check_quotes, exact_arithmetic


@dataclass(frozen=True, slots=True)
class Remainder:
    """The account as the plan sees it.

    Attributes:
        notes: what was set apart, for a person.
    """

    snapshot: AccountSnapshot
    weights: tuple[TargetWeight, ...]
    notes: tuple[str, ...] = ()


def set_apart(
    snapshot: AccountSnapshot, weights: Sequence[TargetWeight], quotes: Mapping[str, Quote], hold: Collection[str]
) -> Remainder:
    """Take the symbols on ``hold`` out of positions, equity and targets; the weight of such a target stays cash. What
    is never traded (options, bonds, other currencies) is no equity to invest either: beside it, cash and stocks count.

    Raises:
        QuoteUnavailable: the value of a holding is unknown.
        Refused: ``numbers_out_of_range``.
    """
    stocks = [entry for entry in snapshot.positions if entry.tradable and entry.quantity]
    kept = [entry for entry in stocks if entry.symbol in hold]
    others = [entry for entry in snapshot.positions if not entry.tradable and entry.quantity]
    check_quotes({entry.symbol for entry in (stocks if others else kept)}, quotes)
    with exact_arithmetic():
        set_aside = _value(kept, quotes)
        equity = snapshot.net_liquidation - set_aside
        if others:
            equity = min(equity, snapshot.cash + _value(stocks, quotes) - set_aside)
    named = [entry for entry in weights if entry.symbol in hold and entry.weight]
    return Remainder(
        replace(
            snapshot,
            net_liquidation=equity,
            positions=tuple(entry for entry in snapshot.positions if entry not in kept),
        ),
        tuple(entry for entry in weights if entry.symbol not in hold),
        (
            *(f"{entry.symbol}: {entry.quantity} shares are on hold, neither counted nor traded" for entry in kept),
            *([f"holdings worth {set_aside:.2f} USD are not part of the equity of this plan"] if kept else []),
            *([f"the equity of this plan is cash and US stocks only, {equity:.2f} USD"] if others else []),
            *(
                f"{entry.symbol}: its target weight of {entry.weight} stays cash, the symbol is on hold"
                for entry in named
            ),
        ),
    )


def _value(stocks: Iterable[Position], quotes: Mapping[str, Quote]) -> Decimal:
    return sum((entry.quantity * quotes[entry.symbol].mid for entry in stocks), ZERO)
