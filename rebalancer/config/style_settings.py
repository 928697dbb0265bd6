"""Settings of order styles: which one is usual, and how patient they are."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated

from pydantic import Field

from rebalancer.config.event_settings import EventSettings
from rebalancer.config.order_settings import OrderSettings
from rebalancer.config.settings_section import Section
from rebalancer.config.types import SmallLetters
from rebalancer.domain.order_styles import OrderStyle, StyleTerms

_SPARE_S = 120
"""Of the time that a run may take, what is left beside the wait of a style."""


class StyleSettings(Section):
    """How orders are worked."""

    order_style: Annotated[OrderStyle, SmallLetters] | None = Field(
        default=None,
        description="How orders are worked, see [order styles](order-styles.md); without it as ORDER_TYPE says.",
    )
    style_patience_s: float = Field(
        default=120,
        ge=0.1,
        le=600,
        description="How long an adaptive or midprice order may work; what is left of it walks.",
    )
    vwap_minutes: float = Field(
        default=30,
        ge=1,
        le=110,
        description="Over how many minutes a vwap order is spread; beyond 18 raise TASK_SOFT_TIME_LIMIT_S.",
    )
    walk_steps: int = Field(
        default=5,
        ge=2,
        le=20,
        description="Limit prices of a walk, from the middle of the quote to the one of LIMIT_COLLAR_BPS.",
    )
    walk_step_s: float = Field(
        default=15, ge=0.1, le=300, description="How long each of them works, but for the last one, ORDER_TIMEOUT_S."
    )
    on_close_lead_minutes: float = Field(
        default=5,
        ge=1,
        le=30,
        description="How long before the exchange's cut-off orders for the close are sent; until then they are held.",
    )

    def refusals(self, orders: OrderSettings, events: EventSettings) -> Iterator[str]:
        """What contradicts other groups."""
        if orders.extended_hours_enabled and self.order_style not in (None, OrderStyle.LIMIT, OrderStyle.WALK):
            yield (
                f"EXTENDED_HOURS_ENABLED = true sends limit orders: with it ORDER_STYLE = {self.order_style} has to be "
                "limit or walk"
            )
        if self.order_style is OrderStyle.VWAP and self.terms(events).vwap > self.terms(events).longest:
            yield (
                f"VWAP_MINUTES = {self.vwap_minutes:g} are longer than a run may take: raise TASK_SOFT_TIME_LIMIT_S to "
                f"{self.vwap_minutes * 60 + _SPARE_S:g} at least"
            )

    def terms(self, events: EventSettings) -> StyleTerms:
        """The settings as a value."""
        return StyleTerms(
            patience_s=self.style_patience_s,
            vwap=timedelta(minutes=self.vwap_minutes),
            steps=self.walk_steps,
            step_s=self.walk_step_s,
            lead=timedelta(minutes=self.on_close_lead_minutes),
            longest=timedelta(seconds=events.task_soft_time_limit_s - _SPARE_S),
        )
