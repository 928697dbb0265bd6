"""What reads bytes from outside, each as a function that returns, whatever the bytes are.

A decoder may refuse, by the errors that its callers expect. Anything else is a finding, and so is an answer that breaks
what each function says of it.
"""

from __future__ import annotations

import asyncio
import dataclasses
import gzip
import io
import json
import logging
import re
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import structlog
from pydantic import ValidationError

import api.app
import listener.messages
import rebalancer.allocations
import rebalancer.backup.archive
import rebalancer.config.accounts_file
import rebalancer.config.clear_text
import rebalancer.config.env_file
import rebalancer.config.settings
import rebalancer.config.yaml_file
import rebalancer.flex.decoding
import rebalancer.flex.fetching
import rebalancer.flex.xml
import rebalancer.ibkr.client
import rebalancer.ibkr.frames
import rebalancer.notify.destinations
import rebalancer.sources.tables
import rebalancer.statements.proof
from rebalancer.backup import BackupFailed
from rebalancer.backup.archive import MAGIC
from rebalancer.backup.sealing import Seal
from rebalancer.config.foreign_keys import FOREIGN_KEYS
from rebalancer.config.settings import FIELDS, Settings
from rebalancer.domain.commands import Command
from rebalancer.domain.errors import AllocationsUnavailable, ConfigurationError, Refused
from rebalancer.domain.orders import OrderRequest, OrderUpdate, StatusUpdate
from rebalancer.domain.portfolio import OrderType, Side, TimeInForce
from rebalancer.domain.sources import Form, TableForm, Unit
from rebalancer.flex.answers import NoStatement
from rebalancer.ibkr.messages import CompletedOrderRow, ExecutionMessage, Message, OpenOrderMessage, StatusMessage
from rebalancer.ibkr.open_book import OpenBook
from rebalancer.ibkr.watch import OrderWatch
from rebalancer.statements.content import Books, Holdings, Start
from tests.backup_keys import KEY

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
SERVER_VERSION = 178
CLIENT_ID = 7
SYMBOL = re.compile(r"[A-Z0-9$][A-Z0-9 ._/$-]*")


def _drop(_logger: object, _name: str, _event: object) -> Any:
    """Nobody reads a million lines."""
    raise structlog.DropEvent


def quiet() -> None:
    """For a process that does nothing else."""
    structlog.configure(processors=[_drop])
    logging.disable(logging.CRITICAL)


@cache
def _loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    return loop


@cache
def _folder() -> Path:
    return Path(tempfile.mkdtemp(prefix="fuzz-"))


def _file(name: str, data: bytes) -> Path:
    path = _folder() / name
    path.write_bytes(data)
    return path


def _client() -> rebalancer.ibkr.client.GatewayClient:
    """Greeted by a gateway, as a session has it."""
    _loop()
    client = rebalancer.ibkr.client.GatewayClient(40)
    client.protocol._serverVersion = client.protocol.decoder.serverVersion = SERVER_VERSION
    client.protocol._apiReady = True
    return client


@cache
def _lasting_client() -> rebalancer.ibkr.client.GatewayClient:
    """Making one takes longer than a message."""
    return _client()


def message(data: bytes) -> None:
    """One message of the gateway, through our client: whatever it is, the next one is read."""
    heard: list[Message] = []
    client = _lasting_client()
    with client.listener(heard.append):
        client.protocol.decoder.interpret(data.decode(errors="backslashreplace").split("\0"))
        client.protocol.decoder.interpret(["3", "7", "Submitted", "0", "5", "0", "99", "0", "0", "4", "", "0"])
    assert heard, "the message after it was lost"
    for one in heard:
        if isinstance(one, CompletedOrderRow):
            assert one.read().account_id == one.account_id
        if isinstance(one, ExecutionMessage):
            assert one.fill.quantity >= 0
            assert one.fill.quantity.is_finite()
            assert one.fill.price.is_finite()


