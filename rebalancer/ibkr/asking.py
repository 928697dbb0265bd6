"""The questions that the broker is asked over a session; each answer is new, none comes from a cache."""

from __future__ import annotations

import asyncio

from ib_async import ExecutionFilter, Position

from rebalancer.errors import GatewayUnavailable
from rebalancer.ibkr.frames import POSITION
from rebalancer.ibkr.messages import (
    AccountValueMessage,
    CompletedOrderMessage,
    ExecutionMessage,
    Message,
    OpenOrderMessage,
    StatusMessage,
    UnreadableMessage,
)
from rebalancer.ibkr.open_book import OpenBook
from rebalancer.ibkr.session import Session
from rebalancer.orders import OpenOrder

AccountValues = dict[tuple[str, str], str]


async def positions(session: Session) -> list[Position]:
    """Every holding of the login; of several rows for one contract the last counts.

    Raises:
        GatewayUnavailable: a row could not be read, so that something would seem not to be held.
    """
    unreadable: list[Message] = []

    def on_message(message: Message) -> None:
        if isinstance(message, UnreadableMessage) and message.number in {0, POSITION}:
            unreadable.append(message)

    with session.ib.listener(on_message):
        rows = await session.exclusive("positions", session.ib.reqPositionsAsync)
    if unreadable:
        raise GatewayUnavailable("a row of the positions list cannot be read")
    latest = {(row.account, row.contract.conId): row for row in rows}
    return [row for row in latest.values() if row.position]


async def account_values(session: Session, account_id: str) -> AccountValues:
    """(tag, currency) -> text of one account.

    Raises:
        GatewayUnavailable: the gateway did not send the end of the list.
    """
    values: AccountValues = {}
    ib = session.ib
    request_id = ib.client.getReqId()

    def on_message(message: Message) -> None:
        if isinstance(message, AccountValueMessage) and message.request_id == request_id and not message.model_code:
            values[message.tag, message.currency] = message.value

    with ib.listener(on_message):
        ended = ib.start_request(request_id)
        ib.protocol.reqAccountUpdatesMulti(request_id, account_id, "", False)
        try:
            async with asyncio.timeout(session.options.request_timeout_s):
                await ended
        except TimeoutError as error:
            raise GatewayUnavailable(session.silence("account values")) from error
        finally:
            if session.alive:
                ib.protocol.cancelAccountUpdatesMulti(request_id)
    return values


async def open_orders(session: Session, *, own_only: bool = False) -> tuple[OpenOrder, ...]:
    """Orders that may still fill: of all clients and of people in TWS, or of this client alone."""
    book = OpenBook()

    def on_message(message: Message) -> None:
        if isinstance(message, OpenOrderMessage | StatusMessage):
            book.add(message)

    with session.ib.listener(on_message):
        ask = session.ib.reqOpenOrdersAsync if own_only else session.ib.reqAllOpenOrdersAsync
        await session.exclusive("open orders", ask)
    return book.open_orders()


async def completed_orders(session: Session) -> list[CompletedOrderMessage]:
    """Orders that ended, as far back as the gateway remembers."""
    completed: list[CompletedOrderMessage] = []

    def on_message(message: Message) -> None:
        if isinstance(message, CompletedOrderMessage):
            completed.append(message)

    with session.ib.listener(on_message):
        await session.exclusive("completed orders", lambda: session.ib.reqCompletedOrdersAsync(False))
    return completed


async def executions(session: Session, account_id: str) -> list[ExecutionMessage]:
    """Today's executions of one account; their commissions arrive in ``session.commissions``."""
    heard: list[ExecutionMessage] = []

    def on_message(message: Message) -> None:
        if isinstance(message, ExecutionMessage) and message.fill.account_id in {account_id, ""}:
            heard.append(message)

    with session.ib.listener(on_message):
        try:
            async with asyncio.timeout(session.options.request_timeout_s):
                await session.ib.reqExecutionsAsync(ExecutionFilter(acctCode=account_id))
        except TimeoutError as error:
            raise GatewayUnavailable(session.silence("executions")) from error
    return heard
