"""What a weight is, everywhere: USD of a holding as a fraction of the *investable equity* of the plan.

That is the base of the strategy's published targets, so what is exactly on target shows the published number.
Investable equity is equity less the reserve and the costs that the plan allows for; cash beyond the reserve is a row of
its own.
Why: docs/decisions/0013-weights-are-shares-of-investable-equity.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from rebalancer.domain.money import ONE, ZERO
from rebalancer.domain.portfolio import BaseCurrency

CASH = "cash"
"""Symbol of the row; no ticker is written in small letters."""


@dataclass(frozen=True, slots=True)
class WeightLine:
    """One symbol against its target, or cash beyond the reserve, as fractions of investable equity."""

    symbol: str
    current: Decimal
    target: Decimal

    @property
    def drift(self) -> Decimal:
        """current - target."""
        return self.current - self.target


def weigh(
    plan: Mapping[str, Any] | None, positions: Sequence[Mapping[str, Any]], cash: Decimal
) -> tuple[WeightLine, ...]:
    """What is held and what is wanted, by symbol, cash last; nothing without a plan, which has base and targets.

    Args:
        plan: as on record.
        positions: symbol, quantity and price, as on record.
        cash: USD of the account, the reserve included.
    """
    if not plan:
        return ()
    current = {symbol: weight for symbol, weight in held_weights(plan, positions).items() if weight is not None}
    targets = {line["symbol"]: Decimal(line["target_weight"]) for line in plan["lines"]}
    symbols = sorted(current.keys() | {symbol for symbol, weight in targets.items() if weight})
    lines = [WeightLine(symbol, current.get(symbol, ZERO), targets.get(symbol, ZERO)) for symbol in symbols]
    spare = _share(cash - Decimal(plan["reserve"]), plan)
    return (*lines, WeightLine(CASH, spare, ONE - sum(targets.values(), ZERO)))


def counted_cash(plan: Mapping[str, Any] | None, cash: Decimal, base: BaseCurrency | None) -> Decimal:
    """USD of cash that the targets are shares of: that of the base currency too, where the plan converts it.

    Args:
        cash: dollars.
    """
    terms = (plan or {}).get("conversion")
    if not terms or base is None:
        return cash
    return cash + max(ZERO, base.cash - Decimal(terms["kept"])) / Decimal(terms["per_dollar"])


def held_weights(plan: Mapping[str, Any] | None, positions: Sequence[Mapping[str, Any]]) -> dict[str, Decimal | None]:
    """Weight by symbol; ``None`` for what is never traded or on hold, which is no part of investable equity; nor are
    shares that are kept apart.
    """
    counted = {line["symbol"] for line in plan["lines"]} if plan else frozenset[str]()
    kept = (plan or {}).get("kept", {})
    return {
        one["symbol"]: _share(
            (Decimal(one["quantity"]) - Decimal(kept.get(one["symbol"], 0))) * Decimal(one["price"]), plan or {}
        )
        if one["symbol"] in counted and one.get("price") is not None
        else None
        for one in positions
    }


def weighed(plan: Mapping[str, Any] | None, positions: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Positions as on record, each with its weight as text."""
    weights = held_weights(plan, positions)
    return [{**one, "weight": _text(weights[one["symbol"]])} for one in positions]


def _share(value: Decimal, plan: Mapping[str, Any]) -> Decimal:
    investable = Decimal(plan["investable"])
    return value / investable if investable > 0 else ZERO


def _text(weight: Decimal | None) -> str | None:
    return None if weight is None else f"{weight:.6f}"