def orders(data: bytes) -> None:
    """Messages of the gateway, one a line, while an order is out: what follows is told, and nothing is sent."""
    client, watch, book = _lasting_client(), OrderWatch(CLIENT_ID), OpenBook()
    asked = OrderRequest("ref", "DU1", "SPY", 1, Side.BUY, 10, OrderType.MARKET, TimeInForce.DAY)
    told, sent = [*watch.place(11, asked, NOW)], list[str]()

    def hear(one: Message) -> None:
        told.extend(watch.feed(one))
        if isinstance(one, OpenOrderMessage | StatusMessage):
            book.add(one)

    client.protocol.sendMsg = sent.append
    with client.listener(hear):
        for line in data.split(b"\n"):
            client.protocol.decoder.interpret(line.decode(errors="backslashreplace").split("\0"))
    assert not sent, sent
    assert watch.usurped or watch.ended or watch.description()
    assert all(one.status.can_fill for one in book.open_orders())
    for update in told:
        amounts = [amount for amount in vars_of(update) if isinstance(amount, Decimal)]
        assert all(amount.is_finite() for amount in amounts), update
        if isinstance(update, StatusUpdate):
            assert 0 <= update.remaining <= asked.quantity, update
            assert update.filled >= 0, update


def vars_of(update: OrderUpdate) -> list[object]:
    """What it is made of."""
    return [getattr(update, field.name) for field in dataclasses.fields(update)]


def stream(data: bytes) -> None:
    """The gateway's bytes before they are messages, in two pieces: lengths that lie, no length at all."""
    client = _client()
    half = len(data) // 2
    client.protocol._onSocketHasData(data[:half])
    client.protocol._onSocketHasData(data[half:])
    assert len(client.protocol._data) <= len(data)


def signal(data: bytes) -> None:
    """A message of Ably's, from history and live: only the literal wish is one."""
    try:
        item = json.loads(data)
    except (ValueError, RecursionError):
        item = {"id": "i", "timestamp": 1_795_253_400_000, "data": data.decode(errors="surrogateescape")}
    read = listener.messages.from_history("strategy", item)
    arrival = listener.messages.arrival(read, NOW, timedelta(days=1))
    json.dumps(arrival.payload).encode()
    if arrival.command in (Command.REBALANCE, Command.CANCEL_ORDERS):
        assert _plainly(read.data) == arrival.command


def _plainly(data: Any) -> object:
    """What somebody asks for who writes it as it is documented."""
    wish = json.loads(data) if isinstance(data, str | bytes | bytearray) else data
    return wish["exec"]


def allocations(data: bytes) -> None:
    """An answer of the allocations API."""
    client = rebalancer.allocations.AllocationsClient("https://api.example.org", KEY.text, 1)
    try:
        targets = rebalancer.allocations.read_targets("blend", client._payload(data))
    except (AllocationsUnavailable, Refused):
        return
    assert targets.weights
    assert all(SYMBOL.fullmatch(one.symbol) and 0 <= one.weight <= 1 for one in targets.weights), targets
    assert len({one.symbol for one in targets.weights}) == len(targets.weights)


