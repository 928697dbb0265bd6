"""How each style prices an order, and which of IBKR's order types and algorithms it is; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from rebalancer.domain.money import ONE
from rebalancer.domain.order_styles import OrderStyle, StyleChoice
from rebalancer.domain.orders import Algorithm, Instrument
from rebalancer.domain.portfolio import OrderType, Side
from rebalancer.domain.trading_sessions import in_new_york
from rebalancer.domain.units import Ratio

MOST_OF_VOLUME = "0.2"
"""Of what is traded meanwhile, the most that a VWAP order may be; what that leaves over walks."""

_PRIORITIES: Mapping[OrderStyle, str] = {
    OrderStyle.ADAPTIVE_PATIENT: "Patient",
    OrderStyle.ADAPTIVE_NORMAL: "Normal",
    OrderStyle.ADAPTIVE_URGENT: "Urgent",
}
_LIMITED = frozenset({OrderStyle.LIMIT, OrderStyle.MIDPRICE, OrderStyle.LIMIT_ON_CLOSE})
_AS_ORDER_TYPE = frozenset({*_PRIORITIES, OrderStyle.VWAP})
"""Algorithms that work a market or a limit order."""


@dataclass(frozen=True, slots=True)
class Styling:
    """The style of one order, with what it is priced from.

    Attributes:
        mid: of the symbol's quote, USD per share.
        patience_s: how long it works before what is left of it is cancelled; ``None``: as long as any order.
        reach: of a walk, how far it has come from the middle to the worst price, 0-1.
        window: of a VWAP order, from when and until when it is spread.
    """

    choice: StyleChoice
    mid: Decimal
    patience_s: float | None = None
    reach: Ratio = Ratio(ONE)
    window: tuple[datetime, datetime] | None = None

    @property
    def style(self) -> OrderStyle:
        """As chosen."""
        return self.choice.style

    def limit(
        self, side: Side, worst: Decimal, instrument: Instrument, *, limited: bool, tight: bool
    ) -> Decimal | None:
        """The limit price, USD per share; ``None`` for an order without one.

        Args:
            worst: that the order may fill at.
            limited: algorithms work limit orders.
            tight: whatever may have a limit needs one.
        """
        if self.style is OrderStyle.WALK:
            return self._step(side, worst, instrument)
        has_one = tight or self.style in _LIMITED or (limited and self.style in _AS_ORDER_TYPE)
        return worst if has_one else None

    def _step(self, side: Side, worst: Decimal, instrument: Instrument) -> Decimal:
        price = self.mid + self.reach * (worst - self.mid)
        step = instrument.floor_price(price) if side is Side.BUY else instrument.ceil_price(price)
        return step if step > 0 else worst

    def order_type(self, *, limited: bool) -> OrderType:
        """As IBKR calls it."""
        if self.style is OrderStyle.MIDPRICE:
            return OrderType.MIDPRICE
        if self.style.on_close:
            return OrderType.LIMIT_ON_CLOSE if limited else OrderType.MARKET_ON_CLOSE
        return OrderType.LIMIT if limited else OrderType.MARKET

    @property
    def algorithm(self) -> Algorithm | None:
        """What works it; ``None`` for an order that is sent on as it is."""
        if priority := _PRIORITIES.get(self.style):
            return Algorithm("Adaptive", (("adaptivePriority", priority),))
        if self.window is None:
            return None
        start, end = (_time_of_day(moment) for moment in self.window)
        spread = (("maxPctVol", MOST_OF_VOLUME), ("startTime", start), ("endTime", end))
        return Algorithm("Vwap", (*spread, ("allowPastEndTime", "0"), ("noTakeLiq", "0")))


def _time_of_day(moment: datetime) -> str:
    """As IBKR reads it in an algorithm's parameters."""
    return f"{in_new_york(moment):%Y%m%d %H:%M:%S} US/Eastern"
