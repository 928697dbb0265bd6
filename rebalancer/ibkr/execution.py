"""Sends a batch of orders and follows it to its end. Runs on the loop's thread; the task reads the queue."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from rebalancer.errors import GatewayUnavailable, OutcomeUnknown
from rebalancer.ibkr import asking, mapping
from rebalancer.ibkr.accounts import require_managed
from rebalancer.ibkr.messages import ErrorMessage, Message
from rebalancer.ibkr.options import BrokerOptions
from rebalancer.ibkr.session import Session
from rebalancer.ibkr.watch import OrderWatch, Updates
from rebalancer.orders import OrderRequest, OrderUpdate

_RESTORED = frozenset({1101, 1102})


@dataclass(frozen=True, slots=True)
class End:
    """Last item of the queue."""

    error: Exception | None


class Execution:
    """One batch, from the first byte sent to the last commission.

    Attributes:
        items: updates, then one :class:`End`.
    """

    def __init__(self, orders: Sequence[OrderRequest], options: BrokerOptions) -> None:
        self.items: queue.SimpleQueue[OrderUpdate | End] = queue.SimpleQueue()
        self._orders = orders
        self._options = options
        self._gate = threading.Lock()
        self._abandoned = False
        self._sent = False
        self._ended = False
        self._watch: OrderWatch | None = None
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._caught_up = False

    # -- from the task's thread -------------------------------------------------------------------------------------

    def abandon(self) -> bool:
        """Make sure that nothing is sent from now on.

        Returns:
            Whether something has been sent already.
        """
        with self._gate:
            self._abandoned = True
            return self._sent

    def description(self) -> str:
        """The orders that have not ended."""
        watch = self._watch
        return watch.description() if watch else "; ".join(order.order_ref for order in self._orders)

    # -- on the loop's thread ---------------------------------------------------------------------------------------

    async def begin(self, session: Session) -> None:
        """Send every order, without a pause between them.

        Raises:
            Refused: an account is not managed by the login; nothing was sent.
            GatewayUnavailable: nothing was sent.
            OutcomeUnknown: the connection broke between two orders.
        """
        for account_id in {order.account_id for order in self._orders}:
            require_managed(session, account_id)
        prepared = [(mapping.stock(o.symbol, o.contract_id), mapping.ib_order(o), o) for o in self._orders]
        with self._gate:
            if self._abandoned:
                raise GatewayUnavailable("the caller no longer waits; nothing was sent")
            self._sent = True
        placed: dict[int, OrderRequest] = {}
        try:
            for contract, order, request in prepared:
                order_id = session.ib.client.getReqId()
                session.ib.protocol.placeOrder(order_id, contract, order)
                placed[order_id] = request
        except ConnectionError as error:
            if not placed:
                self._sent = False
                raise
            raise OutcomeUnknown(f"connection lost while sending: {self.description()}") from error
        self._session = session
        self._watch = OrderWatch(session.client_id, placed)
        self._put(self._watch.sent(datetime.now(UTC)))
        session.ib.listening.listeners.append(self._on_message)
        session.lost.add_done_callback(self._on_lost)

    def detach(self) -> None:
        """Stop listening; the orders themselves are not touched."""
        self._ended = True
        for timer in self._timers.values():
            timer.cancel()
        current = asyncio.current_task()
        for task in self._tasks:
            if task is not current:
                task.cancel()
        if self._watch is not None and self._on_message in self._session.ib.listening.listeners:
            self._session.ib.listening.listeners.remove(self._on_message)
            self._session.lost.remove_done_callback(self._on_lost)

    def _put(self, updates: Updates) -> None:
        for update in updates:
            self.items.put(update)

    def _finish(self, error: Exception | None) -> None:
        if not self._ended:
            self.detach()
            self.items.put(End(error))

    def _on_lost(self, lost: asyncio.Future[str]) -> None:
        self._finish(OutcomeUnknown(f"{lost.result()}; unfinished: {self.description()}"))

    def _on_message(self, message: Message) -> None:
        watch = self._watch
        if watch is None or self._ended:
            return
        self._put(watch.feed(message))
        if isinstance(message, ErrorMessage) and message.code in _RESTORED:
            # Fills of the outage may never be pushed, even after 1102.
            self._spawn(self._look_up(watch, watch.unfinished()))
        self._review(watch)

    def _review(self, watch: OrderWatch) -> None:
        if watch.usurped:
            self._finish(OutcomeUnknown(f"{watch.usurped}; unfinished: {watch.description()}"))
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
        watch = self._watch
        if watch is not None and (doubtful := watch.doubtful()):
            self._spawn(self._look_up(watch, doubtful))

    async def _look_up(self, watch: OrderWatch, refs: frozenset[str]) -> None:
        """Find out what became of orders: what we ask for is heard like anything else the gateway says."""
        session = self._session
        listed = {order.order_ref for order in await asking.open_orders(session)}
        completed = {order.order_ref: order for order in await asking.completed_orders(session)}
        for account_id in watch.accounts:
            await asking.executions(session, account_id)
        now = datetime.now(UTC)
        for ref in refs & watch.unfinished():
            if ref in listed:
                order_id = watch.found_open(ref)
                if order_id is not None:
                    session.ib.protocol.cancelOrder(order_id, "")
            elif ref in completed:
                self._put(watch.found_completed(completed[ref], now))
            else:
                self._put(watch.found_nowhere(ref, now))
        self._review(watch)

    def _grace_over(self) -> None:
        del self._timers["grace"]
        watch = self._watch
        if watch is None:
            return
        if not self._caught_up:
            self._caught_up = True
            self._spawn(self._catch_up(watch))
        elif watch.fills_missing:
            self._finish(OutcomeUnknown(f"the broker reports fills whose executions it does not send: {self._orders}"))
        else:
            self._finish(None)

    async def _catch_up(self, watch: OrderWatch) -> None:
        """Ask once for executions that were reported but not sent; their commissions follow them."""
        for account_id in watch.accounts:
            await asking.executions(self._session, account_id)
        self._review(watch)
