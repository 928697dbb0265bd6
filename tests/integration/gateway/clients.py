"""A gateway, unmodified ib_async clients and a bare socket for the tests of this folder."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import cache
from typing import Any

import httpx
import ib_async

from sandbox.gateway.behaviour import Behaviour
from sandbox.gateway.control_port import control_port
from sandbox.gateway.scenario import Scenario, load_scenario
from sandbox.gateway.server import Gateway

DEADLINE_S = 5.0
ACCOUNT = "DU1000001"
GATED_VERSIONS = (157, 160, 162, 163, 164, 166, 169, 170, 176, 177, 178)


def run(test: Coroutine[Any, Any, None]) -> None:
    """Run an asynchronous test; nothing in it may take longer than half a minute."""
    asyncio.run(asyncio.wait_for(test, 30))


@cache
def default_scenario() -> Scenario:
    """The shipped scenario, read once."""
    return load_scenario("default")


@asynccontextmanager
async def serving(
    overrides: dict[str, Any] | None = None, behaviour: Behaviour | None = None, **options: Any
) -> AsyncIterator[Gateway]:
    """The default scenario with overrides laid over it; orders live as the documents say, unless these say more."""
    setup = default_scenario().changed({"orders": {"life": "orderly"}}).changed(overrides or {})
    async with Gateway(setup, behaviour=behaviour, **options) as gateway:
        yield gateway


@asynccontextmanager
async def connected(gateway: Gateway, client_id: int = 1, **options: Any) -> AsyncIterator[ib_async.IB]:
    """An ib_async client, everything fetched."""
    ib = ib_async.IB()
    await ib.connectAsync(*gateway.address, clientId=client_id, raiseSyncErrors=True, **options)
    try:
        yield ib
    finally:
        ib.disconnect()


@asynccontextmanager
async def controlling(gateway: Gateway) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the gateway's control port, which is open meanwhile."""
    async with (
        control_port(gateway) as (host, port),
        httpx.AsyncClient(base_url=f"http://{host}:{port}", trust_env=False) as control,
    ):
        yield control


async def until(condition: Callable[[], object], what: str = "") -> None:
    """Wait for a condition, with a deadline."""
    try:
        async with asyncio.timeout(DEADLINE_S):
            while not condition():  # noqa: ASYNC110 - what is awaited happens in other objects, which have no event
                await asyncio.sleep(0.002)
    except TimeoutError:
        raise AssertionError(f"did not happen: {what or condition}") from None


def stock(symbol: str) -> ib_async.Stock:
    """A contract as the product names it."""
    return ib_async.Stock(symbol, "SMART", "USD")


def listed(gateway: Gateway, symbol: str) -> ib_async.Contract:
    """The same with its conId, which ib_async wants for quotes."""
    con_id = gateway.setup.instruments[symbol].con_id
    return ib_async.Stock(symbol, "SMART", "USD", conId=con_id)


def market(action: str, quantity: float, ref: str = "", **fields: Any) -> ib_async.MarketOrder:
    """A DAY market order for the first account."""
    return ib_async.MarketOrder(action, quantity, **{"account": ACCOUNT, "tif": "DAY", "orderRef": ref, **fields})


def limit(action: str, quantity: float, price: float, ref: str = "", **fields: Any) -> ib_async.LimitOrder:
    """A DAY limit order for the first account."""
    return ib_async.LimitOrder(action, quantity, price, **{"account": ACCOUNT, "tif": "DAY", "orderRef": ref, **fields})


def errors_of(ib: ib_async.IB) -> list[tuple[int, int]]:
    """Collects (request id, code) of everything that the gateway reports from now on."""
    seen: list[tuple[int, int]] = []
    ib.errorEvent += lambda request_id, code, *_rest: seen.append((request_id, code))
    return seen


def wire(ib: ib_async.IB) -> Any:
    """Its lower half, which sends what it is told without looking at its own state; it has no annotations."""
    return ib.client


class BareClient:
    """Speaks the protocol by hand."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        self.version = 0

    async def greet(self, versions: str = "v157..178") -> None:
        """Shake hands."""
        self.writer.write(b"API\0" + _framed(versions.encode()))
        self.version = int((await self.receive())[0])

    async def start(self, client_id: int) -> None:
        """Say who is there, and read everything of the welcome."""
        self.send(71, 2, client_id, "")
        for _ in range(5):
            await self.receive()

    def send(self, *fields: object) -> None:
        """Send one message."""
        self.writer.write(_framed("".join(f"{field}\0" for field in fields).encode()))

    async def receive(self) -> list[str]:
        """The next message."""
        async with asyncio.timeout(DEADLINE_S):
            (length,) = struct.unpack(">I", await self.reader.readexactly(4))
            return (await self.reader.readexactly(length)).decode().split("\0")[:-1]

    async def receive_until(self, message_id: int) -> list[list[str]]:
        """Messages up to and including the first with this id."""
        found: list[list[str]] = []
        while not found or found[-1][0] != str(message_id):
            found.append(await self.receive())
        return found

    async def closed(self) -> bytes:
        """Wait for the gateway to close; what it still sent."""
        async with asyncio.timeout(DEADLINE_S):
            try:
                return await self.reader.read()
            except ConnectionResetError:
                return b""


@asynccontextmanager
async def bare_at(
    address: tuple[str, int], client_id: int | None = None, versions: str = "v157..178"
) -> AsyncIterator[BareClient]:
    """A bare connection; greeted and started when a client id is given."""
    client = BareClient(*await asyncio.open_connection(*address))
    try:
        if client_id is not None:
            await client.greet(versions)
            await client.start(client_id)
        yield client
    finally:
        client.writer.close()
        with contextlib.suppress(ConnectionError):
            await client.writer.wait_closed()


def bare(
    gateway: Gateway, client_id: int | None = None, versions: str = "v157..178"
) -> AbstractAsyncContextManager[BareClient]:
    """A bare connection to a gateway in this process."""
    return bare_at(gateway.address, client_id, versions)


def order_fields(version: int, *, symbol: str = "QQQ", quantity: object = 10, ref: str = "") -> Sequence[object]:
    """Everything of a plain placeOrder after the order id, as the version lays it out."""
    contract = (0, symbol, "STK", "", "0.0", "", "", "SMART", "", "USD", "", "")
    basics = ("", "", "BUY", quantity, "MKT", "", "", "DAY", "", ACCOUNT, "", 0, ref, 1, 0, 0, 0, 0, 0, 0, 0)
    allocation = ("", "0.0", "", "", "", "", "", *(("",) if version < 177 else ()), "", 0, "", -1, 0, "", "")
    limits = (0, "", "", 0, 0, "", 0, "", "", "", "", "", 0, "", "", "", "")
    scale = (0, "", "", "", "", "", "", "", "", "", "", 0, "", "", 0, 0, "", "", 0, "", 0, 0, 0, 0)
    tail = ("", "", "", "", "", "", 0, "", "", "", "", "", "", "", "", 0, 0, 0, 0)
    gated = (("", 158), ("", 160), (0, 162), ("", 166), ("", 169))
    return (
        *contract,
        *basics,
        *allocation,
        *limits,
        *scale,
        *tail,
        *(value for value, gate in gated if version >= gate),
    )


def _framed(payload: bytes) -> bytes:
    return struct.pack(">I", len(payload)) + payload
