"""Holdings that are the owner's own: neither traded nor counted."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from rebalancer.model import AccountSnapshot, Quote, TargetWeight
from rebalancer.money import ZERO
from rebalancer.planning.checks import check_quotes, exact_arithmetic, tradable


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
    """Take the symbols on ``hold`` out of positions, equity and targets; the weight of such a target stays cash.

    Raises:
        QuoteUnavailable: the value of a holding is unknown.
        Refused: ``numbers_out_of_range``.
    """
    kept = [entry for entry in snapshot.positions if tradable(entry) and entry.symbol in hold and entry.quantity]
    check_quotes({entry.symbol for entry in kept}, quotes)
    with exact_arithmetic():
        value = sum((entry.quantity * quotes[entry.symbol].mid for entry in kept), ZERO)
        equity = snapshot.net_liquidation - value
    notes = [f"{entry.symbol}: {entry.quantity} shares are on hold, neither counted nor traded" for entry in kept]
    if kept:
        notes.append(f"holdings worth {value:.2f} USD are not part of the equity of this plan")
    named = [entry for entry in weights if entry.symbol in hold and entry.weight]
    notes += [
        f"{entry.symbol}: its target weight of {entry.weight} stays cash, the symbol is on hold" for entry in named
    ]
    return Remainder(
        replace(
            snapshot,
            net_liquidation=equity,
            positions=tuple(entry for entry in snapshot.positions if entry not in kept),
        ),
        tuple(entry for entry in weights if entry.symbol not in hold),
        tuple(notes),
    )
