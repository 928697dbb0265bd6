"""The simulated IB Gateway: listens, admits clients, keeps time; and tells tests what it has seen."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from rebalancer.domain.loopback import LOOPBACK
from sandbox.gateway.behaviour import Behaviour
from sandbox.gateway.exchange import Clock, Exchange
from sandbox.gateway.exchange_accounts import AccountState
from sandbox.gateway.exchange_events import Event, Execution, Order, SystemNotice
from sandbox.gateway.fault_settings import Faults
from sandbox.gateway.faults import FaultyBehaviour
from sandbox.gateway.login import Login
from sandbox.gateway.memory import BookFile
from sandbox.gateway.scenario import Scenario
from sandbox.gateway.session import ConnectionRecord, Session

_FAREWELL_S = 1.0


class Gateway:
    """A whole simulated gateway in the running event loop.

    Args:
        port: 0 takes a free one.
        clock: aware UTC now; by default the scenario's.
        behaviour: by default what the scenario's ``faults`` say.
        data: file in which the books outlive the process; by default they do not.
        login_log: file that tells how far the login is, as IBC's does.
    """

    def __init__(
        self,
        setup: Scenario,
        *,
        host: str = LOOPBACK,
        port: int = 0,
        clock: Clock | None = None,
        behaviour: Behaviour | None = None,
        data: Path | None = None,
        login_log: Path | None = None,
    ) -> None:
        self.setup = setup
        self.login = Login(login_log)
        self._book_file = None if data is None else BookFile(data)
        self._kept = 0
        self.behaviour = behaviour or FaultyBehaviour(setup.faults)
        self.connections: list[ConnectionRecord] = []
        self._wanted = host, port
        self._clock = clock or scenario_clock(setup)
        self._exchange: Exchange | None = None
        self._server: asyncio.Server | None = None
        self._opening = asyncio.Lock()
        self._clients: dict[int, Session] = {}
        self._timekeeper: asyncio.Task[None] | None = None
        self._restarting: asyncio.Task[None] | None = None
        self._served: set[asyncio.Task[None]] = set()
        self._sessions: set[Session] = set()

    async def __aenter__(self) -> Gateway:
        await self.start()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen, with the scenario's accounts as they are at its start, or as they were left."""
        call_later = asyncio.get_running_loop().call_later
        memory = None if self._book_file is None else self._book_file.load(self.setup)
        self._exchange = Exchange(self.setup, self._clock, call_later, self._broadcast, self.behaviour, memory=memory)
        self._exchange.views.start()
        self._server = await asyncio.start_server(self._connected, *self._wanted)
        self.login.completed()
        self._timekeeper = asyncio.get_running_loop().create_task(self._keep_time())

    async def stop(self) -> None:
        """Close every connection and stop listening."""
        async with self._opening:
            listener, self._server = self._server, None
        if listener is None:
            return
        await _stop_listening(listener)
        for session in list(self._sessions):
            session.close()
        for task in (self._restarting, self._timekeeper):
            if task:
                task.cancel()
        await self._end_sessions()
        await listener.wait_closed()
        self.keep()

    @property
    def exchange(self) -> Exchange:
        """The simulated IBKR behind the gateway; exists once started."""
        if self._exchange is None:
            raise RuntimeError("the gateway has not been started")
        return self._exchange

    @property
    def listening(self) -> bool:
        """Whether it takes connections: not while it restarts."""
        return self._server is not None and self._server.is_serving()

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        if self._server is None or not self._server.sockets:
            raise RuntimeError("the gateway is not listening")
        host, port = self._server.sockets[0].getsockname()[:2]
        return str(host), int(port)

    @property
    def client_ids(self) -> list[int]:
        """Client ids of all connections ever, in order of connecting, repetitions included."""
        return [record.client_id for record in self.connections if record.client_id is not None]

    @property
    def message_counts(self) -> Counter[int]:
        """Messages received from all clients ever, by request id."""
        return sum((record.received for record in self.connections), Counter())

    @property
    def orders(self) -> list[Order]:
        """Every order ever accepted or rejected by the exchange, oldest first."""
        return list(self.exchange.book.orders.values())

    @property
    def executions(self) -> list[Execution]:
        """Every fill, oldest first."""
        return list(self.exchange.book.executions)

    def account(self, account_id: str) -> AccountState:
        """An account's cash and holdings."""
        return self.exchange.book.accounts[account_id]

    def positions(self, account_id: str) -> dict[str, Decimal]:
        """Shares held by symbol; nothing that was sold out."""
        holdings = self.account(account_id).holdings
        return {symbol: holding.quantity for symbol, holding in holdings.items() if holding.quantity}

    def cash(self, account_id: str) -> Decimal:
        """Trade-date cash, USD."""
        return self.account(account_id).cash

    @property
    def faults(self) -> Faults:
        """What goes wrong at present."""
        return self._faulty.faults

    def set_faults(self, faults: Faults) -> None:
        """Replace all faults; ``Faults()`` heals the gateway."""
        self._faulty.change(faults)

    def announce(self, code: int, text: str) -> None:
        """Send an error or a warning of no request to every client, for example 1100."""
        self._broadcast(SystemNotice(code, text))

    async def restart(self, refuse_s: float, forgotten_ids: int = 0, *, second_factor: bool = False) -> None:
        """Restart as IB Gateway does every night: every connection is reset, the port refuses for a while, orders
        stay; what waited behind a window is forgotten.

        Args:
            refuse_s: how long nobody listens.
            forgotten_ids: by how many order ids each client's next valid id falls back.
            second_factor: nobody listens until the login is approved, too.
        """
        host, port = self.address
        listener = self._listener()
        await _stop_listening(listener)
        self.disconnect_all()
        self.exchange.book.forget_ids(forgotten_ids)
        self.exchange.windows.forget()
        self.behaviour.restarted()
        await asyncio.sleep(refuse_s)
        if second_factor:
            await self.login.ask()
        self.login.completed()
        async with self._opening:
            if self._server is listener:  # not stopped meanwhile
                self.exchange.views.start()
                self._server = await asyncio.start_server(self._connected, host, port)

    def begin_restart(self, refuse_s: float, forgotten_ids: int = 0, *, second_factor: bool = False) -> None:
        """:meth:`restart` in the background, until the gateway is stopped."""
        restart = self.restart(refuse_s, forgotten_ids, second_factor=second_factor)
        self._restarting = asyncio.get_running_loop().create_task(restart)

    def disconnect_all(self) -> None:
        """Reset every connection, as a crash does; orders stay."""
        for session in list(self._sessions):
            session.reset()

    def keep(self) -> None:
        """Save the books, if they outlive the process and anything in them has changed; whoever is told something
        afterwards may rely on it, whatever becomes of this process.
        """
        book = self.exchange.book
        if self._book_file is not None and book.changes != self._kept:
            self._book_file.keep(book.memory())
            self._kept = book.changes

    def claim(self, client_id: int, session: Session) -> str | None:
        """Reserve a client id for a session."""
        if client_id in self._clients or self.behaviour.client_id_taken(client_id):
            return "taken"
        if len(self._clients) >= self.setup.gateway.max_clients:
            return "full"
        self._clients[client_id] = session
        return None

    def _listener(self) -> asyncio.Server:
        if self._server is None:
            raise RuntimeError("the gateway is not listening")
        return self._server

    @property
    def _faulty(self) -> FaultyBehaviour:
        if not isinstance(self.behaviour, FaultyBehaviour):
            raise RuntimeError("this gateway has a behaviour of its own instead of switchable faults")  # noqa: TRY004 - a state
        return self.behaviour

    async def _end_sessions(self) -> None:
        """Wait until every client has got its last messages; one that does not read them is cut off."""
        if self._served:
            _, stuck = await asyncio.wait(set(self._served), timeout=_FAREWELL_S)
            self.disconnect_all()
            await asyncio.gather(*stuck, return_exceptions=True)

    def _broadcast(self, event: Event) -> None:
        for session in list(self._clients.values()):
            session.hear(event)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        session = Session(self, reader, writer)
        self.connections.append(session.record)
        self._sessions.add(session)
        task = asyncio.current_task()
        if task:
            self._served.add(task)
        try:
            await session.run()
        finally:
            self._sessions.discard(session)
            if session.record.only_asked:
                self.connections.remove(session.record)
            self._clients = {key: other for key, other in self._clients.items() if other is not session}
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
            if task:
                self._served.discard(task)

    async def _keep_time(self) -> None:
        """Move the market at each interval and refresh account values every few minutes."""
        interval_s = float(self.setup.quotes.interval_ms) / 1000
        loop = asyncio.get_running_loop()
        refresh_s = float(self.setup.gateway.account_refresh_s)
        refresh_at = loop.time() + refresh_s
        while True:
            await asyncio.sleep(interval_s)
            self.exchange.step()
            self.keep()
            for session in list(self._clients.values()):
                session.push_quotes()
                if loop.time() >= refresh_at:
                    session.refresh_accounts()
            if loop.time() >= refresh_at:
                refresh_at += refresh_s


def scenario_clock(setup: Scenario) -> Clock:
    """The real time, or a clock that runs on from the scenario's moment."""
    if setup.market.clock is None:
        return lambda: datetime.now(UTC)
    ahead: timedelta = setup.market.clock.astimezone(UTC) - datetime.now(UTC)
    return lambda: datetime.now(UTC) + ahead


async def _stop_listening(listener: asyncio.Server) -> None:
    """Close the port once every connection that was taken is a session: in Python 3.11 asyncio loses one that it is
    just about to hand over, and its client would hang.
    """
    loop = asyncio.get_running_loop()
    for socket in listener.sockets:
        loop.remove_reader(socket.fileno())
    await asyncio.sleep(0)
    listener.close()
