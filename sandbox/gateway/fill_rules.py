"""How accepted orders fill: when, and in how many pieces."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field


def _exact(value: object) -> object:
    """An override may be a binary float; its shortest text is what its author wrote."""
    return str(value) if isinstance(value, float) else value


Exact = Annotated[Decimal, BeforeValidator(_exact)]
NotNegative = Annotated[Exact, Field(ge=0)]
Positive = Annotated[Exact, Field(gt=0)]


class Part(BaseModel):
    """A part of a scenario: unknown keys are refused, values do not change."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Fills(Part):
    """How an accepted, marketable order fills.

    Attributes:
        mode: ``instant`` in one piece at once; ``delayed`` in one piece after ``delay_ms``; ``partial`` in ``slices``
            pieces, the first after ``delay_ms``, the next each ``interval_ms`` later; ``never``.
        fraction: share of the order that ``partial`` fills in all; the rest keeps working.
    """

    mode: Literal["instant", "delayed", "partial", "never"] = "instant"
    delay_ms: NotNegative = Decimal(100)
    interval_ms: NotNegative = Decimal(100)
    slices: Annotated[int, Field(ge=1, le=100)] = 3
    fraction: Annotated[Exact, Field(gt=0, le=1)] = Decimal(1)

    def plan(self, quantity: Decimal) -> list[tuple[float, Decimal]]:
        """When how much of an order fills: seconds from now and shares."""
        delay_s, interval_s = float(self.delay_ms) / 1000, float(self.interval_ms) / 1000
        if self.mode == "never":
            return []
        if self.mode == "instant":
            return [(0.0, quantity)]
        if self.mode == "delayed":
            return [(delay_s, quantity)]
        whole, rest = divmod(int(quantity * self.fraction), self.slices)
        sizes = [whole + (number < rest) for number in range(self.slices)]
        return [(delay_s + interval_s * number, Decimal(size)) for number, size in enumerate(sizes) if size]


class FillRules(Fills):
    """The rule for all symbols, and exceptions by symbol."""

    by_symbol: dict[str, Fills] = Field(default_factory=dict)

    def rule(self, symbol: str) -> Fills:
        """The rule that applies to a symbol."""
        return self.by_symbol.get(symbol, self)
