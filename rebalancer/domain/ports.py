"""What the use cases need from the outside world, implemented by the adapters."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import Protocol

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
from rebalancer.domain.portfolio import AccountSnapshot, Quote, Targets
from rebalancer.domain.units import Usd


class Broker(Protocol):
    """One login at Interactive Brokers, seen from a task. Every call blocks the calling thread, never longer than its
    deadline, and raises :class:`~rebalancer.domain.errors.GatewayUnavailable` when the gateway does not answer.
    """

    def managed_accounts(self) -> frozenset[str]:
        """Account ids of the login."""

    def clock_ahead(self) -> timedelta:
        """How far the gateway's clock is proven to be ahead of ours; negative: behind. It tells whole seconds. Known
        for as long as a heartbeat lasts where there is no difference, else asked now.
        """

    def listed_since(self) -> datetime:
        """Since when the broker lists ended orders and executions; of older ones its lists prove nothing."""

    def wait_for_return(self, timeout_s: float) -> None:
        """Wait until the gateway, lost a moment ago, can be used again; at once if it can.

        Raises:
            GatewayUnavailable: not within ``timeout_s``.
        """

    def snapshot(
        self, account_id: str, booked: Callable[[AccountSnapshot], bool] = ..., *, pushed: bool = ...
    ) -> AccountSnapshot:
        """Fresh equity, cash and positions of one account.

        Args:
            booked: whether the broker's books show what is known to have happened; asked of each snapshot until it says
                so, at most for a configured time, after which the newest snapshot is returned as it is.
            pushed: what the broker has pushed since the run has its turn needs no question, if it shows all that.

        Raises:
            Refused: ``account_not_managed``, ``equity_missing``, ``equity_not_positive``, ``equity_currency``,
                ``exchange_rate``, ``cash_missing``.
            GatewayUnavailable: ``account_not_ready``, if the broker calls the values incomplete all that time.
        """

    def marks(self, account_id: str) -> Mapping[int, Usd]:
        """What the broker itself values each holding in USD at, contract id -> all of it, signed."""

    def define(self, symbols: Collection[str], held: Mapping[int, str] = ...) -> Definitions:
        """Which contract each symbol stands for: the held one if it is a US listing of that symbol, else the pinned or
        the only US listing. Definitions are kept for the exchange's day.

        Args:
            symbols: of targets and holdings, as :func:`rebalancer.domain.symbols.canonical` writes them.
            held: the account's stocks in USD, contract id -> symbol; their symbols are defined too. Leave out what is
                on hold.
        """

    def instruments(self, symbols: Collection[str]) -> Mapping[str, Instrument]:
        """Contract details by symbol, for whoever holds none of them; cached for the exchange's day.

        Raises:
            Refused: ``symbol_unknown``, naming every unknown or ambiguous symbol.
        """

    def currency_pair(self, currency: str) -> Instrument:
        """The pair of a currency and the dollar; kept for the exchange's day.

        Raises:
            Refused: ``currency_pair_unknown``.
        """

    def quotes(self, instruments: Mapping[str, Instrument], spare: Collection[str] = ()) -> Mapping[str, Quote]:
        """Two-sided quotes newer than the call.

        Args:
            instruments: by symbol.
            spare: symbols that may be left out of the answer for want of a quote.

        Raises:
            QuoteUnavailable: naming every other symbol without one and what it had instead.
        """

    def ask_anew(self, symbols: Collection[str]) -> None:
        """Have the next call for their quotes ask the broker, whatever it has told: part of that may have been lost."""

    def open_orders(self, account_id: str) -> tuple[OpenOrder, ...]:
        """Every order of the account that may still fill, of all API clients and of people in TWS."""

    def cancel_open_orders(
        self,
        account_id: str,
        which: Callable[[OpenOrder], bool] = ...,
        hopeless: Callable[[OpenOrder], bool] = ...,
    ) -> tuple[OpenOrder, ...]:
        """Cancel them and wait until the broker confirms that none is left.

        Args:
            which: those to cancel; all of them by default.
            hopeless: those among them whose cancel may go unanswered; they are waited for shortly, and may stay.

        Returns:
            What was cancelled, as it stood before.

        Raises:
            OutcomeUnknown: some are still there after the configured time (60 s).
        """

    def execute(
        self,
        orders: Sequence[OrderRequest],
        timeout_s: float,
        before_each: Callable[[], None],
        fence: Callable[[], None] = ...,
        amid: Callable[[], None] = ...,
    ) -> Iterator[Sequence[OrderUpdate]]:
        """Send the orders one right after the other, without waiting in between, and yield what the broker says of
        them until each is complete: its fills reach the quantity or the broker itself confirmed a final status, and
        the commissions of all its fills are known (at most a short grace longer). Updates are pushed, in order of
        arrival, as many at a time as have arrived; nothing is polled.

        Args:
            before_each: called in the caller's thread right before each order is sent; when it raises, no further
                order is sent and the error is raised once the orders already sent are complete.
            fence: the same, called in whatever thread at the very moment at which an order would leave; it asks nobody.
            amid: called every few seconds while nothing is heard; when it raises, the orders are not followed any more.

        Raises:
            OutcomeUnknown: the connection was lost or ``timeout_s`` passed with an order incomplete.
        """

    def trace(
        self, account_id: str, orders: Collection[SentOrder], patience_s: float = 0, others: Collection[int] = ()
    ) -> Mapping[str, OrderTrace]:
        """What became of orders whose outcome is unknown: searched in open orders, completed orders and executions, by
        order ref, by perm id, and at last among rows that name neither by what is known of the order.

        Args:
            patience_s: how long after a lost connection an order may take to be listed; orders that are nowhere are
                searched a second time then.
            others: perm ids of orders that are on record already, and therefore none of those that are sought.

        Returns:
            By ref; one that is missing is in none of the broker's lists.
        """

    def order_refs(self, account_id: str) -> Mapping[str, datetime | None]:
        """Order refs of all open orders, ended orders and executions of the account that the broker still lists, which
        are today's at least, with the time of the first execution; ``None`` without one.
        """

    def look_ahead(self, account_id: str, *, first: bool = ...) -> None:
        """Ask for the account, its orders and, ``first`` of a run, for the time, all at once and without waiting: the
        next of these questions are answered by it, unless an order is sent or cancelled before, or a second passes.
        """

    def turn(self, account_id: str) -> AbstractContextManager[None]:
        """The right to trade the account, which one client of the gateway has at a time, whoever installed it.

        Raises:
            AccountInUse: another has it.
        """

    def require_turn(self) -> None:
        """Stop unless the turn is still ours; a lost one is taken again, if nobody else has it by now.

        Raises:
            AccountInUse: another has it.
            GatewayUnavailable: nobody can say.
        """

    def what_if(self, order: OrderRequest, timeout_s: float) -> MarginChange | None:
        """What an order would do to the margin; nothing is sent to an exchange.

        Returns:
            ``None`` without an answer after ``timeout_s``: gateways leave the question unanswered at times.

        Raises:
            Refused: ``what_if_refused``, the broker would not take the order.
        """


class TargetSource(Protocol):
    """Where strategies publish their targets."""

    def fetch(self, strategy: str) -> Targets:
        """Newest targets, validated for form and range.

        Raises:
            AllocationsUnavailable: no usable answer; worth a retry.
            Refused: an answer that justifies no order, ``allocations_*``.
        """
