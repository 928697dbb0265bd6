"""Geometry of the pictures, drawn as SVG by the templates: no script and no inline style is needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from rebalancer.domain.money import ZERO
from rebalancer.planning.weights import CASH, WeightLine

WIDTH = Decimal(100)
HEIGHT = Decimal(30)


@dataclass(frozen=True, slots=True)
class Bar:
    """One symbol: the bar is its current weight, the mark its target; both in hundredths of the drawing's width."""

    symbol: str
    current: Decimal
    target: Decimal
    drift: Decimal
    bar: str
    mark: str


@dataclass(frozen=True, slots=True)
class Line:
    """A value over time: points of a polyline, and what it says in words."""

    points: str
    first: Decimal
    last: Decimal
    since: datetime


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


def line(values: Sequence[tuple[datetime, Decimal]]) -> Line | None:
    """A line through at least two values."""
    if len(values) < 2:
        return None
    start, end = values[0][0], values[-1][0]
    lowest, highest = min(value for _, value in values), max(value for _, value in values)
    seconds = Decimal((end - start).total_seconds()) or Decimal(1)
    span = highest - lowest or Decimal(1)
    points = (
        f"{Decimal((at - start).total_seconds()) / seconds * WIDTH:.2f},"
        f"{HEIGHT - 2 - (value - lowest) / span * (HEIGHT - 4):.2f}"
        for at, value in values
    )
    return Line(" ".join(points), values[0][1], values[-1][1], start)
