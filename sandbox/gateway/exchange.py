"""The simulated IBKR behind the gateway: market, book and time together."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from functools import partial

from rebalancer.domain.money import ZERO
from rebalancer.domain.order_states import OrderStatus
from rebalancer.domain.trading_sessions import trading_day
from sandbox.gateway import scenario
from sandbox.gateway.account_views import AccountViews
from sandbox.gateway.behaviour import Behaviour
from sandbox.gateway.checks import Lingering, OrderChecks, Refusal
from sandbox.gateway.closing import ClosingAuction
from sandbox.gateway.entry_checks import EntryChecks
from sandbox.gateway.exchange_accounts import Payment, Valuation
from sandbox.gateway.exchange_books import Book
from sandbox.gateway.exchange_events import (
    AccountChanged,
    Commissioned,
    Event,
    Executed,
    Execution,
    Order,
    OrderChanged,
    OrderNotice,
)
from sandbox.gateway.hours import Hours
from sandbox.gateway.market import Market
from sandbox.gateway.matching import Matching
from sandbox.gateway.memory import Memory
from sandbox.gateway.opening import hand_ticket, opening
from sandbox.gateway.order_life import OrderLife
from sandbox.gateway.order_styles import ON_CLOSE
from sandbox.gateway.remarks import remarks
from sandbox.gateway.splits import Splits
from sandbox.gateway.tickets import Ticket
from sandbox.gateway.timekeeping import Timekeeping
from sandbox.gateway.windows import Windows

Clock = Callable[[], datetime]
CallLater = Callable[[float, Callable[[], object]], object]


@dataclass(frozen=True, slots=True)
class WhatIf:
    """What an order would do to its account."""

    order: Order
    before: Valuation
    notional: Decimal
    fee: Decimal


class Exchange:
    """Takes orders of all clients and publishes what becomes of them.

    Args:
        call_later: runs something after so many seconds, as an event loop does.
        publish: hears every event, in order.
        memory: where it goes on; by default it begins with the scenario's accounts.

    Attributes:
        lines: of market data in use, of all clients: client id and request id.
    """

    def __init__(
        self,
        setup: scenario.Scenario,
        clock: Clock,
        call_later: CallLater,
        publish: Callable[[Event], None],
        behaviour: Behaviour,
        *,
        memory: Memory | None = None,
    ) -> None:
        self.setup = setup
        self.clock = clock
        self.lines: set[tuple[int, int]] = set()
        self.hours = Hours(setup.market)
        self.time = Timekeeping(setup.gateway)
        self.life = OrderLife(setup.orders.life)
        self.market = Market(setup.instruments, setup.quotes, clock())
        start = memory or opening(setup)
        self.book = Book(start, setup.fees.schedule(), setup.currencies, setup.gateway.numbers_from)
        self.views = AccountViews(setup, clock, self._after, self.valuation, self._tell, behaviour=behaviour)
        self._splits = Splits(self.book, self.market, self.views, clock, self._after, self._publish)
        self._call_later = call_later
        self._publish_one = publish
        self._behaviour = behaviour
        self.windows = Windows(self._accept, call_later)
        self._checks = OrderChecks(setup.gateway, self.market, self.book)
        self._entry = EntryChecks(self._checks, self.hours, clock, behaviour)
        self._matching = Matching(
            setup,
            self.book,
            self.market,
            self.hours,
            clock,
            behaviour,
            after=self._after,
            fill=self._fill,
            expire=self._confirm_cancel,
        )
        self._closing = ClosingAuction(self.book, self.hours, clock, self._matching.auction, self._confirm_cancel)
        self._was_open = self.hours.is_open(clock())
        self._begin_day(trading_day(clock()))
        if memory:
            self._go_on()
        else:
            self._enter_all()

    def place(self, client_id: int, order_id: int, ticket: Ticket) -> None:
        """Take a new order, or change the one that already has this number."""
        ticket = self._with_account(ticket)
        known = self.book.find(client_id, order_id)
        if known:
            self._modify(known, ticket)
            return
        if order_id < self.book.next_order_id(client_id):
            self._notice(client_id, order_id, Refusal(103, "Duplicate order id"))
            return
        refusal = self._entry.ticket(ticket)
        if refusal:
            self._notice(client_id, order_id, refusal)
            return
        if not self.windows.keeps_back(client_id, order_id, ticket, self._behaviour.window(ticket.contract.symbol)):
            self._accept(client_id, order_id, ticket)

    def preview(self, client_id: int, order_id: int, ticket: Ticket) -> WhatIf | Refusal:
        """Answer a what-if order; nothing changes."""
        ticket = self._with_account(ticket)
        refusal = self._entry.ticket(ticket)
        if refusal:
            return refusal
        order = self._preview(client_id, order_id, ticket)
        refusal = self._entry.order(order)
        if refusal:
            return refusal
        notional = order.remaining * order.reserve_price
        fee = self.book.fee(order.remaining, order.reserve_price)
        return WhatIf(order, self.valuation(order.account), notional, fee)

    def cancel(self, client_id: int, order_id: int) -> None:
        """Cancel a client's own order."""
        order = self.book.find(client_id, order_id)
        if order is not None and self._behaviour.ignores_cancel(order):
            return
        refusal = self._entry.cancel(order_id, order)
        if refusal:
            self._notice(client_id, order_id, refusal)
        elif order is not None:
            self._cancel(order)

    def cancel_all(self) -> None:
        """Cancel every order of the login, whoever placed it."""
        for order in self.book.open_orders():
            if order.status is not OrderStatus.PENDING_CANCEL and not self._entry.held(order):
                self._cancel(order)

    def enter(self, account_id: str, wish: scenario.OpenOrder) -> Order:
        """Put a limit order into the book as if by hand in TWS or by an earlier client."""
        spec = self.market.listing(wish.symbol).spec
        ticket = hand_ticket(account_id, wish, spec)
        bound = self._reserve_price(ticket, wish.symbol) * spec.multiplier
        order = self.book.add((wish.client_id, wish.order_id), ticket, wish.symbol, bound, self.clock())
        self._transmit(order)
        return self.book.orders[order.perm_id]

    def transmit_again(self, symbol: str) -> None:
        """Somebody sends a refused order that is still listed once more, and it works."""
        for order in self.book.open_orders():
            if order.symbol == symbol and order.rejected:
                self._reactivate(order.perm_id)

    def liquidate(self, account_id: str, symbol: str, quantity: Decimal) -> None:
        """IBKR sells by itself: an execution of client 0, order -1."""
        price = self.market.quote(symbol).bid
        wish = scenario.OpenOrder(symbol=symbol, side="SELL", quantity=quantity, limit_price=price)
        ticket = hand_ticket(account_id, wish, self.market.listing(symbol).spec)
        self.views.changing(account_id)
        self._publish(self.book.liquidate(ticket, symbol, price, self.clock()))

    def set_price(self, symbol: str, price: Decimal) -> None:
        """Let a symbol jump, and fill what its new price reaches."""
        self.market.set_price(symbol, price, self.clock())
        self._matching.match_all()

    def pay(self, account: str, payment: Payment) -> None:
        """Let cash move by itself."""
        self.views.changing(account)
        self._publish(self.book.pay(account, payment, self.clock()))

    def split(self, symbol: str, ratio: Decimal, booked_after_s: float, *, close_follows: bool = False) -> None:
        """Split a stock: its price changes at once and its close does not; holdings are booked later.

        Args:
            ratio: new shares for each old one; below 1 for a reverse split.
            close_follows: when every account shows its new holdings.
        """
        self._splits.begin(symbol, ratio, booked_after_s, close_follows=close_follows)
        self._matching.match_all()

    def step(self) -> None:
        """One interval of time has passed: quotes move, sessions open and close, cash settles."""
        now = self.clock()
        self.market.step(now)
        self.book.settle(now)
        if trading_day(now) != self._day:
            self._begin_day(trading_day(now))
        is_open = self.hours.is_open(now)
        if is_open and not self._was_open:
            self._release_held()
        elif self._was_open and not is_open:
            self._expire_day_orders()
        self._was_open = is_open
        self._matching.match_all()
        self._closing.hold_due()

    def hold_auction(self) -> int:
        """Hold the closing auction now, whatever the clock says; how many orders took part."""
        return self._closing.hold()

    def valuation(self, account: str) -> Valuation:
        """An account at market prices."""
        found = self._checks.valuation(account)
        return replace(found, previous_equity=self._previous_equity.get(account), kinds=self.setup.kinds)

    def _tell(self, account: str, symbol: str | None) -> None:
        self._publish_one(AccountChanged(account, symbol))

    def _enter_all(self) -> None:
        for account_id, account in self.setup.accounts.items():
            for order in account.open_orders:
                self.enter(account_id, order)

    def _go_on(self) -> None:
        """Take splits and open orders up again where the process before left them."""
        self._splits.go_on()
        if not self._was_open:
            self._expire_day_orders()
        for order in self.book.open_orders():
            match order.status:
                case OrderStatus.PENDING_CANCEL:
                    self._confirm_cancel(order.perm_id)
                case OrderStatus.SUBMITTED:
                    self._matching.work(order.perm_id)
                case OrderStatus.PRE_SUBMITTED | OrderStatus.INACTIVE if self._was_open and not order.rejected:
                    self._submit(order.perm_id)
        self._closing.hold_due()

    def _begin_day(self, day: date) -> None:
        self._day = day
        self._previous_equity: dict[str, Decimal] = {}
        self._previous_equity = {one: self.valuation(one).net_liquidation for one in self.book.accounts}

    def _accept(self, client_id: int, order_id: int, ticket: Ticket) -> None:
        order = self._preview(client_id, order_id, ticket)
        refusal = self._entry.order(order) or self._behaviour.refusal(order)
        order = self.book.add((client_id, order_id), ticket, order.symbol, order.reserve_price, self.clock())
        if refusal:
            self._reject(order, refusal)
        elif ticket.transmit:
            self._transmit(order)
        else:
            self._publish(self.book.amend(order.perm_id, ticket, order.reserve_price))

    def _reject(self, order: Order, refusal: Refusal) -> None:
        kept = refusal if isinstance(refusal, Lingering) else None
        if kept and kept.listed:
            ended = self.book.report(order.perm_id, OrderStatus.INACTIVE, rejected=True)
        else:
            text, unlisted = f"Cancelled by System: {refusal.text}", not (kept and kept.completed)
            ended = self.book.end(order.perm_id, OrderStatus.CANCELLED, self.clock(), text, rejected=unlisted)
        told = self.life.rejected(_notice(order, refusal), ended)
        self._publish(told if kept is None or kept.told else [one for one in told if not isinstance(one, OrderNotice)])

    def _modify(self, order: Order, ticket: Ticket) -> None:
        changed = replace(order, ticket=ticket, reserve_price=self._reserve_price(ticket, order.symbol))
        refusal = self._entry.change(order, changed)
        if refusal:
            self._notice(order.client_id, order.order_id, refusal)
            return
        self._publish(self.book.amend(order.perm_id, ticket, changed.reserve_price))
        if order.status is OrderStatus.API_PENDING and ticket.transmit:
            self._transmit(order)
        elif order.status is OrderStatus.SUBMITTED:
            self._matching.work(order.perm_id)

    def _transmit(self, order: Order) -> None:
        """Let an accepted order become known to the exchange, or hold it until the market opens."""
        known = self.book.report(order.perm_id, OrderStatus.PRE_SUBMITTED)
        silent = order.ticket.order_type in ON_CLOSE and self.setup.orders.on_close == "silent"
        self._publish(() if silent else known)
        spec = self.market.listing(order.symbol).spec
        said = remarks(order.ticket, spec, self.hours, self.clock(), warn_unset_tif=self.setup.orders.warn_unset_tif)
        for notice in (*said, *self._behaviour.notices(order)):
            self._notice(order.client_id, order.order_id, notice)
        if self.hours.is_open(self.clock()):
            self._hold_or_submit(order)

    def _hold_or_submit(self, order: Order) -> None:
        hold_s = self._behaviour.inactive_for_s(order)
        if hold_s is None:
            self._submit(order.perm_id)
        else:
            self._publish(self.book.report(order.perm_id, OrderStatus.INACTIVE))
            self._after(hold_s, partial(self._reactivate, order.perm_id))

    def _reactivate(self, perm_id: int) -> None:
        if self.book.orders[perm_id].status is OrderStatus.INACTIVE:
            self._submit(perm_id)

    def _submit(self, perm_id: int) -> None:
        """Let an order work; one for the closing auction is held until then."""
        if self.book.orders[perm_id].ticket.order_type in ON_CLOSE:
            self._publish(self.book.report(perm_id, OrderStatus.PRE_SUBMITTED))
            return
        self._publish(self.life.submitted(self.book.report(perm_id, OrderStatus.SUBMITTED)))
        self._matching.work(perm_id)

    def _fill(self, order: Order, quantity: Decimal, price: Decimal) -> None:
        self.views.changing(order.account)
        events = self.book.fill(order.perm_id, quantity, price, self.clock())
        self._publish(self.life.filled(events))
        for execution in [event.execution for event in events if isinstance(event, Executed)]:
            self._correct(execution)

    def _correct(self, execution: Execution) -> None:
        """It may have been told with a wrong price."""
        corrected = self._behaviour.corrected(execution)
        if corrected is not None:
            self.views.changing(execution.order.account)
            self._publish(self.book.correct(execution, corrected))

    def _release_held(self) -> None:
        for order in self.book.open_orders():
            if order.status is OrderStatus.PRE_SUBMITTED:
                self._submit(order.perm_id)

    def _expire_day_orders(self) -> None:
        for order in self.book.open_orders():
            if order.status is OrderStatus.SUBMITTED and order.ticket.time_in_force != "GTC":
                self._confirm_cancel(order.perm_id)

    def _cancel(self, order: Order) -> None:
        self._publish(self.book.report(order.perm_id, OrderStatus.PENDING_CANCEL))
        delay_s = float(self.setup.orders.cancel_delay_ms) / 1000
        self._after(delay_s, partial(self._confirm_cancel, order.perm_id))

    def _confirm_cancel(self, perm_id: int, reason: str = "") -> None:
        order = self.book.orders[perm_id]
        if order.open:
            ended = self.book.end(perm_id, OrderStatus.CANCELLED, self.clock(), "Cancelled by Trader")
            self._publish(self.life.cancelled(_notice(order, Refusal(202, f"Order Canceled - reason:{reason}")), ended))

    def _preview(self, client_id: int, order_id: int, ticket: Ticket) -> Order:
        listing = self.market.find(ticket.contract)
        if listing is None:
            raise LookupError(f"{ticket.contract} was checked before")
        price = self._reserve_price(ticket, listing.symbol)
        return self.book.preview((client_id, order_id), ticket, listing.symbol, price, self.clock())

    def _reserve_price(self, ticket: Ticket, symbol: str) -> Decimal:
        if ticket.limit is not None:
            return ticket.limit
        return self.market.quote(symbol).ask * (1 + self.setup.orders.market_order_cushion)

    def _with_account(self, ticket: Ticket) -> Ticket:
        """A login with one account needs no account in its orders."""
        if ticket.account or len(self.book.accounts) > 1:
            return ticket
        return replace(ticket, account=next(iter(self.book.accounts)))

    def _notice(self, client_id: int, order_id: int, refusal: Refusal) -> None:
        self._publish_one(OrderNotice(client_id, order_id, refusal.code, refusal.text))

    def _publish(self, events: Iterable[Event]) -> None:
        for event in events:
            if isinstance(event, AccountChanged):
                for delay_s, symbol in self.views.told_after_s(event.account, event.symbol):
                    self._after(delay_s, partial(self._tell, event.account, symbol))
            else:
                late = isinstance(event, Commissioned) or (isinstance(event, OrderChanged) and event.with_commission)
                delay_ms = self.setup.orders.commission_delay_ms if late else ZERO
                self._after(float(delay_ms) / 1000, partial(self._publish_one, event))

    def _after(self, delay_s: float, action: Callable[[], object]) -> None:
        if delay_s > 0:
            self._call_later(delay_s, action)
        else:
            action()


def _notice(order: Order, refusal: Refusal) -> OrderNotice:
    return OrderNotice(order.client_id, order.order_id, refusal.code, refusal.text)
