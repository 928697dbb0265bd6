"""What a person may ask of a rebalance beyond "bring it to its targets". Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from rebalancer.money import ZERO
from rebalancer.planning import Kind


@dataclass(frozen=True, slots=True)
class Wish:
    """Kind of rebalance.

    Attributes:
        amount: USD to raise beyond the reserve; 0 for the other kinds.
    """

    kind: Kind = Kind.FULL
    amount: Decimal = ZERO


def read_wish(data: Mapping[str, Any]) -> Wish:
    """The wish in a request's data, ``{"kind": "raise-cash", "amount": "5000"}``.

    What a strategy's channel says (it names ``exec``) is for all its followers, so it cannot choose a kind.

    Raises:
        ValueError: saying what can be asked for.
    """
    if "exec" in data or "kind" not in data:
        return Wish()
    if not isinstance(data["kind"], str) or data["kind"] not in frozenset(Kind):
        raise ValueError(f"unknown kind {str(data['kind'])[:40]!r}; known are {', '.join(Kind)}")
    kind = Kind(data["kind"])
    return Wish(kind, _amount(data.get("amount")) if kind is Kind.RAISE_CASH else ZERO)


def _amount(written: object) -> Decimal:
    try:
        amount = Decimal(str(written))
    except InvalidOperation:
        amount = ZERO
    if not amount.is_finite() or amount <= 0:
        raise ValueError(f"raise-cash needs an amount of USD above 0, got {str(written)[:40]!r}")
    return amount
