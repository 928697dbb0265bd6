"""A simulated gateway in a thread of its own, and a broker that speaks to it over a real socket."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

from rebalancer.domain.orders import OrderRequest, OrderUpdate
from rebalancer.domain.portfolio import OrderType, Side, TimeInForce
from rebalancer.ibkr import BrokerOptions, Connection, ConnectionOptions, FixedClientId, IbkrBroker
from sandbox.gateway.behaviour import Admission, Behaviour, Delivery, Incoming
from sandbox.gateway.checks import Refusal
from sandbox.gateway.exchange_events import Order
from sandbox.gateway.market import Quote
from sandbox.gateway.scenario import Scenario
from sandbox.gateway.server import Gateway
from sandbox.gateway.wire import Message

T = TypeVar("T")

SYMBOLS = ("SPY", "VXX", "GLD", "TLT", "QQQ", "IWM", "EFA", "DBC")
CON_IDS = {symbol: 1000 + number for number, symbol in enumerate(SYMBOLS)}
SETUP: dict[str, Any] = {
    "instruments": {symbol: {"con_id": CON_IDS[symbol], "name": symbol, "price": 100} for symbol in SYMBOLS},
    "accounts": {
        "DU1": {"cash": 100_000, "positions": {"SPY": 50, "GLD": "7.5"}},
        "DU2": {"cash": 50_000},
    },
}


@dataclass
class Script(Behaviour):
    """A gateway that does what a test assigns, changeable while it runs.

    Attributes:
        requests: what becomes of requests, by message id.
        change: what is sent instead of a message to a client.
        show: what is shown instead of a quote.
    """

    greeting: Admission = Admission.WELCOME
    taken: set[int] = field(default_factory=set)
    requests: dict[int, Incoming] = field(default_factory=dict)
    change: Callable[[Message], Iterable[Delivery]] = lambda message: (Delivery(message),)
    reject: Refusal | None = None
    remarks: Sequence[Refusal] = ()
    refuse_cancel: Refusal | None = None
    show: Callable[[Quote], Quote | None] = lambda quote: quote

    def admission(self) -> Admission:
        return self.greeting

    def client_id_taken(self, client_id: int) -> bool:
        return client_id in self.taken

    def incoming(self, client_id: int, message_id: int) -> Incoming:
        del client_id
        return self.requests.get(message_id, Incoming.HANDLE)

    def outgoing(self, client_id: int, message: Message) -> Iterable[Delivery]:
        del client_id
        return self.change(message)

    def refusal(self, order: Order) -> Refusal | None:
        del order
        return self.reject

    def notices(self, order: Order) -> Sequence[Refusal]:
        del order
        return self.remarks

    def cancel_refusal(self, order: Order) -> Refusal | None:
        del order
        return self.refuse_cancel

    def quote(self, quote: Quote) -> Quote | None:
        return self.show(quote)


class ServedGateway:
    """Gives a test's thread safe access to a gateway on another thread's loop."""

    def __init__(self, setup: dict[str, Any], behaviour: Behaviour | None, login_log: Path | None = None) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()
        self.gateway = Gateway(Scenario.model_validate(setup), behaviour=behaviour, login_log=login_log)
        asyncio.run_coroutine_threadsafe(self.gateway.start(), self.loop).result(10)

    @property
    def port(self) -> int:
        """Where it listens."""
        return self.gateway.address[1]

    def do(self, action: Callable[[Gateway], T]) -> T:
        """Run ``action`` on the gateway's own thread."""

        async def work() -> T:
            return action(self.gateway)

        return asyncio.run_coroutine_threadsafe(work(), self.loop).result(10)

    def stop(self) -> None:
        """Stop the gateway and its thread."""
        asyncio.run_coroutine_threadsafe(self.gateway.stop(), self.loop).result(10)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)
        self.loop.close()


@contextmanager
def serving(
    behaviour: Behaviour | None = None, login_log: Path | None = None, **overrides: Any
) -> Iterator[ServedGateway]:
    """A gateway with the accounts DU1 (50 SPY, 7.5 GLD, 100000 USD) and DU2 (50000 USD); instant fills at about 100.
    Orders live as the documents say, unless ``overrides`` tell otherwise.
    """
    orders = {"life": "orderly", **overrides.pop("orders", {})}
    served = ServedGateway({**SETUP, "orders": orders, **overrides}, behaviour, login_log)
    try:
        yield served
    finally:
        served.stop()


@contextmanager
def connected(
    served: ServedGateway, client_id: int = 7, options: BrokerOptions | None = None, **connection: Any
) -> Iterator[IbkrBroker]:
    """A broker under ``client_id``; nothing is connected before its first use."""
    link = Connection(ConnectionOptions("127.0.0.1", served.port, **connection), FixedClientId(client_id))
    try:
        yield IbkrBroker(link, options)
    finally:
        link.close()


def executing(broker: IbkrBroker, orders: Sequence[OrderRequest], timeout_s: float) -> Iterator[OrderUpdate]:
    """The updates one by one; nothing objects to an order."""
    for batch in broker.execute(orders, timeout_s, lambda: None):
        yield from batch


def order(ref: str, symbol: str = "SPY", side: Side = Side.BUY, quantity: int = 10, **fields: Any) -> OrderRequest:
    """A DAY market order of account DU1, unless ``fields`` say otherwise."""
    values = {
        "account_id": "DU1",
        "contract_id": CON_IDS[symbol],
        "order_type": OrderType.MARKET,
        "time_in_force": TimeInForce.DAY,
        **fields,
    }
    return OrderRequest(order_ref=ref, symbol=symbol, side=side, quantity=quantity, **values)


def limit(ref: str, price: str = "50", **fields: Any) -> OrderRequest:
    """A buy order far below the market, which stays open."""
    return order(ref, order_type=OrderType.LIMIT, limit_price=Decimal(price), **fields)


def until(condition: Callable[[], bool], deadline_s: float = 5.0) -> None:
    """Wait for a condition that another thread brings about."""
    end = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < end, "the condition did not come true in time"
        threading.Event().wait(0.005)


def burst(broker: IbkrBroker, number: int) -> None:
    """Queue ordinary messages; on the loop's thread."""
    session = broker._connection._session
    assert session is not None
    for _ in range(number):
        session.ib.protocol.reqIds(1)
