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
POST    ``/auction``        ``{}``: hold the closing auction now, whatever the clock says
POST    ``/windows``        ``{"send": true}``: answer the windows; what waited enters the book, or (false) never
POST    ``/liquidations``   ``{"account": "DU..", "symbol": "SPY", "quantity": 10}``: IBKR sells by itself
======  ==================  =======================================================================================
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from contextlib import AbstractAsyncContextManager
from decimal import Decimal
from typing import Annotated, Any, TypeVar

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from rebalancer.domain.loopback import LOOPBACK
from sandbox.gateway.exchange_accounts import DEPOSITS, USD, Payment
from sandbox.gateway.fault_settings import Code, Faults
from sandbox.gateway.fill_rules import Exact, Part, Positive
from sandbox.gateway.login import Answer as LoginAnswer
from sandbox.gateway.scenario import OpenOrder
from sandbox.gateway.server import Gateway
from sandbox.gateway.state import state
from sandbox.serving import serving

_MAX_BODY = 1024 * 1024
_PRICES = TypeAdapter(dict[str, Annotated[Decimal, Field(gt=0)]])
_CONTRACT_IDS = TypeAdapter(dict[str, Annotated[int, Field(gt=0)]])
M = TypeVar("M", bound=BaseModel)
Route = Callable[[Gateway, bytes], Any]


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
    kind: str = DEPOSITS
    symbol: str = ""


class _Split(Part):
    symbol: str
    ratio: Positive
    booked_after_s: Annotated[float, Field(ge=0, le=86_400)] = 0.0
    close_follows: bool = False


class _Answer(Part):
    send: bool = True


class _Liquidation(Part):
    account: str
    symbol: str
    quantity: Positive


class BadRequest(Exception):
    """The request cannot be answered; the text says why."""


def control_port(gateway: Gateway, port: int = 0) -> AbstractAsyncContextManager[tuple[str, int]]:
    """Serve a gateway's control port on the loopback address inside the context; gives the address.

    Args:
        gateway: started.
        port: 0 takes a free one.

    Raises:
        OSError: the port is taken.
    """
    app = web.Application(client_max_size=_MAX_BODY, middlewares=[_tell_errors])
    for (method, path), route in ROUTES.items():
        app.router.add_route(method, path, _handler(gateway, route))
    return serving(app, LOOPBACK, port, shutdown_timeout=1)


def _handler(gateway: Gateway, route: Route) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(request: web.Request) -> web.Response:
        answer = route(gateway, await request.read())
        gateway.keep()
        return web.json_response(answer)

    return handle


