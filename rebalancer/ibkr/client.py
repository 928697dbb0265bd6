"""ib_async's client with three changes: every message becomes a frozen value for listeners, orders overtake other
requests, and ticks go to the request that they answer.

ib_async folds what the broker said and what it infers itself into one order status (an error makes a live order
"Cancelled", its issues 191 and 217), drops commissions that arrive before their execution, and hands out old prices
after a failed quote request (issue 223). Its callback class is the TWS API's documented place to listen, so that is
where we do, and its books of orders, fills and tickers stay empty.
"""

# ruff: noqa: N802, N803 - the callbacks' and arguments' names and number are the TWS API's
# ib_async leaves its message layer without annotations; this module is the boundary.
# mypy: allow-untyped-calls

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Protocol

import ib_async
from ib_async.client import Client
from ib_async.connection import Connection
from ib_async.decoder import Decoder
from ib_async.wrapper import Wrapper

from rebalancer.ibkr import frames, mapping
from rebalancer.ibkr.decoding import ReadingDecoder
from rebalancer.ibkr.messages import (
    ErrorMessage,
    MarketRuleMessage,
    Message,
    OpenOrderMessage,
    WhatIfMessage,
)
from rebalancer.ibkr.pacing import Pacer
from rebalancer.ibkr.times import GatewayTime, connection_time

Listener = Callable[[Message], None]
ValueSink = Callable[[str, str, str, str], None]
"""Receives the account values of one request: account id, tag, value, currency."""

READ_AT_ONCE = 16 * 1024
"""Bytes. asyncio reads 256 KiB of a long list at once: what is allocated after a buffer of that size keeps its memory
from the system.
"""
ORDER_RESERVE = 8
"""Messages of each second that only orders may use."""


class TickSink(Protocol):
    """Receives the ticks of one market-data request."""

    def price_tick(self, tick_type: int, price: float, size: float) -> None:
        """A tickPrice message."""

    def size_tick(self, tick_type: int, size: float) -> None:
        """A tickSize message."""

    def halted(self, value: float) -> None:
        """Tick 49: 0 trading, above 0 halted."""

    def data_type(self, number: int) -> None:
        """A marketDataType message."""


