"""The one long-lived connection of a process: watched, renewed, usable from any thread."""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import threading
from collections.abc import Callable, Collection, Coroutine, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import chain, repeat
from typing import Any, TypeVar

import structlog

from rebalancer.domain.errors import GatewayUnavailable, Refused
from rebalancer.ibkr.client_ids import ClientIds, WantedIds
from rebalancer.ibkr.handshake import ClientIdInUse, ConnectionOptions, NobodyListens
from rebalancer.ibkr.loop import LoopThread
from rebalancer.ibkr.record import GatewayRecord, Unrecorded
from rebalancer.ibkr.session import GatewaySession
from rebalancer.logs.context import outside_any_run

log = structlog.get_logger()

T = TypeVar("T")
Work = Callable[[GatewaySession], Coroutine[Any, Any, T]]

_RECONNECT_S = (0.1, 0.25, 0.5, 1.0, 2.0, 4.0)
"""Pauses between attempts to reach a gateway that is away; the last one repeats."""
REFUSALS_BEFORE_ANOTHER = 3
"""A gateway keeps a dead client's id for a while, and orders answer to who sent them: insist on our own id first."""
_IDLE_RECONNECT_S = (*_RECONNECT_S, 8.0, 15.0, 30.0)
"""The same while nobody waits for it."""


@dataclass(frozen=True, slots=True)
class ConnectionStatus:
    """For health pages.

    Attributes:
        trouble: what the gateway said of its own connection to IBKR, or why ours was lost; ``None`` when all is well.
    """

    connected: bool
    client_id: int | None = None
    trouble: str | None = None


