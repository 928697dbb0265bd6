"""Cancels every open order of one account and proves that none is left.

An order belongs to the API client that sent it: IBKR takes a cancel only from that client id, and only client 0 can
bind an order that a person placed in TWS. A cancel under another client id may hit an unrelated order of the same
number.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from itertools import chain, repeat

import structlog

from rebalancer.domain.errors import GatewayUnavailable, HeldToTheClose, OutcomeUnknown
from rebalancer.domain.order_states import OrderStatus
from rebalancer.domain.orders import OpenOrder
from rebalancer.ibkr import asking
from rebalancer.ibkr.handshake import ClientIdInUse, ConnectionOptions
from rebalancer.ibkr.messages import ErrorMessage, Message, StatusMessage
from rebalancer.ibkr.session import GatewaySession

log = structlog.get_logger()

MANUAL_CLIENT_ID = 0
_CANCELLED = 202
_CONFIRM_S = 2.0
_REFUSALS = 2
"""So often the cancel of an order for the closing auction is refused until that is believed: one proves nothing."""
Identity = tuple[int, int, int]
_RE_ASK_S = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
"""Longest waits for a status message before the list is asked for again; the last one repeats."""


class OwnerConnected(ClientIdInUse):
    """The client that sent an order is connected, so that nobody can cancel the order in its place."""

    def __init__(self, client_id: int, text: str) -> None:
        super().__init__(text)
        self.client_id = client_id


async def cancel_open_orders(
    session: GatewaySession,
    account_id: str,
    timeout_s: float,
    which: Callable[[OpenOrder], bool],
    hopeless: Callable[[OpenOrder], bool],
) -> tuple[OpenOrder, ...]:
    """Cancel what is open, and what is opened meanwhile, until the broker lists nothing. A refused cancel (161) proves
    nothing and is sent again.

    Args:
        which: the orders to cancel; the others are left as they are.
        hopeless: those among them that are cancelled once and may stay: IBKR does not always answer the cancel of an
            Inactive order (ib_insync 363).

    Returns:
        What was cancelled, as it stood before.

    Raises:
        OutcomeUnknown: something is still open after ``timeout_s``.
        HeldToTheClose: what is still open is for the closing auction, and can no longer be cancelled.
        OwnerConnected: its orders cannot be cancelled now.
    """
    cancelled: dict[Identity, OpenOrder] = {}
    refusals: Counter[Identity] = Counter()
    waits = chain(_RE_ASK_S, repeat(_RE_ASK_S[-1]))
    left: tuple[OpenOrder, ...] = ()
    stays: set[Identity] = set()

    async def listed() -> tuple[OpenOrder, ...]:
        chosen = [order for order in await account_orders(session, account_id) if which(order)]
        stays.update(_identity(order) for order in chosen if hopeless(order) and _identity(order) in cancelled)
        return tuple(order for order in chosen if _identity(order) not in stays)

    try:
        async with asyncio.timeout(timeout_s):
            while left := await listed():
                if all(order.on_close and refusals[_identity(order)] >= _REFUSALS for order in left):
                    raise HeldToTheClose(f"held until the close, too late to cancel: {_listing(left)}")
                if all(_identity(order) in cancelled for order in left):
                    await _any_status(session, next(waits))
                    left = await listed()
                cancelled = {_identity(order): order for order in left} | cancelled
                await _try_to_cancel(session, [order for order in left if hopeless(order)])
                refusals += await _cancel(
                    session,
                    [one for one in left if one.status is not OrderStatus.PENDING_CANCEL and not hopeless(one)],
                )
    except TimeoutError as error:
        raise OutcomeUnknown(f"still open {timeout_s:g} s after the cancel: {_listing(left)}") from error
    return tuple(order for identity, order in cancelled.items() if identity not in stays)


async def account_orders(session: GatewaySession, account_id: str) -> tuple[OpenOrder, ...]:
    """Open orders of one account, of all clients and people."""
    return tuple(order for order in await asking.open_orders(session) if order.account_id == account_id)


def _identity(order: OpenOrder) -> Identity:
    return (order.perm_id, 0, 0) if order.perm_id else (0, order.client_id, order.order_id)


def _owner(order: OpenOrder) -> int:
    return MANUAL_CLIENT_ID if order.order_id <= 0 else order.client_id


def _listing(orders: Iterable[OpenOrder]) -> str:
    return "; ".join(
        f"{order.side} {order.quantity} {order.symbol} ({order.status}, client {order.client_id}, "
        f"order {order.order_id}, perm id {order.perm_id})"
        for order in orders
    )


async def _cancel(session: GatewaySession, orders: list[OpenOrder]) -> Counter[Identity]:
    """Each as its owner; those whose cancel the broker refused."""
    owners: dict[int, list[OpenOrder]] = {}
    for order in orders:
        owners.setdefault(_owner(order), []).append(order)
    own = owners.pop(session.client_id, [])
    outcomes = await asyncio.gather(
        _cancel_own(session, own),
        *(_cancel_as(session.options, owner, theirs) for owner, theirs in owners.items()),
        return_exceptions=True,
    )
    refused: Counter[Identity] = Counter()
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
        refused.update(outcome)
    return refused


async def _try_to_cancel(session: GatewaySession, orders: list[OpenOrder]) -> None:
    """Orders that are in nobody's way; their owner may be busy elsewhere."""
    try:
        await _cancel(session, orders)
    except GatewayUnavailable as busy:
        log.warning("idle_orders_not_cancelled", orders=_listing(orders), because=str(busy))