def tables(data: bytes) -> None:
    """A table of a source, whose first byte says how it is to be read."""
    form, unit = [None, *Form][data[0] % 4 if data else 0], [None, *Unit][data[0] // 4 % 3 if data else 0]
    try:
        targets = rebalancer.sources.tables.read_table("mine", data[1:], TableForm(form=form, unit=unit))
    except Refused:
        return
    assert targets.weights
    assert all(SYMBOL.fullmatch(one.symbol) and 0 < one.weight <= 1 for one in targets.weights), targets
    assert len({one.symbol for one in targets.weights}) == len(targets.weights)


def statements(data: bytes) -> None:
    """An answer of the Flex web service: a code, or statements, of which each is proved against an empty ledger."""
    try:
        root = rebalancer.flex.xml.root_of(data)
        rebalancer.flex.fetching._check_code(root)
        found = rebalancer.flex.decoding.decode(root)
    except (rebalancer.flex.xml.Unreadable, rebalancer.flex.decoding.Unusable, NoStatement):
        return
    for one in found:
        start = Start(one.first - timedelta(days=1), Holdings({}, {}))
        proof = rebalancer.statements.proof.prove(one, Books(start))
        for currency in {*one.closing.cash, *(each.currency for each in proof.differences)}:
            named = sum((each.cash for each in proof.differences if each.currency == currency), Decimal(0))
            assert abs(named - one.closing.cash.get(currency, Decimal(0))) < Decimal("0.01"), (currency, named)
        assert all(lot.quantity >= 0 and lot.cost >= 0 for lot in one.closed_lots)


def accounts(data: bytes) -> None:
    """An accounts file."""
    try:
        for one in rebalancer.config.accounts_file.load_accounts(_file("accounts.yaml", data), {}):
            assert one.account_id.isascii()
    except ConfigurationError:
        pass


def replacement_sets(data: bytes) -> None:
    """A file of replacement sets."""
    with suppress(ConfigurationError):
        rebalancer.config.accounts_file.load_replacement_sets(_file("replacement-sets.yaml", data))


def environment(data: bytes) -> None:
    """An `.env`, as far as settings; a value that is refused is not shown where it is secret."""
    fields = {**{name.upper(): name for name in FIELDS}, "REDIS_PASSWORD_FILE": "redis_password"}
    try:
        entries, _ = rebalancer.config.env_file.read_env_file(_file("env", data), fields, FOREIGN_KEYS)
        Settings.from_flat({field: one.text for field, one in entries.items()})
    except (ConfigurationError, ValidationError):
        pass


def urls(data: bytes) -> None:
    """NOTIFY_URLS."""
    with suppress(ValidationError):
        Settings.from_flat({"notify_urls": data.decode(errors="ignore") or "x"})


def backup(data: bytes) -> None:
    """A backup as somebody puts it there: nothing of it is believed."""
    file = io.BytesIO(data)
    file.name = "fuzz.dump"
    try:
        with rebalancer.backup.archive.opened(file, KEY) as found:
            raise AssertionError(f"believed {found.header}")
    except BackupFailed:
        pass


def rows(data: bytes) -> None:
    """A backup by somebody who has the key: its form is refused, or it is read to its end."""
    header, _, rest = data.partition(b"\n")
    whole = MAGIC + header + b"\n" + gzip.compress(rest, 0)
    seal = Seal(KEY)
    seal.update(whole)
    file = io.BytesIO(whole + seal.text())
    file.name = "fuzz.dump"
    try:
        with rebalancer.backup.archive.opened(file, KEY) as found:
            for _, lines in found.tables():
                while lines.read(1 << 16):
                    pass
            found.totals()
    except (BackupFailed, ConfigurationError):
        pass


@cache
def _app() -> tuple[Any, list[tuple[str, str]]]:
    """The API over a ledger that is away, and the routes that take something."""
    files = {f"{name}_file": ROOT / f"{name.replace('_', '-')}.yaml" for name in ("accounts", "replacement_sets")}
    nowhere = f"postgresql://fuzz@/fuzz?host={_folder()}"
    app = api.app.create_app(
        Settings.from_flat(
            {"database_url": nowhere, "management_api_key": KEY.text, "api_writes_per_minute": 100_000, **files}
        )
    )
    schema = app.openapi()["paths"]
    return app, sorted((method.upper(), path) for path, one in schema.items() for method in one if method != "get")


def http(data: bytes) -> None:
    """A request that changes something: first byte its route, a line for the place in its path, then the body."""
    app, routes = _app()
    method, route = routes[(data[0] if data else 0) % len(routes)]
    place, _, body = data[1:].partition(b"\n")
    path = re.sub(r"\{\w+\}", place.decode(errors="replace").replace("\\", "\\\\"), route)
    headers = {"host": "127.0.0.1:8000", "content-type": "application/json", "authorization": f"Bearer {KEY.text}"}
    status = _loop().run_until_complete(_request(app, method, path, headers | {"content-length": str(len(body))}, body))
    assert status < 500 or status == 503, f"{method} {path} answers {status}"


async def _request(app: Any, method: str, path: str, headers: Mapping[str, str], body: bytes) -> int:
    """Status of the answer."""
    found: list[int] = []

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(event: Mapping[str, Any]) -> None:
        if event["type"] == "http.response.start":
            found.append(event["status"])

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(errors="replace"),
        "query_string": b"",
        "root_path": "",
        "headers": [(name.encode(), text.encode()) for name, text in headers.items()],
        "client": ("127.0.0.1", 50_000),
        "server": ("127.0.0.1", 8000),
    }
    await app(scope, receive, send)
    return found[0]


TARGETS: Mapping[str, Callable[[bytes], None]] = {
    one.__name__: one
    for one in (
        message,
        orders,
        stream,
        signal,
        allocations,
        tables,
        statements,
        accounts,
        replacement_sets,
        environment,
        urls,
        backup,
        rows,
        http,
    )
}