class Connection:
    """Hands coroutines of task threads to the loop that owns the socket.

    Nothing is started before the first call or :meth:`stay_connected`, so that it may be created before a fork; a child
    that inherits a used one leaves the parent's socket alone and connects anew.

    Attributes:
        wanted: client ids that others have, and are asked to give up.
    """

    def __init__(self, options: ConnectionOptions, client_ids: ClientIds, record: GatewayRecord | None = None) -> None:
        self.options = options
        self.record = record or Unrecorded()
        self.wanted = WantedIds()
        self._client_ids = client_ids
        self._left_to_others: frozenset[int] = frozenset()
        self._runs = 0
        self._forget()

    def _forget(self) -> None:
        self._pid = os.getpid()
        self._starting = threading.Lock()
        self._loop: LoopThread | None = None
        self._session: GatewaySession | None = None
        self._own_id: int | None = None
        self._refusals = 0
        self._away_recorded = False
        self._connecting: asyncio.Lock | None = None
        self._keeper: concurrent.futures.Future[None] | None = None
        self._beside: dict[int, GatewaySession] = {}
        self._refused: str | None = None
        self._leaving: asyncio.Task[None] | None = None

    def _thread(self) -> LoopThread:
        if self._pid != os.getpid():
            # Kept, not finalised: closing an inherited transport or selector would deafen the parent.
            self._inherited = (self._loop, self._session)
            self._forget()
        with self._starting:
            if self._loop is None:
                self._connecting = asyncio.Lock()
                self._loop = LoopThread("ibkr-connection")
            return self._loop

    def stay_connected(self) -> None:
        """Connect now, and again whenever the connection is lost, whether or not anybody asks for anything: a gateway
        restarts every night, and who is idle should not look like one that cannot trade.
        """
        self._keeper = self._thread().submit(self._keep_connected())

    async def _keep_connected(self) -> None:
        waits = chain(_IDLE_RECONNECT_S, repeat(_IDLE_RECONNECT_S[-1]))
        known = True
        while True:
            try:
                session = await self._live_session()
            except Exception as error:  # noqa: BLE001 - the edge of the loop's thread: whatever it was, the next try comes
                if known:
                    log.warning("gateway_away", error=f"{type(error).__name__}: {error}")
                known = False
                await self._pause(next(waits))
                continue
            waits = chain(_IDLE_RECONNECT_S, repeat(_IDLE_RECONNECT_S[-1]))
            known = True
            await asyncio.wait({session.lost})

    def call(self, work: Work[T], timeout_s: float, what: str) -> T:
        """Run ``work`` with a live session and wait for its result.

        Args:
            timeout_s: for everything, connecting included.
            what: what is asked for, for the error's text.

        Raises:
            GatewayUnavailable: no connection, or no answer in time.
        """
        future = self._thread().submit(self._run(work, timeout_s, what))
        try:
            return future.result(timeout_s + 5)
        except TimeoutError as error:
            raise GatewayUnavailable(f"the broker's event loop did not respond to {what}") from error
        finally:
            # After an interrupt of the waiting thread (a task's time limit) nobody wants the answer.
            future.cancel()

    async def _run(self, work: Work[T], timeout_s: float, what: str) -> T:
        try:
            async with asyncio.timeout(timeout_s):
                session = await self._live_session()
                session.require_upstream()
                return await session.guard(work(session))
        except TimeoutError as error:
            if self._session is not None:
                self._session.suspect()
            raise GatewayUnavailable(f"no answer to {what} within {timeout_s:g} s") from error

    def wait_for_return(self, timeout_s: float) -> None:
        """Wait until there is a live session to a gateway that is connected to IBKR.

        Raises:
            GatewayUnavailable: not within ``timeout_s``; says why the last attempt failed.
        """
        future = self._thread().submit(self._return(timeout_s))
        try:
            future.result(timeout_s + 5)
        except TimeoutError as error:
            raise GatewayUnavailable("the broker's event loop did not respond") from error
        finally:
            future.cancel()

    async def _return(self, timeout_s: float) -> None:
        reason = "no attempt was made"
        waits = chain(_RECONNECT_S, repeat(_RECONNECT_S[-1]))
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    try:
                        (await self._live_session()).require_upstream()
                        return
                    except GatewayUnavailable as error:
                        reason = str(error)
                    await self._pause(next(waits))
        except TimeoutError as error:
            raise GatewayUnavailable(f"not back within {timeout_s:g} s: {reason}") from error

    async def _pause(self, longest_s: float) -> None:
        """Until the gateway says that IBKR is back, at most ``longest_s``."""
        session = self._session
        if session is not None and session.alive:
            await session.upstream.restored(longest_s)
        else:
            await asyncio.wait({asyncio.get_running_loop().create_future()}, timeout=longest_s)

    async def _live_session(self) -> GatewaySession:
        session = self._session
        if session is not None and session.alive:
            return session
        if self._connecting is None:
            raise GatewayUnavailable("the connection is closed")
        async with self._connecting:
            if self._session is None or not self._session.alive:
                self._session = await self._connect()
            return self._session

    async def _connect(self) -> GatewaySession:
        refused: list[ClientIdInUse] = []
        for client_id in self._candidates():
            try:
                return await self._open(client_id)
            except ClientIdInUse as error:
                refused.append(error)
        self._refusals += 1
        tried = f"all {len(refused)} client ids are in use (326), the last answer was: " if len(refused) > 1 else ""
        raise ClientIdInUse(f"{tried}{refused[-1]}") from refused[-1]

    def _candidates(self) -> Sequence[int]:
        """Which ids to try, in this order; 326 says of each whether another connection has it."""
        known, others = self._own_id, self._left_to_others
        if known is None or known in others or self._refusals >= REFUSALS_BEFORE_ANOTHER:
            every = self._client_ids.candidates
            return [one for one in every if one not in others] or every
        return (known,)

    async def _open(self, client_id: int) -> GatewaySession:
        try:
            # What the socket says later on is not said in the run that happened to open it.
            with outside_any_run():
                session = await GatewaySession.open(self.options, client_id, self.record)
                session.start_heartbeat()
        except NobodyListens as error:
            await self._away()
            raise GatewayUnavailable(str(error)) from error
        except Refused as refusal:
            self._refused = str(refusal)
            raise
        self._own_id, self._refusals = client_id, 0
        self._away_recorded, self._refused = False, None
        before = self._session
        if before is not None and before.client_id == client_id:
            session.highest_order_id = before.highest_order_id
        return session

    async def open_beside(self, client_id: int) -> GatewaySession:
        """A second, bare connection under another client id; it ends with this one's process or :meth:`close`, or by
        :meth:`close_beside`.

        Raises:
            ClientIdInUse: somebody has that id.
            GatewayUnavailable: no connection.
        """
        known = self._beside.get(client_id)
        if known is not None and known.alive:
            return known
        with outside_any_run():
            session = await GatewaySession.open(self.options, client_id, bare=True)
            session.start_heartbeat(at_once=False)
        self._beside[client_id] = session
        return session

    def close_beside(self, client_id: int) -> None:
        """End such a connection, if there is one, and wait until the gateway has heard of it."""
        loop = self._loop
        session = self._beside.pop(client_id, None)
        if session is None or loop is None or loop.pid != os.getpid():
            return
        with suppress(TimeoutError):
            loop.submit(session.close()).result(3)

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """A run needs the client id for as long as the block lasts."""
        self._runs += 1
        try:
            yield
        finally:
            self._runs -= 1

    def leave_to_others(self, client_ids: Collection[int]) -> None:
        """These are wanted by other processes of ours: none of them is taken, and ours is given up for another as soon
        as no run needs it; :meth:`stay_connected` and the next call connect again.
        """
        self._left_to_others = frozenset(client_ids)
        if client_ids:  # the loop of an idle process would wake for nothing
            self.post(self._give_up)

    def _give_up(self) -> None:
        """A run that begins now finds the connection closed: its first call comes to the loop after this."""
        session = self._session
        if session is None or not session.alive or session.client_id not in self._left_to_others or self._runs:
            return
        log.info("client_id_given_up", client_id=session.client_id)
        self._leaving = asyncio.ensure_future(session.close())

    async def _away(self) -> None:
        """The gateway's process is not there: once on record until it is there again."""
        if not self._away_recorded:
            self._away_recorded = await asyncio.to_thread(self.record.away)

    def post(self, callback: Callable[[], None]) -> None:
        """Run ``callback`` soon on the loop's thread, if there is one; nobody waits for it."""
        loop = self._loop
        if loop is not None and loop.pid == os.getpid():
            loop.post(callback)

    def status(self) -> ConnectionStatus:
        """State as known now, without asking the gateway."""
        session = self._session if self._pid == os.getpid() else None
        if session is None:
            return ConnectionStatus(connected=False, trouble=self._refused)
        if not session.alive:
            return ConnectionStatus(False, session.client_id, session.lost.result())
        lost = session.upstream.lost
        return ConnectionStatus(True, session.client_id, f"{lost.code}: {lost.text}" if lost else None)

    def close(self) -> None:
        """Disconnect, which frees the client id; a later call connects again."""
        loop = self._loop
        if loop is None or loop.pid != os.getpid():
            return
        if self._keeper is not None:
            self._keeper.cancel()
        future = loop.submit(self._close_session())
        try:
            future.result(5)
        finally:
            loop.stop()
            self._forget()

    async def _close_session(self) -> None:
        for session in (self._session, *self._beside.values()):
            if session is not None:
                await session.close()
