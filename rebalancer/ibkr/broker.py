"""``rebalancer.domain.ports.Broker`` over one connection to IB Gateway or TWS."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from types import MappingProxyType
from typing import TypeVar

from rebalancer.domain.orders import (
    Definitions,
    Instrument,
    MarginChange,
    OpenOrder,
    OrderRequest,
    OrderTrace,
    OrderUpdate,
    SentOrder,
)
from rebalancer.domain.portfolio import AccountSnapshot, Quote
from rebalancer.domain.symbols import Pin
from rebalancer.domain.units import Usd
from rebalancer.ibkr import asking
from rebalancer.ibkr.account_data import booked_snapshot, require_managed
from rebalancer.ibkr.ahead import Ahead
from rebalancer.ibkr.batch import Batch
from rebalancer.ibkr.cancelling import OwnerConnected, cancel_open_orders
from rebalancer.ibkr.connection import Connection, Work
from rebalancer.ibkr.contracts import InstrumentCache
from rebalancer.ibkr.currency_pairs import PairCache
from rebalancer.ibkr.options import BrokerOptions
from rebalancer.ibkr.quotes import QuoteBoard
from rebalancer.ibkr.session import GatewaySession
from rebalancer.ibkr.tracing import refs_of, trace_patiently
from rebalancer.ibkr.trial_order import OrderTrial, try_order
from rebalancer.ibkr.turn import Turn
from rebalancer.ibkr.what_if import what_if

T = TypeVar("T")


def _anything(_snapshot: AccountSnapshot) -> bool:
    return True


def _every(_order: OpenOrder) -> bool:
    return True


def _open() -> None:
    """No fence."""


def _none(_order: OpenOrder) -> bool:
    return False


class IbkrBroker:
    """One login, seen from task threads. Several brokers may share a connection; one per process is enough.

    Contract definitions and quote subscriptions are kept between calls; whatever an order depends on otherwise is
    asked for anew, at most a second before, but for positions that were pushed since the run asked and show its fills.

    Args:
        pins: what the owner has decided of symbols, asked for each time.
    """

    def __init__(
        self,
        connection: Connection,
        options: BrokerOptions | None = None,
        pins: Callable[[], Mapping[str, Pin]] = dict,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._connection = connection
        self._options = options or BrokerOptions()
        self._pins = pins
        self._instruments = InstrumentCache(clock)
        self._pairs = PairCache(clock)
        self._board: QuoteBoard | None = None
        self._turn: Turn | None = None
        self._ahead = Ahead()

    def managed_accounts(self) -> frozenset[str]:
        """Account ids of the login, as the gateway named them when it accepted the connection."""

        async def work(session: GatewaySession) -> frozenset[str]:
            return session.accounts

        return self._connection.call(work, self._options.request_timeout_s, "managed accounts")

    def clock_ahead(self) -> timedelta:
        """How far the gateway's clock is proven to be ahead of ours; see :meth:`GatewaySession.clock_ahead`."""
        return self._connection.call(self._ahead.clock_ahead, self._options.request_timeout_s, "the gateway's time")

    def listed_since(self) -> datetime:
        """Midnight in the gateway's own zone, by its clock, or seconds later."""

        async def work(session: GatewaySession) -> datetime:
            return session.time.day_start(datetime.now(UTC))

        return self._connection.call(work, self._options.request_timeout_s, "the gateway's day")

    def wait_for_return(self, timeout_s: float) -> None:
        """Connect again, with growing pauses between the attempts, until IBKR can be reached."""
        self._connection.wait_for_return(timeout_s)

    def snapshot(
        self, account_id: str, booked: Callable[[AccountSnapshot], bool] = _anything, *, pushed: bool = False
    ) -> AccountSnapshot:
        """Fresh equity, cash and positions; cash is limited to what exists in USD."""
        patience_s = self._options.books_timeout_s
        return self._ask(
            account_id,
            "the account",
            lambda session: booked_snapshot(session, account_id, booked, patience_s, self._ahead, pushed=pushed),
            extra_s=patience_s,
        )

    def marks(self, account_id: str) -> Mapping[int, Usd]:
        """The broker's own value of each holding in USD."""
        return self._ask(account_id, "portfolio values", lambda session: asking.marks(session, account_id))

    def define(self, symbols: Collection[str], held: Mapping[int, str] = MappingProxyType({})) -> Definitions:
        """Which contract each symbol stands for, by the broker's definitions of today."""
        pins = self._pins()

        async def work(session: GatewaySession) -> Definitions:
            return await self._instruments.define(session, symbols, held, pins)

        return self._connection.call(work, self._options.request_timeout_s, "contract definitions")

    def instruments(self, symbols: Collection[str]) -> Mapping[str, Instrument]:
        """Contract definitions by symbol."""
        pins = self._pins()

        async def work(session: GatewaySession) -> dict[str, Instrument]:
            return await self._instruments.get(session, symbols, pins)

        return self._connection.call(work, self._options.request_timeout_s, "contract definitions")

    def currency_pair(self, currency: str) -> Instrument:
        """The pair of a currency and the dollar, by the broker's definition of today."""
        timeout_s = self._options.request_timeout_s
        return self._connection.call(lambda session: self._pairs.get(session, currency), timeout_s, "a currency pair")

    def quotes(self, instruments: Mapping[str, Instrument], spare: Collection[str] = ()) -> Mapping[str, Quote]:
        """Two-sided quotes: new, or of a living subscription whose last tick is younger than ``quote_max_age_s``."""

        async def work(session: GatewaySession) -> dict[str, Quote]:
            return await self._board_of(session).quotes(instruments, frozenset(spare))

        return self._connection.call(work, self._options.request_timeout_s + self._options.quote_timeout_s, "quotes")

    def ask_anew(self, symbols: Collection[str]) -> None:
        """Such subscriptions end, but for those that another run waits for."""
        self._connection.post(partial(self._mistrust, frozenset(symbols)))

    def open_orders(self, account_id: str) -> tuple[OpenOrder, ...]:
        """Open orders of all API clients and of people in TWS."""

        async def work(session: GatewaySession) -> tuple[OpenOrder, ...]:
            found = await self._ahead.open_orders(session, account_id)
            return tuple(order for order in found if order.account_id == account_id)

        return self._ask(account_id, "open orders", work)

    def look_ahead(self, account_id: str, *, first: bool = False) -> None:
        """Ask for what the next questions want, all at once; see :class:`Ahead`."""

        async def work(session: GatewaySession) -> None:
            if first and self._turn is not None and (turn := self._turn.connection) is not None:
                self._ahead.follow(session, turn, account_id)
            self._ahead.ask(session, account_id, first=first)

        self._ask(account_id, "the account", work)

    def cancel_open_orders(
        self,
        account_id: str,
        which: Callable[[OpenOrder], bool] = _every,
        hopeless: Callable[[OpenOrder], bool] = _none,
    ) -> tuple[OpenOrder, ...]:
        """Cancel them, each as its owner, and wait until the broker lists none but hopeless ones. The id of an owner
        that is connected is wanted from then on.
        """
        patience_s = self._options.cancel_timeout_s
        self._connection.post(self._ahead.forget)
        try:
            cancelled = self._ask(
                account_id,
                "the cancel of open orders",
                lambda session: cancel_open_orders(session, account_id, patience_s, which, hopeless),
                extra_s=patience_s,
            )
        except OwnerConnected as owner:
            self._connection.wanted.add(owner.client_id)
            raise
        self._connection.wanted.discard({order.client_id for order in cancelled})
        return cancelled

    def execute(
        self,
        orders: Sequence[OrderRequest],
        timeout_s: float,
        before_each: Callable[[], None],
        fence: Callable[[], None] = _open,
        amid: Callable[[], None] = _open,
    ) -> Iterator[Sequence[OrderUpdate]]:
        """Send one right after the other, yield updates until all is known; nothing is sent before the first ``next``.

        The first update of each order is unconfirmed and says that it was written to the socket. Orders that are
        unfinished when the iterator is closed, or when it raises, keep working at the broker.
        """
        if orders:
            self._connection.post(self._ahead.forget)
            batch = Batch(self._connection, self._options, orders, self._instruments.drop)
            try:
                yield from batch.updates(timeout_s, before_each, fence, amid)
            finally:
                self._connection.post(self._trim)

    def trace(
        self, account_id: str, orders: Collection[SentOrder], patience_s: float = 0, others: Collection[int] = ()
    ) -> Mapping[str, OrderTrace]:
        """Orders found in open orders, completed orders or executions, which reach back to midnight at most."""
        grace_s = self._options.commission_grace_s
        self._connection.post(self._ahead.forget)
        return self._ask(
            account_id,
            "the trace of orders",
            lambda session: trace_patiently(
                session, account_id, orders, others, commission_grace_s=grace_s, patience_s=patience_s
            ),
            extra_s=2 * grace_s + patience_s + self._options.request_timeout_s,
        )

    def order_refs(self, account_id: str) -> Mapping[str, datetime | None]:
        """Order refs of the account's open and ended orders and executions since midnight, whoever placed them."""

        async def work(session: GatewaySession) -> Mapping[str, datetime | None]:
            return refs_of(await self._ahead.lists(session, account_id), account_id)

        return self._ask(account_id, "the account's orders", work)

    @contextmanager
    def turn(self, account_id: str) -> Iterator[None]:
        """The turn to trade the account, for as long as the block runs."""
        if not self._options.account_turns:
            yield
            return
        turn = Turn(self._connection, account_id)
        try:
            turn.require()
            self._turn = turn
            yield
        finally:
            self._turn = None
            self._connection.post(self._ahead.leave)
            turn.give_back()

    def require_turn(self) -> None:
        """The turn is still ours, or ours again."""
        if self._turn is not None:
            self._turn.require()

    def what_if(self, order: OrderRequest, timeout_s: float) -> MarginChange | None:
        """Margin change of one order that is not sent."""
        return self._ask(
            order.account_id,
            "a what-if order",
            lambda session: what_if(session, order, timeout_s),
            extra_s=timeout_s,
        )

    def try_order(self, order: OrderRequest) -> OrderTrial:
        """Send an order that cannot fill, see whether it is acknowledged, cancel it and see it gone; it travels alone,
        and its acknowledgement is that of the gateway session.
        """
        options, record = self._options, self._connection.record
        with record.first_order(0, self.managed_accounts()):
            trial = self._ask(
                order.account_id,
                "a trial order",
                lambda session: try_order(session, order, options),
                extra_s=options.ack_timeout_s + options.cancel_timeout_s + 2 * options.request_timeout_s,
            )
            if trial.acknowledged:
                record.acknowledged()
        return trial

    def _ask(self, account_id: str, what: str, work: Work[T], extra_s: float = 0) -> T:
        async def managed(session: GatewaySession) -> T:
            require_managed(session, account_id)
            return await work(session)

        return self._connection.call(managed, self._options.request_timeout_s + extra_s, what)

    def _board_of(self, session: GatewaySession) -> QuoteBoard:
        if self._board is None or self._board.session is not session:
            self._board = QuoteBoard(session, self._options, self._instruments.drop)
        return self._board

    def _mistrust(self, symbols: Collection[str]) -> None:
        if self._board is not None:
            self._board.mistrust(symbols)

    def _trim(self) -> None:
        if self._board is not None:
            self._board.trim()
