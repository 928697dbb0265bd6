"""A small HTTP port on the loopback address, by which tests in other processes look at a gateway and steer it.

======  ==================  =======================================================================================
GET     ``/state``          accounts, orders, executions, client ids, connections, message counts
POST    ``/prices``         ``{"SPY": "600.00"}``: let symbols jump
POST    ``/contracts``      ``{"GLD": 5002}``: give instruments another contract id; the old one is unknown (200) then
POST    ``/disconnect``     reset every connection, as a crash does
GET     ``/faults``         what goes wrong at present
POST    ``/faults``         replace all faults, in the form of a scenario's ``faults``; ``{}`` heals
POST    ``/notices``        ``{"code": 1100, "text": "..."}`` to every client
POST    ``/restart``        ``{"refuse_s": 2, "forgotten_ids": 0, "second_factor": false}``: reset everyone, refuse
                            connections for a while, then until the login is approved
POST    ``/login``          ``{"answer": "approve"}``, ``"miss"`` or ``"refuse"``: what becomes of the second factor
POST    ``/orders``         ``{"account": "DU..", "symbol": "SPY", ...}``: an order by hand, as in ``open_orders``
POST    ``/cash``           ``{"account": "DU..", "amounts": {"USD": "100"}}``: cash moves by itself
POST    ``/rates``          ``{"EUR": "1.12"}``: USD for one unit of a currency
POST    ``/splits``         ``{"symbol": "SPY", "ratio": "2", "booked_after_s": 0}``: split a stock
GET     ``/health``         ``{"ok": true}``
POST    ``/windows``        ``{"send": true}``: answer the windows; what waited enters the book, or (false) never
POST    ``/liquidations``   ``{"account": "DU..", "symbol": "SPY", "quantity": 10}``: IBKR sells by itself
======  ==================  =======================================================================================
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Collection
from decimal import Decimal
from http import HTTPStatus
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from sandbox.gateway.accounts import USD, Payment
from sandbox.gateway.fault_settings import Code, Faults
from sandbox.gateway.fill_rules import Exact, Part, Positive
from sandbox.gateway.login import Answer as LoginAnswer
from sandbox.gateway.scenario import OpenOrder
from sandbox.gateway.state import state

if TYPE_CHECKING:
    from sandbox.gateway.server import Gateway

_MAX_BODY = 1024 * 1024
_PRICES = TypeAdapter(dict[str, Annotated[Decimal, Field(gt=0)]])
_CONTRACT_IDS = TypeAdapter(dict[str, Annotated[int, Field(gt=0)]])
M = TypeVar("M", bound=BaseModel)
Answer = tuple[HTTPStatus, Any]


class _Restart(BaseModel):
    model_config = ConfigDict(extra="forbid")

    refuse_s: Annotated[float, Field(ge=0, le=600)] = 1.0
    forgotten_ids: Annotated[int, Field(ge=0)] = 0
    second_factor: bool = False


class _Login(Part):
    answer: LoginAnswer


class _HandOrder(OpenOrder):
    account: str


class _Payment(Part):
    account: str
    amounts: dict[str, Exact] = Field(default_factory=dict)
    accrued_interest: Exact = Decimal(0)
    accrued_dividends: Exact = Decimal(0)


class _Split(Part):
    symbol: str
    ratio: Positive
    booked_after_s: Annotated[float, Field(ge=0, le=86_400)] = 0.0


class _Answer(Part):
    send: bool = True


class _Liquidation(Part):
    account: str
    symbol: str
    quantity: Positive


class BadRequest(Exception):
    """The request cannot be answered; the text says why."""


class ControlServer:
    """Serves one gateway's control port."""

    def __init__(self, gateway: Gateway, port: int) -> None:
        self._gateway = gateway
        self._port = port
        self._server: asyncio.Server | None = None
        self._restarting: asyncio.Task[None] | None = None
        self.routes: dict[tuple[str, str], Callable[[bytes], Any]] = {
            ("GET", "/health"): lambda _body: {"ok": True},
            ("GET", "/state"): lambda _body: state(gateway),
            ("POST", "/prices"): self._set_prices,
            ("POST", "/contracts"): self._renumber,
            ("POST", "/disconnect"): self._disconnect,
            ("GET", "/faults"): lambda _body: gateway.faults.model_dump(mode="json"),
            ("POST", "/faults"): self._set_faults,
            ("POST", "/notices"): self._announce,
            ("POST", "/restart"): self._restart,
            ("POST", "/login"): self._answer_login,
            ("POST", "/orders"): self._enter_order,
            ("POST", "/cash"): self._pay,
            ("POST", "/rates"): self._set_rates,
            ("POST", "/splits"): self._split,
            ("POST", "/windows"): self._answer_windows,
            ("POST", "/liquidations"): self._liquidate,
        }

    async def start(self) -> None:
        """Listen on the loopback address only."""
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", self._port)

    async def stop(self) -> None:
        """Stop listening."""
        if self._restarting:
            self._restarting.cancel()
        if self._server:
            self._server.close()

    @property
    def address(self) -> tuple[str, int]:
        """Where it listens."""
        if self._server is None:
            raise RuntimeError("the control port is not listening")
        host, port = self._server.sockets[0].getsockname()[:2]
        return str(host), int(port)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request per connection."""
        try:
            status, answer = await self._answer(reader)
            body = json.dumps(answer).encode()
            head = f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: application/json\r\n"
            writer.write(f"{head}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body)
            await writer.drain()
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError):
            writer.transport.abort()
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader) -> Answer:
        try:
            method, path, body = await _read_request(reader)
            route = self.routes.get((method, path))
            if route is None:
                return HTTPStatus.NOT_FOUND, {"error": f"no {method} {path}"}
            answer = route(body)
            self._gateway.keep()
            return HTTPStatus.OK, answer
        except BadRequest as error:
            return HTTPStatus.BAD_REQUEST, {"error": str(error)}

    def _set_prices(self, body: bytes) -> Any:
        prices = self._by_name(body, self._gateway.setup.instruments)
        for symbol, price in prices.items():
            self._gateway.exchange.set_price(symbol, price)
        return {"set": len(prices)}

    @staticmethod
    def _by_name(body: bytes, known: Collection[str]) -> dict[str, Decimal]:
        """Prices of symbols, or rates of currencies."""
        try:
            prices = _PRICES.validate_json(body)
        except ValidationError as error:
            raise BadRequest(f"the body must map names to prices: {error.errors()[0]['msg']}") from error
        unknown = sorted(prices.keys() - set(known))
        if unknown:
            raise BadRequest(f"unknown: {', '.join(unknown)}")
        return prices

    def _renumber(self, body: bytes) -> Any:
        try:
            numbers = _CONTRACT_IDS.validate_json(body)
        except ValidationError as error:
            raise BadRequest(f"the body must map symbols to contract ids: {error.errors()[0]['msg']}") from error
        unknown = sorted(numbers.keys() - self._gateway.setup.instruments.keys())
        if unknown:
            raise BadRequest(f"unknown symbols: {', '.join(unknown)}")
        for symbol, con_id in numbers.items():
            self._gateway.exchange.market.renumber(symbol, con_id)
        return {"set": len(numbers)}

    def _set_faults(self, body: bytes) -> Any:
        self._gateway.set_faults(_read(Faults, body))
        return self._gateway.faults.model_dump(mode="json")

    def _announce(self, body: bytes) -> Any:
        notice = _read(Code, body)
        self._gateway.announce(notice.code, notice.text)
        return {"ok": True}

    def _restart(self, body: bytes) -> Any:
        """Answered at once: the gateway restarts behind it."""
        wish = _read(_Restart, body)
        restart = self._gateway.restart(wish.refuse_s, wish.forgotten_ids, second_factor=wish.second_factor)
        self._restarting = asyncio.get_running_loop().create_task(restart)
        return {"ok": True}

    def _answer_login(self, body: bytes) -> Any:
        if not self._gateway.login.answer(_read(_Login, body).answer):
            raise BadRequest("no login waits: restart with second_factor first")
        return {"ok": True}

    def _enter_order(self, body: bytes) -> Any:
        wish = _read(_HandOrder, body)
        known = self._gateway.setup
        if wish.account not in known.accounts or wish.symbol not in known.instruments:
            raise BadRequest(f"unknown account {wish.account} or symbol {wish.symbol}")
        order = self._gateway.exchange.enter(wish.account, wish)
        return {"perm_id": order.perm_id}

    def _pay(self, body: bytes) -> Any:
        wish = _read(_Payment, body)
        unknown = sorted(wish.amounts.keys() - {USD, *self._gateway.setup.currencies})
        if wish.account not in self._gateway.setup.accounts or unknown:
            raise BadRequest(f"unknown account {wish.account} or currency {', '.join(unknown)}")
        payment = Payment(wish.amounts, wish.accrued_interest, wish.accrued_dividends)
        self._gateway.exchange.pay(wish.account, payment)
        return {"ok": True}

    def _set_rates(self, body: bytes) -> Any:
        rates = self._by_name(body, self._gateway.setup.currencies)
        self._gateway.exchange.book.rates.update(rates)
        return {"set": len(rates)}

    def _split(self, body: bytes) -> Any:
        wish = _read(_Split, body)
        if wish.symbol not in self._gateway.setup.instruments:
            raise BadRequest(f"unknown symbol {wish.symbol}")
        self._gateway.exchange.split(wish.symbol, wish.ratio, wish.booked_after_s)
        return {"ok": True}

    def _answer_windows(self, body: bytes) -> Any:
        return {"answered": self._gateway.exchange.windows.answer(send=_read(_Answer, body).send)}

    def _liquidate(self, body: bytes) -> Any:
        wish = _read(_Liquidation, body)
        account = self._gateway.exchange.book.accounts.get(wish.account)
        if account is None or account.held(wish.symbol) < wish.quantity:
            raise BadRequest(f"account {wish.account} does not hold {wish.quantity} {wish.symbol}")
        self._gateway.exchange.liquidate(wish.account, wish.symbol, wish.quantity)
        return {"sold": str(wish.quantity)}

    def _disconnect(self, _body: bytes) -> Any:
        self._gateway.disconnect_all()
        return {"ok": True}


def _read(model: type[M], body: bytes) -> M:
    try:
        return model.model_validate_json(body or b"{}")
    except ValidationError as error:
        first = error.errors()[0]
        raise BadRequest(f"{'.'.join(map(str, first['loc'])) or 'the body'}: {first['msg']}") from error


async def _read_request(reader: asyncio.StreamReader) -> tuple[str, str, bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    parts = head[0].split(" ")
    if len(parts) != 3:
        raise BadRequest("unreadable request line")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
    length = headers.get("content-length", "0")
    if not length.isdigit() or int(length) > _MAX_BODY:
        raise BadRequest("unreadable or excessive content length")
    return parts[0], parts[1].partition("?")[0], await reader.readexactly(int(length))
