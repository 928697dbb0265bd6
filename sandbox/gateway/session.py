"""One client connection, from greeting to close."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from sandbox.gateway import messages, requests
from sandbox.gateway.account_feed import AccountFeed
from sandbox.gateway.behaviour import Admission, Behaviour, Incoming
from sandbox.gateway.client import Client, Handlers
from sandbox.gateway.exchange import Exchange
from sandbox.gateway.exchange_events import AccountChanged, Event, SystemNotice
from sandbox.gateway.order_entry import OrderEntry
from sandbox.gateway.outbox import Outbox
from sandbox.gateway.quote_feed import QuoteFeed
from sandbox.gateway.wire import Message, WireError, negotiate, read_frame, read_greeting

_log = logging.getLogger("sandbox.gateway")
_FARMS = (
    (2104, "Market data farm connection is OK:usfarm"),
    (2106, "HMDS data farm connection is OK:ushmds"),
    (2158, "Sec-def data farm connection is OK:secdefil"),
)
_TAKEN = "Unable to connect as the client id is already in use. Retry with a unique client id."
_FULL = "Couldn't connect to TWS. The maximum API connection threshold ({}) is reached."


@dataclass(slots=True)
class ConnectionRecord:
    """What a connection was, kept after its end for tests to look at.

    Attributes:
        client_id / version: ``None`` until they are known.
        received: number of messages by request id.
        refused: why the gateway ended it, if it did.
    """

    opened_at: datetime
    client_id: int | None = None
    version: int | None = None
    closed_at: datetime | None = None
    refused: str | None = None
    received: Counter[int] = field(default_factory=Counter)

    @property
    def only_asked(self) -> bool:
        """Whether it was told the version and wanted no more, as a health check that comes back for years."""
        return self.version is not None and self.client_id is None and self.refused is None


class Login(Protocol):
    """What a session needs of the gateway that accepted it."""

    behaviour: Behaviour

    @property
    def exchange(self) -> Exchange:
        """The simulated IBKR behind the gateway."""

    def claim(self, client_id: int, session: Session) -> str | None:
        """Reserve a client id.

        Returns:
            ``None`` or why it cannot be had: ``taken`` or ``full``.
        """

    def keep(self) -> None:
        """Make what is in the books outlive the process."""


class Session:
    """Reads one client's requests and passes on what it subscribed to."""

    def __init__(self, login: Login, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._login = login
        self._exchange = login.exchange
        self._reader = reader
        self._writer = writer
        settings = self._exchange.setup.gateway
        self._outbox = Outbox(writer, login.behaviour, float(settings.latency_ms) / 1000, login.keep)
        self._handlers: Handlers | None = None
        self._quotes: QuoteFeed | None = None
        self._accounts: AccountFeed | None = None
        self._orders: OrderEntry | None = None
        self._pace: deque[float] = deque()
        self._violations = 0
        self.record = ConnectionRecord(opened_at=self._exchange.clock())

    async def run(self) -> None:
        """Serve the client until either side ends the connection."""
        try:
            await self._serve()
        except WireError as error:
            self.record.refused = str(error)
            _log.warning("connection closed: %s", error)
        except (asyncio.IncompleteReadError, ConnectionError):
            _log.debug("client %s is gone", self.record.client_id)
        finally:
            self.close()

    def close(self) -> None:
        """End the connection after everything that was sent."""
        if self.record.closed_at is None:
            self._closed()
            self._outbox.flush()
            self._writer.close()

    def reset(self) -> None:
        """End the connection at once, losing what was not yet written."""
        self._closed()
        self._writer.transport.abort()

    def _closed(self) -> None:
        self.record.closed_at = self.record.closed_at or self._exchange.clock()
        if self._quotes:
            self._quotes.end()

    def hear(self, event: Event) -> None:
        """Pass on what the client is to know of an event."""
        if self._orders is None or self._accounts is None:
            return
        if isinstance(event, AccountChanged):
            self._accounts.changed(event)
        elif isinstance(event, SystemNotice):
            self._error(-1, event.code, event.text)
        else:
            self._orders.hear(event)

    def push_quotes(self) -> None:
        """An interval has passed: send the newest quotes."""
        if self._quotes:
            self._quotes.push()

    def refresh_accounts(self) -> None:
        """Send the account values that changed since the last time."""
        if self._accounts:
            self._accounts.refresh()

    async def _serve(self) -> None:
        admission = self._login.behaviour.admission()
        if admission is Admission.RESET:
            self.reset()
            return
        lowest, highest = await read_greeting(self._reader)
        self.record.version = negotiate(lowest, highest, self._exchange.setup.gateway.server_version)
        if admission is not Admission.SILENCE:
            self._outbox.send(self._greeting(self.record.version))
        while not self._writer.is_closing():
            self._receive(await read_frame(self._reader), self.record.version)

    def _greeting(self, version: int) -> Message:
        return messages.version_frame(version, self._exchange.time.connection_time(self._exchange.clock()))

    def _receive(self, fields: list[str], version: int) -> None:
        request = requests.decode(fields, version)
        message_id = int(fields[0])
        self.record.received[message_id] += 1
        if self._handlers is None:
            self._start(request, version)
        elif self._within_pace():
            verdict = self._login.behaviour.incoming(self.record.client_id or 0, message_id)
            self._obey(verdict, request, self._handlers)

    def _obey(self, verdict: Incoming, request: requests.Request, handlers: Handlers) -> None:
        if verdict is Incoming.RESET_BEFORE:
            self.reset()
        elif verdict is not Incoming.IGNORE:
            self._handle(request, handlers)
            if verdict is Incoming.RESET_AFTER:
                self.reset()

    def _handle(self, request: requests.Request, handlers: Handlers) -> None:
        match request:
            case requests.Unsupported():
                text = f"Fatal Error: Unknown message id. Message {request.message_id} is not simulated."
                self._error(request.request_id, 505, text)
            case requests.Unreadable():
                text = f"Error reading request. Message {request.message_id}: {request.reason}."
                self._error(request.request_id, 320, text)
            case requests.StartApi():
                self._error(-1, 501, "Already connected.")
            case requests.CurrentTime():
                self._outbox.send(messages.current_time(self._exchange.time.now(self._exchange.clock())))
            case requests.SetLogLevel():
                pass
            case _:
                handlers[type(request)](request)

    def _start(self, request: requests.Request, version: int) -> None:
        """Admit the client: the first message must say who it is."""
        if not isinstance(request, requests.StartApi):
            raise WireError("the first message is not startApi")
        self.record.client_id = self._outbox.client_id = request.client_id
        obstacle = self._login.claim(request.client_id, self)
        if obstacle:
            full = _FULL.format(self._exchange.setup.gateway.max_clients)
            self._error(-1, *((326, _TAKEN) if obstacle == "taken" else (502, full)))
            self.record.refused = f"client id {request.client_id}: {obstacle}"
            self.close()
            return
        client = Client(request.client_id, version, self._exchange, self._outbox.send)
        self._quotes = QuoteFeed(client, self._login.behaviour)
        self._accounts = AccountFeed(client)
        self._orders = OrderEntry(client, self._login.behaviour)
        self._handlers = self._quotes.handlers() | self._accounts.handlers() | self._orders.handlers()
        self._orders.begin()
        self._welcome(request.client_id)

    def _welcome(self, client_id: int) -> None:
        book = self._exchange.book
        self._outbox.send(messages.managed_accounts(list(book.accounts)))
        self._outbox.send(messages.next_valid_id(book.next_order_id(client_id)))
        for code, text in _FARMS:
            self._error(-1, code, text)

    def _within_pace(self) -> bool:
        """Count the message against the limit; above it, it is dropped with error 100."""
        settings = self._exchange.setup.gateway
        now = asyncio.get_running_loop().time()
        while self._pace and now - self._pace[0] > settings.message_window_s:
            self._pace.popleft()
        if len(self._pace) < settings.messages_per_window:
            self._pace.append(now)
            return True
        limit = settings.messages_per_window
        self._violations += 1
        text = f"Max rate of messages per second has been exceeded:max={limit} rec={limit + 1} ({self._violations})"
        self._error(-1, 100, text)
        if settings.rate_violations_before_close and self._violations >= settings.rate_violations_before_close:
            self.record.refused = "too many messages"
            self.close()
        return False

    def _error(self, request_id: int, code: int, text: str) -> None:
        self._outbox.send(messages.error(self.record.version or 0, request_id, code, text))
