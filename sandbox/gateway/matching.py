"""Which working orders fill: when, how much of them, and at which price."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from functools import partial

from rebalancer.domain.money import ZERO
from rebalancer.domain.portfolio import Side
from sandbox.gateway import scenario
from sandbox.gateway.behaviour import Behaviour
from sandbox.gateway.exchange_books import Book
from sandbox.gateway.exchange_events import Order
from sandbox.gateway.fill_rules import Fills
from sandbox.gateway.hours import Hours
from sandbox.gateway.market import Market
from sandbox.gateway.style_fills import offered, schedule, within_limit

_BPS = Decimal("0.0001")
Fill = Callable[[Order, Decimal, Decimal], None]


class Matching:
    """Plans the fills of each order and lets them happen as the market allows.

    Args:
        after: runs something after so many seconds.
        fill: executes so many shares of an order at a price.
        expire: ends an order, with the reason.
    """

    def __init__(  # noqa: PLR0917 - what an exchange consists of
        self,
        setup: scenario.Scenario,
        book: Book,
        market: Market,
        hours: Hours,
        clock: Callable[[], datetime],
        behaviour: Behaviour,
        *,
        after: Callable[[float, Callable[[], object]], None],
        fill: Fill,
        expire: Callable[[int, str], None],
    ) -> None:
        self._setup = setup
        self._book = book
        self._market = market
        self._hours = hours
        self._clock = clock
        self._behaviour = behaviour
        self._after = after
        self._fill = fill
        self._expire = expire
        self._ready: dict[int, Decimal] = {}
        self._plans: dict[int, int] = {}

    def work(self, perm_id: int) -> None:
        """Plan the fills of what remains; an earlier plan of the same order is void."""
        order, now = self._book.orders[perm_id], self._clock()
        pieces = self._rule(order).plan(order.remaining)
        worked = schedule(order.ticket, pieces, now, self._hours.close_of(now), self._setup.orders)
        plan = self._plans[perm_id] = self._plans.get(perm_id, 0) + 1
        self._ready[perm_id] = ZERO
        for delay_s, quantity in worked.pieces:
            self._after(delay_s, partial(self._release, perm_id, plan, quantity))
        if worked.ends_after_s is not None:
            self._after(worked.ends_after_s, partial(self._run_out, perm_id, plan, worked.reason))

    def match_all(self) -> None:
        """Prices have moved: fill what they reach."""
        for perm_id in [perm_id for perm_id, quantity in self._ready.items() if quantity]:
            self._match(perm_id)

    def auction(self, order: Order) -> None:
        """The closing auction: an order fills at the last price, if its limit allows and somebody is on the other
        side.
        """
        price = self._market.quote(order.symbol).last
        quantity = sum((quantity for _, quantity in self._rule(order).plan(order.remaining)), ZERO)
        halted = self._behaviour.halted(order.symbol)
        if quantity and not halted and within_limit(order.ticket, order.side, price):
            self._fill(order, quantity, price)

    def _rule(self, order: Order) -> Fills:
        return self._behaviour.fill_rule(order.symbol, self._setup.fills.rule(order.symbol))

    def _release(self, perm_id: int, plan: int, quantity: Decimal) -> None:
        if self._plans[perm_id] == plan and self._book.orders[perm_id].open:
            self._ready[perm_id] += quantity
            self._match(perm_id)

    def _run_out(self, perm_id: int, plan: int, reason: str) -> None:
        if self._plans[perm_id] == plan:
            self._expire(perm_id, reason)

    def _match(self, perm_id: int) -> None:
        """Fill what the plan has released, if the market reaches the order's price."""
        order, quote = self._book.orders[perm_id], self._market.quote(self._book.orders[perm_id].symbol)
        if not self._market.listing(order.symbol).traded or self._behaviour.halted(order.symbol):
            return
        price = offered(order.ticket, order.side, quote, self._setup.orders)
        if within_limit(order.ticket, order.side, price) and self._hours.is_open(self._clock()):
            quantity, self._ready[perm_id] = self._ready[perm_id], ZERO
            self._fill(order, quantity, self._executed_at(order, price))

    def _executed_at(self, order: Order, price: Decimal) -> Decimal:
        """An odd lot of currencies fills at a worse price than the quote's, within its limit."""
        spec = self._market.listing(order.symbol).spec
        if order.ticket.quantity >= spec.odd_lot_below:
            return price
        worse, limit = price * spec.odd_lot_bps * _BPS, order.ticket.limit
        if order.side is Side.BUY:
            return price + worse if limit is None else min(price + worse, limit)
        return price - worse if limit is None else max(price - worse, limit)
