"""Sends a batch of orders and follows it to its end. Runs on the loop's thread; the task reads the queue."""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog
from ib_async import Order

from rebalancer.domain.errors import GatewayUnavailable, OrdersUnacknowledged, OutcomeUnknown
from rebalancer.domain.orders import OrderRequest, OrderUpdate
from rebalancer.ibkr import asking, mapping
from rebalancer.ibkr.account_data import require_managed
from rebalancer.ibkr.messages import ErrorMessage, Message
from rebalancer.ibkr.options import BrokerOptions
from rebalancer.ibkr.session import GatewaySession
from rebalancer.ibkr.watch import OrderWatch, Updates

log = structlog.get_logger()

_RESTORED = frozenset({1101, 1102})
_DROPPED = 100
"""The gateway has dropped a message for its rate, and does not say which."""
_LOOK_S = 2.0
"""Between two questions whether orders that work for long are still wanted."""
_MORE_S = 0.01
"""Between two reports that the gateway sends one right after the other; longer than that nobody waits for a second."""


@dataclass(frozen=True, slots=True)
class Deadline:
    """Until when a batch is followed, by the monotonic clock, and what is called meanwhile."""

    timeout_s: float
    at: float
    amid: Callable[[], None]


@dataclass(frozen=True, slots=True)
class End:
    """Last item of the queue."""

    error: Exception | None