class ListeningWrapper(Wrapper):
    """Passes each message on as a frozen value; requests still end the way ib_async ends them."""

    def __init__(self, ib: ib_async.IB) -> None:
        self._listeners: list[tuple[Listener, frozenset[type[Message]]]] = []
        self._by_kind: dict[type[Message], tuple[Listener, ...]] = {}
        self.value_sinks: dict[int, ValueSink] = {}
        self.gateway_time = GatewayTime()
        self.tick_sinks: dict[int, TickSink] = {}
        super().__init__(ib)

    def hear(self, listener: Listener, *kinds: type[Message]) -> None:
        """From now on ``listener`` hears messages of these kinds, or all."""
        self._listeners.append((listener, frozenset(kinds)))
        self._by_kind.clear()

    def leave(self, listener: Listener) -> None:
        """It hears nothing more."""
        self._listeners = [one for one in self._listeners if one[0] != listener]
        self._by_kind.clear()

    def say(self, message: Message) -> None:
        """Let every listener hear a message."""
        kind = type(message)
        hearing = self._by_kind.get(kind)
        if hearing is None:
            hearing = tuple(listener for listener, kinds in self._listeners if not kinds or kind in kinds)
            self._by_kind[kind] = hearing
        for listener in hearing:
            listener(message)

    def account_value(self, request_id: int, account_id: str, tag: str, value: str, currency: str) -> None:
        """A value of an account, to whoever asked for it; most are pushed by subscriptions that nobody reads."""
        if sink := self.value_sinks.get(request_id):
            sink(account_id, tag, value, currency)

    def openOrder(
        self, orderId: int, contract: ib_async.Contract, order: ib_async.Order, orderState: ib_async.OrderState
    ) -> None:
        # Ids must exceed every id ever seen, or the order is refused as a duplicate (103).
        self.ib.client.updateReqId(orderId + 1)
        if order.whatIf:
            self.say(WhatIfMessage(orderId, mapping.margin_change(orderState)))
        else:
            self.say(OpenOrderMessage(datetime.now(UTC), mapping.open_order(orderId, contract, order, orderState)))

    def marketRule(self, marketRuleId: int, priceIncrements: list[ib_async.PriceIncrement]) -> None:
        self.say(MarketRuleMessage(marketRuleId, mapping.price_steps(priceIncrements)))

    def updateAccountValue(self, tag: str, val: str, currency: str, account: str) -> None:
        """Nothing: whoever asks for marks gets the account's values beside them."""

    def positionMultiEnd(self, reqId: int) -> None:
        self._endReq(reqId)

    def accountSummary(self, _reqId: int, account: str, tag: str, value: str, currency: str) -> None:
        self.account_value(_reqId, account, tag, value, currency)

    def error(self, reqId: int, errorCode: int, errorString: str, advancedOrderRejectJson: str) -> None:
        super().error(reqId, errorCode, errorString, advancedOrderRejectJson)
        self.say(ErrorMessage(datetime.now(UTC), reqId, errorCode, errorString))

    def nextValidId(self, reqId: int) -> None:
        """Answer to reqIds, asked for after a duplicate order id (103)."""
        self.ib.client.updateReqId(reqId)

    def priceSizeTick(self, reqId: int, tickType: int, price: float, size: float) -> None:
        if sink := self.tick_sinks.get(reqId):
            sink.price_tick(tickType, price, size)

    def tickSize(self, reqId: int, tickType: int, size: float) -> None:
        if sink := self.tick_sinks.get(reqId):
            sink.size_tick(tickType, size)

    def tickGeneric(self, reqId: int, tickType: int, value: float) -> None:
        if tickType == 49 and (sink := self.tick_sinks.get(reqId)):
            sink.halted(value)

    def marketDataType(self, reqId: int, marketDataId: int) -> None:
        if sink := self.tick_sinks.get(reqId):
            sink.data_type(marketDataId)


class SmallReads(Connection):
    """ib_async's socket, read in small parts."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Each transport of a selector's loop has this number; others would ignore it."""
        transport.max_size = READ_AT_ONCE  # type: ignore[attr-defined]  # asyncio does not document it


def forget(decoder: Decoder) -> None:
    """It reads nothing more. Its hundred handlers hold it and it holds them: every turn would leave such a circle,
    until Python looks for them, which it does the later the more a process has.
    """
    decoder.handlers.clear()


