"""Geometry of the pictures, drawn as SVG by the templates: no script and no inline style is needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from rebalancer.domain.money import ZERO
from rebalancer.planning.weights import CASH, WeightLine

WIDTH = Decimal(100)


@dataclass(frozen=True, slots=True)
class Bar:
    """One symbol: the bar is its current weight, the mark its target; both in hundredths of the drawing's width."""

    symbol: str
    current: Decimal
    target: Decimal
    drift: Decimal
    bar: str
    mark: str


def bars(lines: Sequence[WeightLine]) -> tuple[Bar, ...]:
    """Bars on one scale, largest target first, cash last."""
    widest = max((max(line.current, line.target) for line in lines), default=ZERO) or Decimal(1)

    def place(weight: Decimal) -> str:
        return f"{max(weight, ZERO) / widest * (WIDTH - 2):.2f}"

    ordered = sorted(lines, key=lambda line: (line.symbol == CASH, -line.target, line.symbol))
    return tuple(
        Bar(
            symbol=line.symbol,
            current=line.current,
            target=line.target,
            drift=line.drift,
            bar=place(line.current),
            mark=place(line.target),
        )
        for line in ordered
    )
