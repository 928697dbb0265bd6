"""One connected socket to the gateway, from its handshake to its loss. Everything here runs on the loop's thread."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import structlog
from ib_async.wrapper import RequestError

from rebalancer.domain.errors import GatewayUnavailable
from rebalancer.domain.orders import CommissionReport, OrderRequest
from rebalancer.ibkr.alarms import Alarms
from rebalancer.ibkr.client import GatewayClient, forget
from rebalancer.ibkr.codes import classify
from rebalancer.ibkr.handshake import ConnectionOptions, handshake, require_world
from rebalancer.ibkr.messages import ErrorMessage, ExecutionMessage, Message, OpenOrderMessage, StatusMessage
from rebalancer.ibkr.newest import Newest
from rebalancer.ibkr.record import GatewayRecord, Unrecorded
from rebalancer.ibkr.times import GatewayTime
from rebalancer.ibkr.upstream import Upstream

T = TypeVar("T")
log = structlog.get_logger()

_HEARD = (CommissionReport, ErrorMessage, ExecutionMessage, OpenOrderMessage, StatusMessage)
_REMEMBERED = 500
"""Of the newest orders and executions: what is later asked about is an order that was sent a short while ago, and what
has no ending here is looked for in the broker's lists.
"""
_CLOCK_SET_S = 0.2
"""By which our clock and the monotonic one may differ over a heartbeat without anybody having set ours."""


class GatewaySession:
    """A live connection under one client id. What it remembers of orders and executions since connecting is bounded,
    however many there are.

    Attributes:
        lost: resolves to the reason when the connection ends, for whatever cause.
        commissions: latest report by execution id.
        opened_at: by the monotonic clock.
        acknowledged: the gateway has taken an order since then, of whichever worker.
        orders: by their numbers, that were sent here.
        endings: final statuses by perm id.
        perm_ids: by account and order ref, of the orders that were named.
        highest_order_id: that was given to an order, on this connection or an earlier one of the same client.
    """

    def __init__(self, options: ConnectionOptions, client_id: int, record: GatewayRecord | None = None) -> None:
        self.options = options
        self.client_id = client_id
        self.opened_at = time.monotonic()
        self.acknowledged = False
        self.orders = Newest[int, OrderRequest](_REMEMBERED)
        self.ib = GatewayClient(options.messages_per_s)
        self.upstream = Upstream()
        self.lost: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.commissions = Newest[str, CommissionReport](_REMEMBERED)
        self.endings = Newest[int, StatusMessage](_REMEMBERED)
        self.perm_ids = Newest[tuple[str, str], int](_REMEMBERED)
        self.highest_order_id = 0
        self._fixed_keys: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._last_error: ErrorMessage | None = None
        self._compared_at: tuple[datetime, float] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.ib.listening.hear(self._on_message, *_HEARD)
        self._alarms = Alarms(self, record or Unrecorded())

    # -- life ---------------------------------------------------------------------------------------------------

    @classmethod
    async def open(
        cls, options: ConnectionOptions, client_id: int, record: GatewayRecord | None = None, *, bare: bool = False
    ) -> GatewaySession:
        """Connect and synchronise.

        Args:
            bare: for the connection alone, over which nothing is asked.

        Raises:
            GatewayUnavailable: refused, silent, or the client id is in use; known within milliseconds of the answer.
            Refused: it is the other world's.
        """
        session = cls(options, client_id, record)
        try:
            await handshake(session.ib, options, client_id, bare=bare)
            require_world(options, session.accounts)
        except BaseException:
            await session.close()
            raise
        session.ib.disconnectedEvent += session._on_disconnected
        (log.debug if bare else log.info)("broker_connected", client_id=client_id, accounts=sorted(session.accounts))
        return session

    def new_order_id(self) -> int:
        """A number that the client has not used; a restarted gateway may offer old ones again."""
        self.ib.protocol.updateReqId(self.highest_order_id + 1)
        self.highest_order_id = self.ib.client.getReqId()
        return self.highest_order_id

    @property
    def accounts(self) -> frozenset[str]:
        """Accounts that the login manages."""
        return frozenset(self.ib.managedAccounts())

    @property
    def alive(self) -> bool:
        """Connected, as far as anybody knows."""
        return not self.lost.done()

    def start_heartbeat(self, *, at_once: bool = True) -> None:
        """Ask for the time now and then until the connection ends; unanswered, it ends."""
        self.spawn(self._heartbeat(at_once))

    async def _heartbeat(self, at_once: bool) -> None:
        if not at_once:
            await asyncio.wait((self.lost,), timeout=self.options.heartbeat_s)
        while self.alive:
            await self.probe()
            await asyncio.wait((self.lost,), timeout=self.options.heartbeat_s)

    async def probe(self) -> None:
        """End the connection unless the gateway tells the time within ``heartbeat_timeout_s``."""
        if not self.alive:
            return
        try:
            async with asyncio.timeout(self.options.heartbeat_timeout_s), self._fixed_keys["currentTime"]:
                await self._compare_clocks()
        except TimeoutError:
            self.drop(f"the gateway did not answer a heartbeat within {self.options.heartbeat_timeout_s:g} s")
        except ConnectionError:
            return  # lost meanwhile: whoever waits on `lost` has heard

    async def clock_ahead(self) -> timedelta:
        """How far the gateway's clock is proven to be ahead of ours; negative: behind. Asked now, unless the last
        heartbeat has found no difference and our clock was not set since.
        """
        return timedelta() if self._in_step() else await self.exclusive("currentTime", self._compare_clocks)

    def _in_step(self) -> bool:
        if self._compared_at is None or self.time.ahead:
            return False
        told, elapsed_s = self._compared_at
        passed_s = time.monotonic() - elapsed_s
        ours_set_by_s = abs((datetime.now(UTC) - told).total_seconds() - passed_s)
        return passed_s <= self.options.heartbeat_s + self.options.heartbeat_timeout_s and ours_set_by_s < _CLOCK_SET_S

    async def _compare_clocks(self) -> timedelta:
        asked_at = datetime.now(UTC)
        theirs = await self.ib.reqCurrentTimeAsync()
        answered_at = datetime.now(UTC)
        self._compared_at = answered_at, time.monotonic()
        return self.time.compare(theirs, asked_at, answered_at)

    @property
    def time(self) -> GatewayTime:
        """How the gateway tells the time."""
        return self.ib.listening.gateway_time

    def drop(self, reason: str) -> None:
        """Give the connection up at once, without waiting for a gateway that may be frozen."""
        if self.lost.done():
            return
        self.lost.set_result(reason)
        log.warning("broker_connection_dropped", client_id=self.client_id, reason=reason)
        transport = self.ib.client.conn.transport
        if transport is not None:
            transport.abort()

    async def close(self) -> None:
        """Leave politely; a gateway that does not take its leave within a second is left anyway."""
        if not self.lost.done():
            self.lost.set_result("closed by us")
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.ib.disconnect()
        conn = self.ib.client.conn
        if conn.transport is not None:
            closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

            def on_disconnected(_text: str) -> None:
                if not closed.done():
                    closed.set_result(None)

            conn.disconnected += on_disconnected
            await asyncio.wait({closed}, timeout=1)
            if conn.transport is not None:
                conn.transport.abort()
        forget(self.ib.protocol.decoder)

    def _on_disconnected(self) -> None:
        self.drop("the gateway closed the connection")

    def suspect(self) -> None:
        """Something went unanswered: find out now rather than at the next heartbeat."""
        if self.alive:
            self.spawn(self.probe())

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run ``work`` beside everything else, until the connection is closed."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # -- what is heard --------------------------------------------------------------------------------------------

    def _on_message(self, message: Message) -> None:
        if isinstance(message, CommissionReport):
            self.commissions[message.execution_id] = message
        elif isinstance(message, StatusMessage) and message.status.final:
            self.endings[message.perm_id] = message
        elif isinstance(message, OpenOrderMessage):
            named = message.order
            self.perm_ids[named.account_id, named.order_ref] = named.perm_id
        elif isinstance(message, ErrorMessage):
            self._on_error(message)
        self._alarms.hear(message)

    def _on_error(self, message: ErrorMessage) -> None:
        meaning = classify(message.code)
        write = log.error if meaning.alert else log.debug if meaning.harmless else log.warning
        write("broker_code", code=message.code, request_id=message.request_id, text=message.text)
        if not meaning.harmless:
            self._last_error = message
        self.upstream.on_message(message)
        if message.code == 1300:
            self.drop(f"the gateway moved its socket port (1300): {message.text}")
        elif message.code == 103:
            self.ib.protocol.reqIds(1)

    # -- asking ---------------------------------------------------------------------------------------------------

    async def guard(self, work: Coroutine[Any, Any, T]) -> T:
        """Run ``work`` for as long as the connection lives.

        Raises:
            GatewayUnavailable: it ended first, or the gateway refused a request.
        """
        task = asyncio.ensure_future(work)
        ends: tuple[asyncio.Future[Any], ...] = (task, self.lost)
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            if not task.done():
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        if task.cancelled():
            raise GatewayUnavailable(f"{self.options.address}: {self.lost.result()}")
        try:
            return task.result()
        except RequestError as error:
            refusal = f"{self.options.address} refused with code {error.code}: {error.message}"
            raise GatewayUnavailable(refusal) from error
        except ConnectionError as error:
            reason = self.lost.result() if self.lost.done() else str(error)
            raise GatewayUnavailable(f"{self.options.address}: {reason}") from error

    def require_upstream(self) -> None:
        """Raise :class:`GatewayUnavailable` while the gateway itself has no connection to IBKR."""
        lost = self.upstream.lost
        if lost is None:
            return
        away_s = (datetime.now(UTC) - lost.at).total_seconds()
        if away_s > self.options.upstream_patience_s:
            self.drop(f"no word from IBKR for {away_s:.0f} s")
        raise GatewayUnavailable(f"{self.options.address} has lost IBKR for {away_s:.0f} s ({lost.code}): {lost.text}")

    async def exclusive(self, key: str, start: Callable[[], Awaitable[T]]) -> T:
        """One request at a time for a key that ib_async's answers share; concurrent ones would never return."""
        async with self._fixed_keys[key]:
            answered = False
            try:
                async with asyncio.timeout(self.options.request_timeout_s):
                    answer = await start()
                answered = True
            except TimeoutError as error:
                raise GatewayUnavailable(self.silence(key)) from error
            finally:
                if not answered:
                    self.drop(self.silence(key))
        return answer

    def silence(self, key: str) -> str:
        """Sentence for a request that was not answered, with the last code heard, which may explain it."""
        heard = self._last_error
        hint = f"; last code {heard.code}: {heard.text}" if heard else ""
        return f"no answer to the request for {key} within {self.options.request_timeout_s:g} s{hint}"