class PacedClient(Client):
    """Sends orders, cancels and heartbeats before whatever else waits for its turn.

    Attributes:
        ended_orders_of: accounts whose ended orders are asked for; empty: all.
    """

    def __init__(self, wrapper: ListeningWrapper, messages_per_s: int) -> None:
        self._messages_per_s = messages_per_s
        self._urgent = False
        self._flushing: asyncio.Handle | None = None
        self.ended_orders_of: frozenset[bytes] = frozenset()
        super().__init__(wrapper)
        self.conn = SmallReads()
        self.conn.hasData += self._onSocketHasData
        self.conn.disconnected += self._onSocketDisconnected
        forget(self.decoder)
        self.decoder = ReadingDecoder(wrapper, wrapper.say, wrapper.gateway_time, wrapper.account_value)
        self._time = wrapper.gateway_time

    def _onSocketHasData(self, data: bytes) -> None:
        """ib_async drops the connection time, which alone names the gateway's zone. After the handshake messages are
        read here: it copies what is behind each of them, and takes the rows of all other accounts apart.
        """
        if not self._serverVersion and (told := connection_time(self._data + data)):
            self._time.greeted(told, datetime.now(UTC))
        if not self._apiReady:
            super()._onSocketHasData(data)
            return
        messages, self._data = frames.whole_messages(self._data + data)
        for message in messages:
            if not (self.ended_orders_of and frames.ended_order_of_another(message, self.ended_orders_of)):
                self.decoder.interpret(frames.fields_of(message))

    def reset(self) -> None:
        super().reset()
        self._pacer = Pacer(self._messages_per_s, min(ORDER_RESERVE, self._messages_per_s - 1))
        self._schedule(None)

    async def room_for_order(self) -> None:
        """Wait until :meth:`placeOrder` writes at once: an order that waits here could leave after its time."""
        loop = asyncio.get_running_loop()
        self._flush()
        while (wait_s := self._pacer.urgent_at(loop.time()) - loop.time()) > 0:
            await asyncio.wait((loop.create_future(),), timeout=wait_s)
            self._flush()

    def placeOrder(self, orderId: int, contract: ib_async.Contract, order: ib_async.Order) -> None:
        """Right after :meth:`room_for_order` it is written before this returns."""
        with self._priority():
            super().placeOrder(orderId, contract, order)
        self._flush()

    def cancelOrder(self, orderId: int, manualCancelOrderTime: str = "") -> None:
        with self._priority():
            super().cancelOrder(orderId, manualCancelOrderTime)

    def reqCurrentTime(self) -> None:
        """A heartbeat that waits behind a hundred requests would declare a living gateway dead."""
        with self._priority():
            super().reqCurrentTime()

    def sendMsg(self, msg: str) -> None:
        """Queue one message; all that one turn of the loop produces leaves in one write."""
        self._pacer.add(msg, urgent=self._urgent)
        if self._flushing is None or isinstance(self._flushing, asyncio.TimerHandle):
            self._schedule(asyncio.get_running_loop().call_soon(self._flush))

    @contextmanager
    def _priority(self) -> Iterator[None]:
        self._urgent = True
        try:
            yield
        finally:
            self._urgent = False

    def _schedule(self, flushing: asyncio.Handle | None) -> None:
        if self._flushing is not None:
            self._flushing.cancel()
        self._flushing = flushing

    def _flush(self) -> None:
        loop = asyncio.get_running_loop()
        due = self._pacer.due(loop.time())
        if due:
            self.conn.sendMsg(b"".join(self._prefix(message.encode()) for message in due))
        next_at = self._pacer.next_at()
        self._schedule(None if next_at is None else loop.call_at(next_at, self._flush))


class GatewayClient(ib_async.IB):
    """One client of the gateway; every use happens on its event loop's thread."""

    RaiseRequestErrors = True

    def __init__(self, messages_per_s: int) -> None:
        super().__init__()
        self.client.apiEnd -= self.disconnectedEvent
        forget(self.client.decoder)
        self.listening = ListeningWrapper(self)
        self.wrapper = self.listening
        self.client = PacedClient(self.listening, messages_per_s)
        self.client.apiEnd += self.disconnectedEvent

    def __del__(self) -> None:
        """Do nothing: a copy inherited over a fork would shut the parent's socket down. Sessions close explicitly."""

    def _onError(self, reqId: int, errorCode: int, errorString: str, contract: Any) -> None:
        """Do nothing: after 1102 the base class would open one more of the two account summaries allowed."""

    def start_request(self, request_id: int) -> asyncio.Future[Any]:
        """A future that ends with the request of that id."""
        future: asyncio.Future[Any] = self.wrapper.startReq(request_id)
        return future

    @property
    def protocol(self) -> Any:
        """The message layer, which ib_async does not annotate."""
        return self.client

    @contextmanager
    def ended_orders_of(self, accounts: Collection[str]) -> Iterator[None]:
        """Within the block only ended orders of these accounts are read, and those that name none."""
        self.protocol.ended_orders_of = frozenset(account.encode() for account in accounts)
        try:
            yield
        finally:
            self.protocol.ended_orders_of = frozenset()

    @contextmanager
    def listener(self, listener: Listener, *kinds: type[Message]) -> Iterator[None]:
        """Let ``listener`` hear every message of these kinds, or of all, within the block."""
        self.listening.hear(listener, *kinds)
        try:
            yield
        finally:
            self.listening.leave(listener)