class Execution:
    """One batch, from the first byte sent to the last commission.

    The connection must stay the same from the first order to the last: a renewed one would not follow the earlier ones.

    Args:
        fence: raises when no order may leave any more; called right before each is written, and must not wait.
    """

    def __init__(self, orders: Sequence[OrderRequest], options: BrokerOptions, fence: Callable[[], None]) -> None:
        self._items: queue.SimpleQueue[OrderUpdate | End] = queue.SimpleQueue()
        self._end: End | None = None
        self._orders = orders
        self._options = options
        self._fence = fence
        self._gate = threading.Lock()
        self._stopped = False
        self._ended = False
        self._session: GatewaySession | None = None
        self._prepared: dict[str, Order] = {}
        self._watch: OrderWatch | None = None
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._caught_up = False
        self._sent_at: dict[str, float] = {}
        self._perhaps_dropped: frozenset[str] = frozenset()
        self._cancelled_at: dict[str, float] = {}

    # -- from the task's thread -------------------------------------------------------------------------------------

    def stop(self) -> bool:
        """Make sure that nothing is sent from now on; what was sent is followed to its end.

        Returns:
            Whether something has been sent already.
        """
        with self._gate:
            self._stopped = True
            return self._watch is not None

    def take(self, timeout_s: float) -> list[OrderUpdate]:
        """Everything that has been heard since the last time, waiting for the first, and a moment for each further one:
        what goes on record together costs half. Empty when all has been said.

        Raises:
            queue.Empty: nothing was heard in time.
            OutcomeUnknown: the batch cannot be followed to its end.
        """
        batch: list[OrderUpdate] = []
        while self._end is None:
            try:
                item = self._items.get(timeout=_MORE_S if batch else timeout_s)
            except queue.Empty:
                if batch:
                    return batch
                raise
            if isinstance(item, End):
                self._end = item
            else:
                batch.append(item)
        if not batch and self._end.error is not None:
            raise self._end.error
        return batch

    def take_by(self, deadline: Deadline) -> list[OrderUpdate]:
        """The same until a deadline, whose ``amid`` is called every few seconds while nothing is heard."""
        while (left_s := deadline.at - time.monotonic()) > _LOOK_S:
            with suppress(queue.Empty):
                return self.take(_LOOK_S)
            deadline.amid()
        return self.take(max(0.0, left_s))

    @property
    def silent(self) -> bool:
        """An order is on its way of which the broker has not said a word, and it is not yet decided what that means."""
        watch = self._watch
        return watch is not None and not self._ended and bool(watch.silent())

    @property
    def ended(self) -> bool:
        """Nothing more is followed."""
        return self._ended

    @property
    def proven(self) -> bool:
        """The gateway has acknowledged an order over this connection."""
        return self._session is not None and self._session.acknowledged

    @property
    def connected_s(self) -> float:
        """How long the connection has been open."""
        return time.monotonic() - self._session.opened_at if self._session is not None else 0.0

    @property
    def accounts(self) -> frozenset[str]:
        """Of the login."""
        return self._session.accounts if self._session is not None else frozenset()

    def prove(self) -> None:
        """Another worker's order was acknowledged since this connection was opened."""
        if self._session is not None:
            self._session.acknowledged = True

    def description(self) -> str:
        """The orders that have not ended."""
        watch = self._watch
        return watch.description() if watch else "; ".join(order.order_ref for order in self._orders)

    # -- on the loop's thread ---------------------------------------------------------------------------------------

    async def prepare(self, session: GatewaySession) -> None:
        """Refuse a batch that cannot be sent whole, before any of it is.

        Raises:
            Refused: an account is not managed by the login.
            ValueError: an order makes no sense, or an order ref is used twice.
        """
        for account_id in {order.account_id for order in self._orders}:
            require_managed(session, account_id)
        if len({order.order_ref for order in self._orders}) < len(self._orders):
            raise ValueError("an order ref stands for two orders")
        for order in self._orders:
            self._prepared[order.order_ref] = mapping.ib_order(order)
        self._session = session

    async def send(self, session: GatewaySession, request: OrderRequest) -> None:
        """Send one order. It is asked about on the very last: a process may have been stopped since, or the message
        may have had to wait for its turn.

        Raises:
            GatewayUnavailable, and whatever the fence raises: the order was not sent.
        """
        await session.ib.protocol.room_for_order()
        with self._gate:
            if self._stopped:
                raise GatewayUnavailable("the caller no longer waits; the order was not sent")
            if session is not self._session:
                raise GatewayUnavailable("the connection was renewed before the order was sent")
            self._fence()
            order_id = session.new_order_id()
            contract = mapping.contract(request.symbol, request.contract_id, request.security_type)
            session.orders[order_id] = request
            session.ib.protocol.placeOrder(order_id, contract, self._prepared[request.order_ref])
            watch = self._watch = self._watch or self._follow(session)
        self._put(watch.place(order_id, request, datetime.now(UTC)))
        self._sent_at[request.order_ref] = asyncio.get_running_loop().time()
        self._arm("silence", self._options.verify_after_s, self._silence)

    def _follow(self, session: GatewaySession) -> OrderWatch:
        session.ib.listening.hear(self._on_message)
        session.lost.add_done_callback(self._on_lost)
        return OrderWatch(session.client_id)

    def detach(self) -> None:
        """Stop listening; the orders themselves are not touched."""
        self._ended = True
        for timer in self._timers.values():
            timer.cancel()
        current = asyncio.current_task()
        for task in self._tasks:
            if task is not current:
                task.cancel()
        if self._session is not None:
            self._session.ib.listening.leave(self._on_message)
            self._session.lost.remove_done_callback(self._on_lost)

    def _put(self, updates: Updates) -> None:
        for update in updates:
            self._items.put(update)

    def _finish(self, error: Exception | None) -> None:
        if not self._ended:
            self.detach()
            self._items.put(End(error))

    def _on_lost(self, lost: asyncio.Future[str]) -> None:
        self._finish(OutcomeUnknown(f"{lost.result()}; unfinished: {self.description()}"))

    def _on_message(self, message: Message) -> None:
        watch, session = self._watch, self._session
        if watch is None or session is None or self._ended:
            return
        self._put(watch.feed(message))
        session.acknowledged = session.acknowledged or watch.accepted
        if isinstance(message, ErrorMessage) and message.code == _DROPPED and session.acknowledged:
            self._perhaps_dropped |= watch.silent()
        if isinstance(message, ErrorMessage) and message.code in _RESTORED:
            # Fills of the outage may never be pushed, even after 1102.
            self._spawn(self._look_up(session, watch, watch.unfinished()))
        self.review()

    def review(self) -> None:
        """End the batch when everything has been sent and all is known of it."""
        watch = self._watch
        if watch is None or self._ended:
            return
        if watch.usurped:
            self._finish(OutcomeUnknown(f"{watch.usurped}; unfinished: {watch.description()}"))
        elif watch.ended and not self._stopped:
            return  # more orders will follow
        elif watch.final:
            self._finish(None)
        elif watch.ended:
            self._arm("grace", self._options.commission_grace_s, self._grace_over)
        elif watch.doubtful():
            self._arm("verify", self._options.verify_after_s, self._verify)

    def _arm(self, name: str, delay_s: float, action: Any) -> None:
        if name not in self._timers:
            self._timers[name] = asyncio.get_running_loop().call_later(delay_s, action)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._on_task_done)

    def _on_task_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled() or (error := task.exception()) is None:
            return
        unknown = OutcomeUnknown(f"{error}; unfinished: {self.description()}")
        unknown.__cause__ = error
        self._finish(unknown)

    # -- looking up -------------------------------------------------------------------------------------------------

    def _verify(self) -> None:
        del self._timers["verify"]
        watch, session = self._watch, self._session
        if watch is not None and session is not None and (doubtful := watch.doubtful()):
            self._spawn(self._look_up(session, watch, doubtful))

    async def _look_up(self, session: GatewaySession, watch: OrderWatch, refs: frozenset[str]) -> None:
        """Find out what became of orders: what we ask for is heard like anything else the gateway says."""
        listed = {order.order_ref for order in await asking.open_orders(session)}
        ended = await asking.completed_orders(session, watch.accounts)
        completed = watch.completed([row.read() for row in ended])
        for account_id in watch.accounts:
            await asking.executions(session, account_id)
        now = datetime.now(UTC)
        for ref in refs & watch.unfinished():
            if ref in listed:
                order_id = watch.found_open(ref)
                if order_id is not None:
                    self._bury(session, watch, ref, order_id)
            elif ref in completed:
                self._put(watch.found_completed(ref, completed[ref], now))
            else:
                self._put(watch.found_nowhere(ref, now))
        self.review()

    # -- orders that were refused and stay listed ----------------------------------------------------------------------

    def _bury(self, session: GatewaySession, watch: OrderWatch, ref: str, order_id: int) -> None:
        """Cancel an order that was refused and is listed as Inactive. IBKR does not always answer that (ib_insync 363):
        after ``ack_timeout_s``, or after an answer that refuses the cancel, nothing more is waited for.
        """
        now = asyncio.get_running_loop().time()
        if ref not in self._cancelled_at:
            self._cancelled_at[ref] = now
            session.ib.protocol.cancelOrder(order_id, "")
            self._arm("burial", self._options.ack_timeout_s, self._look_after_cancels)
        elif watch.not_cancelled(ref) or now - self._cancelled_at[ref] >= self._options.ack_timeout_s:
            log.warning("refused_order_stays_listed", order_ref=ref)
            self._put(watch.give_up(ref, datetime.now(UTC)))

    def _look_after_cancels(self) -> None:
        del self._timers["burial"]
        watch, session = self._watch, self._session
        if watch is None or session is None:
            return
        waiting = frozenset(self._cancelled_at) & watch.unfinished()
        if waiting:
            self._spawn(self._look_up(session, watch, waiting))
            self._arm("burial", self._options.ack_timeout_s, self._look_after_cancels)

    # -- orders that nothing is heard of ----------------------------------------------------------------------------

    def _silence(self) -> None:
        del self._timers["silence"]
        watch, session = self._watch, self._session
        if watch is not None and session is not None and (silent := watch.silent()):
            self._spawn(self._look_up_silent(session, watch, silent))

    async def _look_up_silent(self, session: GatewaySession, watch: OrderWatch, refs: frozenset[str]) -> None:
        """The gateway answers, so it has these orders: what it lists nowhere is on record as unacknowledged, and after
        ``ack_timeout_s`` the batch ends.
        """
        await self._look_up(session, watch, refs)
        silent = refs & watch.silent()
        if dropped := silent & self._perhaps_dropped:
            self._finish(OutcomeUnknown(f"the gateway has dropped messages (code 100): {watch.names(dropped)}"))
            return
        at_least_s = min(self._options.verify_after_s, self._options.ack_timeout_s)
        self._put(watch.found_silent(self._silent_for(silent, at_least_s), datetime.now(UTC)))
        if overdue := self._silent_for(silent, self._options.ack_timeout_s):
            self._give_up(session, watch, overdue)
        elif watch.silent() and not self._ended:
            self._arm("silence", self._next_look_s(watch.silent()), self._silence)

    def _silent_for(self, refs: frozenset[str], longer_s: float) -> frozenset[str]:
        now = asyncio.get_running_loop().time()
        return frozenset(ref for ref in refs if now - self._sent_at[ref] >= longer_s)

    def _next_look_s(self, refs: frozenset[str]) -> float:
        """Until the next of these orders has been silent for as long as matters."""
        now = asyncio.get_running_loop().time()
        steps = (self._options.verify_after_s, self._options.ack_timeout_s)
        left = (self._sent_at[ref] + step - now for ref in refs for step in steps)
        return min((wait_s for wait_s in left if wait_s > 0), default=0.0)

    def _give_up(self, session: GatewaySession, watch: OrderWatch, overdue: frozenset[str]) -> None:
        """Cancel by number, should the gateway know it by now, and leave what follows to the broker's lists."""
        for ref in sorted(overdue):
            session.ib.protocol.cancelOrder(watch.order_id(ref), "")
        self._finish(OrdersUnacknowledged(tuple(sorted(overdue)), watch.names(overdue)))

    def _grace_over(self) -> None:
        del self._timers["grace"]
        watch, session = self._watch, self._session
        if watch is None or session is None:
            return
        if not self._caught_up:
            self._caught_up = True
            self._spawn(self._catch_up(session, watch))
        else:
            if watch.fills_missing:
                log.warning("fills_without_execution", order_refs=[order.order_ref for order in self._orders])
            self._finish(None)

    async def _catch_up(self, session: GatewaySession, watch: OrderWatch) -> None:
        """Ask once for executions that were reported but not sent; their commissions follow them."""
        for account_id in watch.accounts:
            await asking.executions(session, account_id)
        self.review()
