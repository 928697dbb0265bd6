"""One client's orders: its requests, and what it hears of them."""

from __future__ import annotations

from datetime import datetime

from sandbox.gateway import messages, order_messages, requests
from sandbox.gateway.behaviour import Behaviour
from sandbox.gateway.checks import Refusal
from sandbox.gateway.client import Client, Handlers
from sandbox.gateway.exchange_events import Commissioned, Event, Executed, Execution, Order, OrderChanged, OrderNotice
from sandbox.gateway.hours import ZONE
from sandbox.gateway.timekeeping import moment

_LIVE = -1


class OrderEntry:
    """Takes orders for the exchange and tells the client of its own."""

    def __init__(self, client: Client, behaviour: Behaviour) -> None:
        self._client = client
        self._behaviour = behaviour
        self._exchange = client.exchange
        self._is_master = client.client_id == client.exchange.setup.gateway.master_client_id
        self._binds = False

    def handlers(self) -> Handlers:
        """Requests served here."""
        return {
            requests.NextIds: self._next_ids,
            requests.PlaceOrder: self._place,
            requests.CancelOrder: lambda request: self._exchange.cancel(self._client.client_id, request.order_id),
            requests.GlobalCancel: lambda _request: self._exchange.cancel_all(),
            requests.OpenOrders: self._open_orders,
            requests.AllOpenOrders: self._all_open_orders,
            requests.AutoOpenOrders: self._auto_open_orders,
            requests.CompletedOrders: self._completed_orders,
            requests.Executions: self._executions,
        }

    def begin(self) -> None:
        """Real gateways push a client's own open orders before they name the accounts."""
        if not self._exchange.life.orderly and self._own_orders():
            self._send_own_orders()

    def hear(self, event: Event) -> None:
        """Pass on what concerns the client's orders."""
        match event:
            case OrderNotice():
                if event.client_id == self._client.client_id:
                    self._client.error(event.order_id, event.code, event.text)
            case OrderChanged():
                if self._concerns(event.order):
                    self._send_order(event.order, with_order=event.with_order, with_commission=event.with_commission)
            case Executed():
                if event.execution.order.liquidation or self._concerns(event.execution.order):
                    self._send_execution(_LIVE, event.execution)
            case Commissioned():
                if self._concerns(event.execution.order):
                    self._client.send(messages.commission(event.execution))
            case _:
                pass

    def _concerns(self, order: Order) -> bool:
        """Own orders; client 0 also hears of those by hand once they are bound; the master client hears of all."""
        mine = order.client_id == self._client.client_id and (not order.by_hand or order.order_id < 0)
        return mine or self._is_master

    def _next_ids(self, _request: requests.NextIds) -> None:
        self._client.send(messages.next_valid_id(self._exchange.book.next_order_id(self._client.client_id)))

    def _place(self, request: requests.PlaceOrder) -> None:
        if not request.ticket.what_if:
            self._exchange.place(self._client.client_id, request.order_id, request.ticket)
            return
        answer = self._exchange.preview(self._client.client_id, request.order_id, request.ticket)
        if isinstance(answer, Refusal):
            self._client.error(request.order_id, answer.code, answer.text)
            return
        listing = self._exchange.market.listing(answer.order.symbol)
        if self._behaviour.margins_late():
            late = order_messages.OrderState(what_if=True)
            self._client.send(order_messages.open_order(self._client.version, listing, answer.order, late))
        self._client.send(order_messages.what_if(self._client.version, listing, answer))

    def _open_orders(self, _request: requests.OpenOrders) -> None:
        if self._client.client_id == 0:
            self._bind_all()
        self._send_own_orders()

    def _own_orders(self) -> list[Order]:
        return [one for one in self._exchange.book.open_orders() if one.client_id == self._client.client_id]

    def _send_own_orders(self) -> None:
        for order in self._own_orders():
            self._send_order(order)
        self._client.send(messages.open_orders_end())

    def _all_open_orders(self, _request: requests.AllOpenOrders) -> None:
        for order in self._exchange.book.open_orders():
            self._send_order(order)
        self._client.send(messages.open_orders_end())

    def _auto_open_orders(self, request: requests.AutoOpenOrders) -> None:
        if self._client.client_id != 0:
            self._client.error(-1, 321, "Error validating request: only client 0 can bind orders automatically")
        elif request.bind:
            self._bind_all()

    def _bind_all(self) -> None:
        for order in self._exchange.book.open_orders():
            if order.by_hand and not order.order_id:
                self._client.send(messages.order_bound(self._exchange.book.bind(order.perm_id)))

    def _completed_orders(self, request: requests.CompletedOrders) -> None:
        time = self._exchange.time
        today = time.day(self._exchange.clock())
        for order in self._exchange.book.orders.values():
            unlisted = order.rejected and not self._exchange.life.orderly
            unwanted = request.api_only and order.by_hand
            if order.ended_at and time.day(order.ended_at) == today and not (unlisted or unwanted):
                self._send_completed(order, order.ended_at)
        self._client.send(messages.completed_orders_end())

    def _send_completed(self, order: Order, ended_at: datetime) -> None:
        listing = self._exchange.market.listing(order.symbol)
        omits, stamp = self._exchange.setup.gateway.completed_order_omits, self._exchange.time.stamp(ended_at)
        self._client.send(order_messages.completed_order(self._client.version, listing, order, stamp, omits))

    def _executions(self, request: requests.Executions) -> None:
        since = moment(request.since, self._exchange.clock(), ZONE)
        if request.since and since is None:
            text = f"Error validating request: unreadable time {request.since!r}"
            self._client.error(request.request_id, 320, text)
            return
        market, his = self._exchange.market, self._exchange.book.executions_of(request.account)
        today = self._exchange.time.day(self._exchange.clock())
        of_today = [one for one in his if self._exchange.time.day(one.at) == today]
        at = None if since is None else since.at
        asked = [one for one in of_today if _matches(request, at, one, market.listing(one.order.symbol).ticker)]
        for execution in self._behaviour.listed(asked):
            self._send_execution(request.request_id, execution)
            self._client.send(messages.commission(execution))
        self._client.send(messages.end_of(55, request.request_id))

    def _send_order(self, order: Order, *, with_order: bool = True, with_commission: bool = False) -> None:
        listing = self._exchange.market.listing(order.symbol)
        if with_order:
            currency = self._exchange.book.fee_currency(order)
            state = order_messages.OrderState(commission=str(order.commission), currency=currency)
            told = state if with_commission else None
            self._client.send(order_messages.open_order(self._client.version, listing, order, told))
        self._client.send(messages.order_status(order))

    def _send_execution(self, request_id: int, execution: Execution) -> None:
        listing = self._exchange.market.listing(execution.order.symbol)
        stamp = self._exchange.time.stamp(execution.at)
        self._client.send(messages.execution(self._client.version, request_id, listing, execution, stamp))


def _matches(request: requests.Executions, since: datetime | None, execution: Execution, ticker: str) -> bool:
    order = execution.order
    wanted = (
        (request.client_id, order.client_id),
        (request.symbol.upper(), ticker),
        (request.security_type, "STK"),
        (request.side.upper(), order.side),
    )
    return all(not wish or wish == found for wish, found in wanted) and (since is None or execution.at >= since)