@web.middleware
async def _tell_errors(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Every refusal is JSON, and says why."""
    try:
        return await handler(request)
    except BadRequest as error:
        return _error(400, str(error))
    except web.HTTPRequestEntityTooLarge:
        return _error(400, "unreadable or excessive content length")
    except (web.HTTPNotFound, web.HTTPMethodNotAllowed):
        return _error(404, f"no {request.method} {request.path}")


def _error(status: int, text: str) -> web.Response:
    return web.json_response({"error": text}, status=status)


def _set_prices(gateway: Gateway, body: bytes) -> Any:
    prices = _by_name(body, gateway.setup.instruments)
    for symbol, price in prices.items():
        gateway.exchange.set_price(symbol, price)
    return {"set": len(prices)}


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


def _renumber(gateway: Gateway, body: bytes) -> Any:
    try:
        numbers = _CONTRACT_IDS.validate_json(body)
    except ValidationError as error:
        raise BadRequest(f"the body must map symbols to contract ids: {error.errors()[0]['msg']}") from error
    unknown = sorted(numbers.keys() - gateway.setup.instruments.keys())
    if unknown:
        raise BadRequest(f"unknown symbols: {', '.join(unknown)}")
    for symbol, con_id in numbers.items():
        gateway.exchange.market.renumber(symbol, con_id)
    return {"set": len(numbers)}


def _faults(gateway: Gateway, _body: bytes) -> Any:
    return gateway.faults.model_dump(mode="json")


def _set_faults(gateway: Gateway, body: bytes) -> Any:
    gateway.set_faults(_read(Faults, body))
    return _faults(gateway, body)


def _announce(gateway: Gateway, body: bytes) -> Any:
    notice = _read(Code, body)
    gateway.announce(notice.code, notice.text)
    return {"ok": True}


def _restart(gateway: Gateway, body: bytes) -> Any:
    """Answered at once: the gateway restarts behind it."""
    wish = _read(_Restart, body)
    gateway.begin_restart(wish.refuse_s, wish.forgotten_ids, second_factor=wish.second_factor)
    return {"ok": True}


def _answer_login(gateway: Gateway, body: bytes) -> Any:
    if not gateway.login.answer(_read(_Login, body).answer):
        raise BadRequest("no login waits: restart with second_factor first")
    return {"ok": True}


def _enter_order(gateway: Gateway, body: bytes) -> Any:
    wish = _read(_HandOrder, body)
    if wish.account not in gateway.setup.accounts or wish.symbol not in gateway.setup.instruments:
        raise BadRequest(f"unknown account {wish.account} or symbol {wish.symbol}")
    order = gateway.exchange.enter(wish.account, wish)
    return {"perm_id": order.perm_id}


def _pay(gateway: Gateway, body: bytes) -> Any:
    wish = _read(_Payment, body)
    unknown = sorted(wish.amounts.keys() - {USD, *gateway.setup.currencies})
    if wish.account not in gateway.setup.accounts or unknown:
        raise BadRequest(f"unknown account {wish.account} or currency {', '.join(unknown)}")
    payment = Payment(wish.amounts, wish.accrued_interest, wish.accrued_dividends, kind=wish.kind, symbol=wish.symbol)
    gateway.exchange.pay(wish.account, payment)
    return {"ok": True}


def _set_rates(gateway: Gateway, body: bytes) -> Any:
    rates = _by_name(body, gateway.setup.currencies)
    gateway.exchange.book.rates.update(rates)
    return {"set": len(rates)}


def _split(gateway: Gateway, body: bytes) -> Any:
    wish = _read(_Split, body)
    if wish.symbol not in gateway.setup.instruments:
        raise BadRequest(f"unknown symbol {wish.symbol}")
    gateway.exchange.split(wish.symbol, wish.ratio, wish.booked_after_s, close_follows=wish.close_follows)
    return {"ok": True}


def _answer_windows(gateway: Gateway, body: bytes) -> Any:
    return {"answered": gateway.exchange.windows.answer(send=_read(_Answer, body).send)}


def _hold_auction(gateway: Gateway, _body: bytes) -> Any:
    return {"orders": gateway.exchange.hold_auction()}


def _liquidate(gateway: Gateway, body: bytes) -> Any:
    wish = _read(_Liquidation, body)
    account = gateway.exchange.book.accounts.get(wish.account)
    if account is None or account.held(wish.symbol) < wish.quantity:
        raise BadRequest(f"account {wish.account} does not hold {wish.quantity} {wish.symbol}")
    gateway.exchange.liquidate(wish.account, wish.symbol, wish.quantity)
    return {"sold": str(wish.quantity)}


def _disconnect(gateway: Gateway, _body: bytes) -> Any:
    gateway.disconnect_all()
    return {"ok": True}


def _read(model: type[M], body: bytes) -> M:
    try:
        return model.model_validate_json(body or b"{}")
    except ValidationError as error:
        first = error.errors()[0]
        raise BadRequest(f"{'.'.join(map(str, first['loc'])) or 'the body'}: {first['msg']}") from error


ROUTES: dict[tuple[str, str], Route] = {
    ("GET", "/health"): lambda _gateway, _body: {"ok": True},
    ("GET", "/state"): lambda gateway, _body: state(gateway),
    ("POST", "/prices"): _set_prices,
    ("POST", "/contracts"): _renumber,
    ("POST", "/disconnect"): _disconnect,
    ("GET", "/faults"): _faults,
    ("POST", "/faults"): _set_faults,
    ("POST", "/notices"): _announce,
    ("POST", "/restart"): _restart,
    ("POST", "/login"): _answer_login,
    ("POST", "/orders"): _enter_order,
    ("POST", "/cash"): _pay,
    ("POST", "/rates"): _set_rates,
    ("POST", "/splits"): _split,
    ("POST", "/auction"): _hold_auction,
    ("POST", "/windows"): _answer_windows,
    ("POST", "/liquidations"): _liquidate,
}
"""What answers each request: it gets the gateway and the body, and gives what becomes JSON."""
