"""Orders that are sent one right after the other, and followed from a task's thread until all is known of them."""

from __future__ import annotations

import queue
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import suppress

from rebalancer.domain.errors import GatewayUnavailable, OutcomeUnknown, RebalancerError
from rebalancer.domain.orders import OrderRequest, OrderUpdate, StatusUpdate
from rebalancer.ibkr.codes import OUTDATED
from rebalancer.ibkr.connection import Connection
from rebalancer.ibkr.execution import Deadline, Execution
from rebalancer.ibkr.options import BrokerOptions
from rebalancer.ibkr.session import GatewaySession

_MOMENT_S = 0.1


class Batch:
    """One batch of orders; see ``rebalancer.domain.ports.Broker.execute``.

    Args:
        orders: at least one.
        outdated: told a contract id whose definition the broker contradicts.
    """

    def __init__(
        self,
        connection: Connection,
        options: BrokerOptions,
        orders: Sequence[OrderRequest],
        outdated: Callable[[int], None],
    ) -> None:
        self._connection = connection
        self._options = options
        self._orders = orders
        self._outdated = outdated

    def updates(
        self, timeout_s: float, before_each: Callable[[], None], fence: Callable[[], None], amid: Callable[[], None]
    ) -> Iterator[Sequence[OrderUpdate]]:
        """Send them, and yield what becomes known until all is; nothing is sent before the first ``next``."""
        deadline = Deadline(timeout_s, time.monotonic() + timeout_s, amid)
        execution = Execution(self._orders, self._options, fence)
        try:
            stopped = yield from self._send(execution, before_each, deadline)
            while arrived := self._next(execution, deadline):
                self._forget_outdated(arrived)
                yield arrived
            if stopped is not None:
                raise stopped
        finally:
            # Also when this thread was interrupted in its wait: what has not been sent by now must not be sent later.
            execution.stop()
            self._connection.post(execution.detach)

    def _send(
        self, execution: Execution, before_each: Callable[[], None], deadline: Deadline
    ) -> Generator[list[OrderUpdate], None, RebalancerError | None]:
        """Send order by order, the first of a gateway session alone; why the rest was not sent, if ``before_each``
        objected after the first.
        """
        self._connection.call(execution.prepare, self._options.request_timeout_s, "new orders")
        waiting = deque(self._orders)
        try:
            while waiting and not (execution.proven or execution.ended):
                yield from self._send_alone(execution, waiting, before_each, deadline)
            while waiting and not execution.ended:
                before_each()
                self._send_one(execution, waiting.popleft())
        except RebalancerError as objection:
            if isinstance(objection, OutcomeUnknown) or not self._stop(execution):
                raise
            return objection
        self._stop(execution)
        return None

    def _send_alone(
        self,
        execution: Execution,
        waiting: deque[OrderRequest],
        before_each: Callable[[], None],
        deadline: Deadline,
    ) -> Iterator[list[OrderUpdate]]:
        """One order, after which nobody sends any until the broker has said something of it."""
        record = self._connection.record
        with record.first_order(execution.connected_s, execution.accounts) as alone:
            if not alone:
                execution.prove()
                return
            before_each()
            self._send_one(execution, waiting.popleft())
            while execution.silent and (batch := self._next(execution, deadline)):
                yield batch
            if execution.proven:
                record.acknowledged()

    def _stop(self, execution: Execution) -> bool:
        sent = execution.stop()
        self._connection.post(execution.review)
        return sent

    def _send_one(self, execution: Execution, order: OrderRequest) -> None:
        async def work(session: GatewaySession) -> None:
            await execution.send(session, order)

        try:
            self._connection.call(work, self._options.request_timeout_s, "a new order")
        except GatewayUnavailable as error:
            if self._stop(execution):
                raise OutcomeUnknown(f"{error}; perhaps sent: {execution.description()}") from error
            raise

    def _next(self, execution: Execution, deadline: Deadline) -> list[OrderUpdate]:
        """What has arrived, waiting for the first; empty at the end. Whether a silent order is unacknowledged is
        decided first, however little time orders are given.
        """
        try:
            return execution.take_by(deadline)
        except queue.Empty:
            decided_by = time.monotonic() + self._options.ack_timeout_s + 3 * self._options.request_timeout_s
            while execution.silent and time.monotonic() < decided_by:
                with suppress(queue.Empty):
                    return execution.take(_MOMENT_S)
            raise OutcomeUnknown(f"not finished within {deadline.timeout_s:g} s: {execution.description()}") from None

    def _forget_outdated(self, arrived: Sequence[OrderUpdate]) -> None:
        """The broker contradicts the definition of an order's contract: the next try must not use the same one."""
        refs = {one.order_ref for one in arrived if isinstance(one, StatusUpdate) and one.code in OUTDATED}
        for contract_id in {order.contract_id for order in self._orders if order.order_ref in refs}:
            self._outdated(contract_id)