async def _cancel_as(options: ConnectionOptions, client_id: int, orders: list[OpenOrder]) -> list[Identity]:
    """Through a short session of the owner; client 0 binds hand-placed orders by connecting."""
    try:
        session = await GatewaySession.open(options, client_id)
    except ClientIdInUse as taken:
        raise OwnerConnected(client_id, str(taken)) from taken
    try:
        return await session.guard(_cancel_listed(session, orders))
    finally:
        await session.close()


async def _cancel_listed(session: GatewaySession, orders: list[OpenOrder]) -> list[Identity]:
    """Order ids as the owner sees them: binding gives a hand-placed order a new one."""
    wanted = {(_identity(order), order.account_id) for order in orders}
    listed = await asking.open_orders(session, own_only=True)
    return await _cancel_own(session, [one for one in listed if (_identity(one), one.account_id) in wanted])


async def _cancel_own(session: GatewaySession, orders: list[OpenOrder]) -> list[Identity]:
    """Send the cancels and wait until each order has a final status or the broker refuses to cancel it.

    No status at all within ``_CONFIRM_S`` is no error: the list of open orders decides.

    Returns:
        Those whose cancel was refused.
    """
    waiting = {order.order_id for order in orders}
    refused: set[int] = set()
    if not waiting:
        return []
    decided: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def on_message(message: Message) -> None:
        if isinstance(message, StatusMessage) and message.client_id == session.client_id and message.status.final:
            waiting.discard(message.order_id)
        elif isinstance(message, ErrorMessage) and message.code != _CANCELLED:
            refused.add(message.request_id)
            waiting.discard(message.request_id)
        if not waiting and not decided.done():
            decided.set_result(None)

    with session.ib.listener(on_message):
        for order in orders:
            session.ib.protocol.cancelOrder(order.order_id, "")
        await asyncio.wait((decided,), timeout=_CONFIRM_S)
    return [_identity(order) for order in orders if order.order_id in refused]


async def _any_status(session: GatewaySession, timeout_s: float) -> None:
    """Until the broker says something of any order, at most ``timeout_s``."""
    heard: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def on_message(message: Message) -> None:
        if isinstance(message, StatusMessage) and not heard.done():
            heard.set_result(None)

    with session.ib.listener(on_message):
        await asyncio.wait((heard,), timeout=timeout_s)
