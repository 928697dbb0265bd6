"""Sends a batch of orders and follows it to its end. Runs on the loop's thread; the task reads the queue."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import structlog
from ib_async import Order

from rebalancer.errors import GatewayUnavailable, OutcomeUnknown
from rebalancer.ibkr import asking, mapping
from rebalancer.ibkr.accounts import require_managed
from rebalancer.ibkr.messages import ErrorMessage, Message
from rebalancer.ibkr.options import BrokerOptions
from rebalancer.ibkr.session import Session
from rebalancer.ibkr.watch import OrderWatch, Updates
from rebalancer.orders import OrderRequest, OrderUpdate

log = structlog.get_logger()

_RESTORED = frozenset({1101, 1102})


@dataclass(frozen=True, slots=True)
class End:
    """Last item of the queue."""

    error: Exception | None


class Execution:
    """One batch, from the first byte sent to the last commission.

    The connection must stay the same from the first order to the last: a renewed one would not follow the earlier ones.
    """

    def __init__(self, orders: Sequence[OrderRequest], options: BrokerOptions) -> None:
        self._items: queue.SimpleQueue[OrderUpdate | End] = queue.SimpleQueue()
        self._end: End | None = None
        self._orders = orders
        self._options = options
        self._gate = threading.Lock()
        self._stopped = False
        self._ended = False
        self._session: Session | None = None
        self._prepared: dict[str, Order] = {}
        self._watch: OrderWatch | None = None
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._caught_up = False

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
        """Everything that has been heard since the last time, waiting for the first; empty when all has been said.

        Raises:
            queue.Empty: nothing was heard in time.
            OutcomeUnknown: the batch cannot be followed to its end.
        """
        batch: list[OrderUpdate] = []
        while self._end is None:
            try:
                item = self._items.get_nowait() if batch else self._items.get(timeout=timeout_s)
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

    def description(self) -> str:
        """The orders that have not ended."""
        watch = self._watch
        return watch.description() if watch else "; ".join(order.order_ref for order in self._orders)

    # -- on the loop's thread ---------------------------------------------------------------------------------------

    async def prepare(self, session: Session) -> None:
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

    async def send(self, session: Session, request: OrderRequest) -> None:
        """Send one order.

        Raises:
            GatewayUnavailable: the order was not sent.
        """
        with self._gate:
            if self._stopped:
                raise GatewayUnavailable("the caller no longer waits; the order was not sent")
            if session is not self._session:
                raise GatewayUnavailable("the connection was renewed before the order was sent")
            order_id = session.new_order_id()
            contract = mapping.stock(request.symbol, request.contract_id)
            session.ib.protocol.placeOrder(order_id, contract, self._prepared[request.order_ref])
            watch = self._watch = self._watch or self._follow(session)
        self._put(watch.place(order_id, request, datetime.now(UTC)))

    def _follow(self, session: Session) -> OrderWatch:
        session.ib.listening.listeners.append(self._on_message)
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
        if self._session is not None and self._on_message in self._session.ib.listening.listeners:
            self._session.ib.listening.listeners.remove(self._on_message)
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
        elif watch.settled:
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

    async def _look_up(self, session: Session, watch: OrderWatch, refs: frozenset[str]) -> None:
        """Find out what became of orders: what we ask for is heard like anything else the gateway says."""
        listed = {order.order_ref for order in await asking.open_orders(session)}
        completed = watch.completed(await asking.completed_orders(session))
        for account_id in watch.accounts:
            await asking.executions(session, account_id)
        now = datetime.now(UTC)
        for ref in refs & watch.unfinished():
            if ref in listed:
                order_id = watch.found_open(ref)
                if order_id is not None:
                    session.ib.protocol.cancelOrder(order_id, "")
            elif ref in completed:
                self._put(watch.found_completed(ref, completed[ref], now))
            else:
                self._put(watch.found_nowhere(ref, now))
        self.review()

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

    async def _catch_up(self, session: Session, watch: OrderWatch) -> None:
        """Ask once for executions that were reported but not sent; their commissions follow them."""
        for account_id in watch.accounts:
            await asking.executions(session, account_id)
        self.review()
