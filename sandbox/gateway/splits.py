"""Stocks that are split: their price changes at once, holdings follow, and perhaps the close when all show them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from decimal import Decimal
from functools import partial

from sandbox.gateway.account_views import AccountViews
from sandbox.gateway.exchange_books import Book
from sandbox.gateway.exchange_events import Event, Split
from sandbox.gateway.market import Market


class Splits:
    """Those that the book remembers change the market from the start.

    Args:
        after: runs something after so many seconds.
        publish: hears what changes.
    """

    def __init__(  # noqa: PLR0917 - the parts of an exchange that a split changes
        self,
        book: Book,
        market: Market,
        views: AccountViews,
        clock: Callable[[], datetime],
        after: Callable[[float, Callable[[], object]], None],
        publish: Callable[[Iterable[Event]], None],
    ) -> None:
        self._book = book
        self._market = market
        self._views = views
        self._clock = clock
        self._after = after
        self._publish = publish
        for split in book.splits:
            self._reprice(split)
            if split.booked_at:
                self._tell_close(split)

    def begin(self, symbol: str, ratio: Decimal, booked_after_s: float, *, close_follows: bool) -> None:
        """Split one."""
        split = Split(symbol, ratio, self._clock(), close_follows)
        self._book.announce(split)
        self._reprice(split)
        self._after(booked_after_s, partial(self._make_good, split))

    def go_on(self) -> None:
        """Book what the process before did not book any more."""
        for split in [one for one in self._book.splits if one.booked_at is None]:
            self._make_good(split)

    def _reprice(self, split: Split) -> None:
        price = self._market.quote(split.symbol).mark / split.ratio
        self._market.set_price(split.symbol, price, self._clock())

    def _make_good(self, split: Split) -> None:
        for account in self._book.accounts:
            self._views.changing(account)
        self._publish(self._book.book_split(split, self._market.quote(split.symbol).last, self._clock()))
        shown_after_s = [
            after_s for one in self._book.accounts for after_s, _ in self._views.told_after_s(one, split.symbol)
        ]
        self._after(max(shown_after_s), partial(self._tell_close, split))

    def _tell_close(self, split: Split) -> None:
        if split.close_follows:
            self._market.split_close(split.symbol, split.ratio)
            self._book.tell_close(split.symbol, self._clock())
