"""One market-data subscription, kept tick by tick.

ib_async keeps one ticker per contract and hands out its old prices after a failed request (its issue 223); a line
belongs to one request, so prices of an earlier one cannot be mistaken for its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

from rebalancer.domain.money import ZERO
from rebalancer.domain.portfolio import MarketDataType, Quote
from rebalancer.ibkr import mapping
from rebalancer.ibkr.messages import ErrorMessage

_BID = frozenset({1, 66})
_ASK = frozenset({2, 67})
_LAST = frozenset({4, 68})
_CLOSE = frozenset({9, 75})
_BID_SIZE = frozenset({0, 69})
_ASK_SIZE = frozenset({3, 70})
_DELAYED_FROM = 66


class QuoteLine:
    """Newest prices of one request.

    Attributes:
        contract_id: what it was asked for; another one since makes it worthless.
        epoch: the upstream's quotes epoch when it was opened; another one since makes it worthless.
        failure: why it will not deliver; set by the gateway's error.
        remark: last harmless message about it.
        on_change: called after every tick, failure or remark.
    """

    def __init__(
        self, symbol: str, request_id: int, epoch: int, accepted: frozenset[MarketDataType], contract_id: int = 0
    ) -> None:
        self.symbol = symbol
        self.contract_id = contract_id
        self.request_id = request_id
        self.epoch = epoch
        self.failure: ErrorMessage | None = None
        self.remark: ErrorMessage | None = None
        self.on_change: set[Callable[[QuoteLine], None]] = set()
        self._accepted = accepted
        self._quote = Quote(symbol, ZERO, ZERO, datetime.min.replace(tzinfo=UTC))
        self._bid_size = ZERO
        self._ask_size = ZERO
        self._halted = False

    # -- ticks ------------------------------------------------------------------------------------------------------

    def price_tick(self, tick_type: int, price: float, size: float) -> None:
        """A price with its size; -1 or a size of 0 mean that the side is empty."""
        value = mapping.price(price)
        if tick_type in _BID:
            self._bid_size = mapping.amount(size)
            self._set(tick_type, bid=value or ZERO)
        elif tick_type in _ASK:
            self._ask_size = mapping.amount(size)
            self._set(tick_type, ask=value or ZERO)
        elif tick_type in _LAST:
            self._set(tick_type, last=value)
        elif tick_type in _CLOSE:
            self._quote = replace(self._quote, close=value)

    def size_tick(self, tick_type: int, size: float) -> None:
        """A size alone; 0 empties the side."""
        if tick_type in _BID_SIZE:
            self._bid_size = mapping.amount(size)
        elif tick_type in _ASK_SIZE:
            self._ask_size = mapping.amount(size)
        else:
            return
        self._set(tick_type)

    def halted(self, value: float) -> None:
        """Trading halted (above 0) or not."""
        self._halted = value > 0
        self._changed()

    def data_type(self, number: int) -> None:
        """Live, frozen or delayed from now on."""
        data_type = mapping.market_data_type(number)
        if data_type is not None:
            self._quote = replace(self._quote, data_type=data_type)
            self._changed()

    def error(self, message: ErrorMessage, *, harmless: bool) -> None:
        """The gateway spoke of this request."""
        if harmless:
            self.remark = message
        else:
            self.failure = message
        self._changed()

    def _set(
        self, tick_type: int, *, bid: Decimal | None = None, ask: Decimal | None = None, last: Decimal | None = None
    ) -> None:
        quote = self._quote
        delayed = tick_type >= _DELAYED_FROM and quote.data_type is MarketDataType.LIVE
        self._quote = replace(
            quote,
            at=datetime.now(UTC),
            bid=quote.bid if bid is None else bid,
            ask=quote.ask if ask is None else ask,
            last=quote.last if last is None else last,
            data_type=MarketDataType.DELAYED if delayed else quote.data_type,
        )
        self._changed()

    def _changed(self) -> None:
        for callback in tuple(self.on_change):
            callback(self)

    # -- what it is worth -------------------------------------------------------------------------------------------

    @property
    def hopeless(self) -> bool:
        """Waiting for further ticks cannot help."""
        return self.failure is not None or self._quote.data_type not in self._accepted

    def quote(self) -> Quote | None:
        """Two-sided, uncrossed, of an accepted kind and not halted; else ``None``."""
        quote = self._quote
        sided = quote.bid > 0 and quote.ask > 0 and self._bid_size > 0 and self._ask_size > 0
        usable = sided and quote.bid <= quote.ask and not self._halted and not self.hopeless
        return quote if usable else None

    def age_s(self) -> float:
        """Seconds since the last tick."""
        return (datetime.now(UTC) - self._quote.at).total_seconds()

    def description(self) -> str:
        """What there was instead of a quote."""
        if self.failure is not None:
            return f"code {self.failure.code}: {self.failure.text}"
        quote = self._quote
        if quote.at.year == 1:
            return "no tick" + (f" (code {self.remark.code}: {self.remark.text})" if self.remark else "")
        bid = quote.bid if quote.bid > 0 and self._bid_size > 0 else "none"
        ask = quote.ask if quote.ask > 0 and self._ask_size > 0 else "none"
        halted = ", halted" if self._halted else ""
        return f"bid {bid}, ask {ask}, last {quote.last or 'none'}, {quote.data_type}{halted}"
