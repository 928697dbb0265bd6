"""Which style an order of a plan has, and why it has another one than its owner wants; pure.

The owner's choice is one place: :class:`~rebalancer.domain.order_styles.StyleRules`. Whatever speaks against it makes
the order a plain one, as ORDER_TYPE says, with the reason; a remainder walks. See docs/order-styles.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from rebalancer.domain.closing_auctions import cutoffs
from rebalancer.domain.order_styles import BROKER_REFUSES, OrderStyle, StyleChoice, StyleRules, StyleTerms
from rebalancer.domain.orders import Instrument
from rebalancer.domain.portfolio import OrderType, ProposedOrder, Quote
from rebalancer.domain.trading_sessions import TradingSession, in_new_york, parse
from rebalancer.domain.units import Ratio
from rebalancer.planning.styled_orders import Styling

AFTER_CLOSE = timedelta(minutes=2)
"""How long after the close the auction's fills are waited for."""
AFTER_END = timedelta(seconds=30)
"""How long after its time the last fills of a VWAP order are waited for."""
_IN_EXTENDED_HOURS = frozenset({OrderStyle.LIMIT, OrderStyle.WALK})


@dataclass(frozen=True, slots=True)
class Tried:
    """What was sent of a symbol in this run already, and not filled whole.

    Attributes:
        style: of the first of these orders.
        walked: steps of a walk among them.
    """

    style: OrderStyle
    walked: int = 0


@dataclass(frozen=True, slots=True)
class Situation:
    """What of a run and its plan speaks for or against a style.

    Attributes:
        closing: no order is sent in this last part of a session.
        extended: orders are sent outside regular hours too.
        raises_cash: somebody waits for what the sells bring.
        need_proceeds: buys are paid for with what the plan's sells, or a conversion, bring.
        tried: by symbol.
        refused: by symbol, the style that the broker has refused in this run, and its words.
    """

    now: datetime
    closing: timedelta
    extended: bool = False
    raises_cash: bool = False
    need_proceeds: bool = False
    tried: Mapping[str, Tried] = field(default_factory=dict)
    refused: Mapping[str, tuple[OrderStyle, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StyleChooser:
    """The styles of one plan's orders.

    Attributes:
        order_type: of an order without a style.
    """

    rules: StyleRules
    terms: StyleTerms
    order_type: OrderType
    instruments: Mapping[str, Instrument]
    situation: Situation

    def choice(self, order: ProposedOrder) -> StyleChoice | None:
        """How an order is worked; ``None`` for one without a style."""
        symbol = order.symbol
        if symbol in self.situation.refused:
            style, words = self.situation.refused[symbol]
            return self._plain(style, f"{BROKER_REFUSES} {style}: {words}")
        if tried := self.situation.tried.get(symbol):
            step = f"step {min(tried.walked + 1, self.terms.steps)} of {self.terms.steps}"
            if tried.style is OrderStyle.WALK:
                return StyleChoice(OrderStyle.WALK, step)
            return StyleChoice(OrderStyle.WALK, f"{step}, for what {tried.style} has left", tried.style)
        wanted = self.rules.wanted(symbol, order.notional)
        if wanted is None:
            return None
        style, why = wanted
        against = self._against(style, symbol)
        return StyleChoice(style, why) if against is None else self._plain(style, f"{style} by {why}, but {against}")

    def styling(self, order: ProposedOrder, quote: Quote, now: datetime) -> Styling | None:
        """The same with what the order is priced from."""
        choice, symbol, terms = self.choice(order), order.symbol, self.terms
        if choice is None:
            return None
        if choice.style is OrderStyle.WALK:
            last, walked = terms.steps - 1, self.situation.tried.get(symbol, Tried(OrderStyle.WALK)).walked
            if walked >= last:
                return Styling(choice, quote.mid)
            return Styling(choice, quote.mid, terms.step_s, Ratio(Decimal(walked) / last))
        if choice.style is OrderStyle.VWAP:
            return Styling(choice, quote.mid, (terms.vwap + AFTER_END).total_seconds(), window=(now, now + terms.vwap))
        if choice.style.on_close:
            return Styling(choice, quote.mid, (self._close(symbol) + AFTER_CLOSE - now).total_seconds())
        return Styling(choice, quote.mid, None if choice.style.plain else terms.patience_s)

    def sent_from(self, style: OrderStyle, symbol: str) -> datetime:
        """When an order for the close may be sent: not so early that a run waits for hours."""
        return self._last(style, symbol) - self.terms.lead

    def _plain(self, instead_of: OrderStyle, why: str) -> StyleChoice:
        limited = self.order_type is OrderType.LIMIT
        return StyleChoice(OrderStyle.LIMIT if limited else OrderStyle.MARKET, why, instead_of)

    def _against(self, style: OrderStyle, symbol: str) -> str | None:
        """Why an order cannot have the style now; ``None`` if it can."""
        if self.situation.extended and style not in _IN_EXTENDED_HOURS:
            return "with EXTENDED_HOURS_ENABLED orders are limit orders"
        if self.situation.raises_cash and not style.plain:
            return "somebody waits for the cash that is raised"
        if style.on_close:
            return self._against_close(style, symbol)
        return self._against_vwap(symbol) if style is OrderStyle.VWAP else None

    def _against_close(self, style: OrderStyle, symbol: str) -> str | None:
        if self.situation.need_proceeds:
            return "buys need what is sold first"
        if self._session(symbol) is None:
            return "no session is known"
        last = self._last(style, symbol)
        if self.situation.now >= last:
            exchange = self.instruments[symbol].primary_exchange
            return f"at {exchange} none is taken after {in_new_york(last):%H:%M} New York"
        if self._close(symbol) + AFTER_CLOSE - self.sent_from(style, symbol) > self.terms.longest:
            return "the wait for the close is longer than a run may take (TASK_SOFT_TIME_LIMIT_S)"
        return None

    def _against_vwap(self, symbol: str) -> str | None:
        session, minutes = self._session(symbol), self.terms.vwap.total_seconds() / 60
        if session is None:
            return "no session is known"
        if max(self.situation.now, session.start) + self.terms.vwap > session.end - self.situation.closing:
            return f"less than {minutes:g} minutes of the session are left"
        if self.terms.vwap > self.terms.longest:
            return f"{minutes:g} minutes are longer than a run may take (TASK_SOFT_TIME_LIMIT_S)"
        return None

    def _last(self, style: OrderStyle, symbol: str) -> datetime:
        """Until when the order is sent: the exchange's cut-off, or ours where that is earlier."""
        known = cutoffs(self.instruments[symbol].primary_exchange)
        before = known.limit if style is OrderStyle.LIMIT_ON_CLOSE else known.market
        return self._close(symbol) - max(before, self.situation.closing)

    def _close(self, symbol: str) -> datetime:
        """Of the session that is under way, or the next one; now where none is known, since nothing waits for it."""
        session = self._session(symbol)
        return self.situation.now if session is None else session.end

    def _session(self, symbol: str) -> TradingSession | None:
        """Regular hours of now, or the next ones; ``None`` where none are known, or cannot be read."""
        one = self.instruments[symbol]
        try:
            sessions = parse(one.liquid_hours, one.time_zone)
        except ValueError:
            return None
        return next((each for each in sessions if each.end > self.situation.now), None)
