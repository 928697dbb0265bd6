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


class AdaptiveScan(Part):
    """How an Adaptive order of one priority fills.

    Attributes:
        delay_ms: how much later than a plain order.
        far_share: how far between the mid (0) and the far side of the quote (1).
    """

    delay_ms: NotNegative
    far_share: Annotated[Exact, Field(ge=0, le=1)]


class AdaptiveScans(Part):
    """By priority: the more patient, the later and the better."""

    urgent: AdaptiveScan = AdaptiveScan(delay_ms=Decimal(50), far_share=Decimal("0.75"))
    normal: AdaptiveScan = AdaptiveScan(delay_ms=Decimal(150), far_share=Decimal("0.5"))
    patient: AdaptiveScan = AdaptiveScan(delay_ms=Decimal(300), far_share=Decimal("0.25"))

    def of(self, priority: str) -> AdaptiveScan:
        """That of one of IBKR's priorities."""
        return {"Urgent": self.urgent, "Normal": self.normal, "Patient": self.patient}[priority]


class FillRules(Fills):
    """The rule for all symbols, and exceptions by symbol."""

    by_symbol: dict[str, Fills] = Field(default_factory=dict)

    def rule(self, symbol: str) -> Fills:
        """The rule that applies to a symbol."""
        return self.by_symbol.get(symbol, self)
