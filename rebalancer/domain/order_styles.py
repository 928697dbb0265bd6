"""How an order is worked, and what the broker answers to a way that it does not take. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum

from rebalancer.domain.units import Usd


class OrderStyle(StrEnum):
    """A way to work an order; docs/order-styles.md says what each is for."""

    MARKET = "market"
    LIMIT = "limit"
    ADAPTIVE_PATIENT = "adaptive-patient"
    ADAPTIVE_NORMAL = "adaptive-normal"
    ADAPTIVE_URGENT = "adaptive-urgent"
    MIDPRICE = "midprice"
    MARKET_ON_CLOSE = "moc"
    LIMIT_ON_CLOSE = "loc"
    VWAP = "vwap"
    WALK = "walk"

    @property
    def plain(self) -> bool:
        """Sent on as it is, as without any style."""
        return self in (OrderStyle.MARKET, OrderStyle.LIMIT)

    @property
    def on_close(self) -> bool:
        """It waits for the closing auction."""
        return self in (OrderStyle.MARKET_ON_CLOSE, OrderStyle.LIMIT_ON_CLOSE)


@dataclass(frozen=True, slots=True)
class StyleRules:
    """Which style the owner wants of an order: that of its symbol, of its size, of the account, or the usual one.

    Attributes:
        usual: of all accounts.
        over_usd: for orders of more than so many USD.
    """

    usual: OrderStyle | None = None
    account: OrderStyle | None = None
    symbols: Mapping[str, OrderStyle] = field(default_factory=dict)
    over_usd: Mapping[Usd, OrderStyle] = field(default_factory=dict)

    @property
    def any(self) -> bool:
        """Whether any order may have a style."""
        return bool(self.usual or self.account or self.symbols or self.over_usd)

    def wanted(self, symbol: str, notional: Usd) -> tuple[OrderStyle, str] | None:
        """The style and why it is that one; ``None`` for an order as ORDER_TYPE says."""
        if symbol in self.symbols:
            return self.symbols[symbol], f"symbol {symbol}"
        if exceeded := [amount for amount in self.over_usd if notional > amount]:
            return self.over_usd[max(exceeded)], f"over {max(exceeded):f} USD"
        if self.account is not None:
            return self.account, "account"
        return None if self.usual is None else (self.usual, "ORDER_STYLE")


@dataclass(frozen=True, slots=True)
class StyleTerms:
    """How patient the styles are.

    Attributes:
        patience_s: of adaptive and midprice orders.
        vwap: over which time such an order is spread.
        steps / step_s: limit prices of a walk, the last of which works as long as any order, and seconds between them.
        lead: how long before the exchange's cut-off orders for the close are sent.
        longest: that a run may take.
    """

    patience_s: float
    vwap: timedelta
    steps: int
    step_s: float
    lead: timedelta
    longest: timedelta


@dataclass(frozen=True, slots=True)
class StyleChoice:
    """How an order is worked, as it goes on record with it.

    Attributes:
        why: what has decided that, in words.
        instead_of: the style that it would have had.
    """

    style: OrderStyle
    why: str
    instead_of: OrderStyle | None = None


BROKER_REFUSES = "the broker refuses"
"""How a choice's ``why`` begins when that is what kept the order from its style."""


def reason_and_style(reason: str, style: str | None, why: str | None) -> str:
    """Why an order is sent and how it is worked, for a person."""
    return f"{reason}; {style}: {why}" if style else reason


_OF_STYLE = frozenset({111, 145, 387, 391, 396, 397, 400, 439, 440, 441, 442, 443, 10314})
"""Codes of the TWS API that speak of an order's type, its algorithm, or the time in force or times of day that go with
them, and of nothing else in an order of ours (docs/broker-facts.md, "Order styles")."""
_PERHAPS = frozenset({201, 202, 321, 399})
"""Codes that refuse or end orders for many reasons; the text tells which."""
_STYLE = re.compile(
    r"order type|algo(rithm)?\b|(market|limit)[- ]on[- ]close|\bMOC\b|\bLOC\b|\bmid-?price\b"
    r"|closing (auction|cross)|time[- ]in[- ]force|\bTIF\b|reason:\s*(Adaptive|Vwap):",
    re.IGNORECASE,
)


def refuses_style(code: int, text: str) -> bool:
    """Whether the broker refuses how an order is worked, so that it may take the same order as a plain one.

    Args:
        code / text: of the error that refused the order, or ended it. Ask only of orders that were refused or ended by
            it, and only where the plain order would be another one: a remark with such a code (399) is no refusal.
    """
    return code in _OF_STYLE or (code in _PERHAPS and _STYLE.search(text) is not None)
