"""The questions that the broker is asked over a session; each answer is new, none comes from a cache."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection

from ib_async import ExecutionFilter
from ib_async.wrapper import RequestError

from rebalancer.domain.errors import GatewayUnavailable
from rebalancer.domain.orders import OpenOrder, PriceStep
from rebalancer.domain.portfolio import Position
from rebalancer.domain.units import Usd
from rebalancer.ibkr.account_keys import AccountValues
from rebalancer.ibkr.client import ValueSink
from rebalancer.ibkr.frames import POSITION
from rebalancer.ibkr.mapping import CURRENCY
from rebalancer.ibkr.messages import (
    CompletedOrderRow,
    ExecutionMessage,
    MarketRuleMessage,
    MarkMessage,
    Message,
    OpenOrderMessage,
    PositionMessage,
    StatusMessage,
    UnreadableMessage,
)
from rebalancer.ibkr.open_book import OpenBook
from rebalancer.ibkr.session import GatewaySession

TOO_MANY_SUMMARIES = 322
_SUMMARY_PAUSE_S = 0.25


async def positions_of_login(session: GatewaySession, account_id: str) -> list[Position]:
    """Every holding of the account, out of the list of the whole login. Of several rows for one contract the last
    counts.

    Raises:
        GatewayUnavailable: a row could not be read, so that something would seem not to be held.
    """
    unreadable: list[Message] = []
    latest: dict[int, Position] = {}

    def on_message(message: Message) -> None:
        if isinstance(message, UnreadableMessage) and message.number in {0, POSITION}:
            unreadable.append(message)
        elif isinstance(message, PositionMessage) and message.account_id == account_id:
            latest[message.position.contract_id] = message.position

    with session.ib.listener(on_message, UnreadableMessage, PositionMessage):
        await session.exclusive("positions", session.ib.reqPositionsAsync)
    session.ib.protocol.cancelPositions()
    if unreadable:
        raise GatewayUnavailable("a row of the positions list cannot be read")
    return [held for held in latest.values() if held.quantity]


async def marks(session: GatewaySession, account_id: str) -> dict[int, Usd]:
    """What the broker values each holding of the account in USD at, by contract id.

    Raises:
        GatewayUnavailable: the gateway did not send the end of the list.
    """
    found: dict[int, Usd] = {}

    def on_message(message: Message) -> None:
        if isinstance(message, MarkMessage) and (message.account_id, message.currency) == (account_id, CURRENCY):
            found[message.contract_id] = Usd(message.value)

    with session.ib.listener(on_message, MarkMessage):
        await session.exclusive("portfolio", lambda: session.ib.reqAccountUpdatesAsync(account_id))
    session.ib.protocol.reqAccountUpdates(False, account_id)
    return found


async def standing_positions(session: GatewaySession, account_id: str, request_id: int) -> None:
    """Subscribe to the positions of one account until :func:`end_positions` or the connection's end; returns after the
    first whole list.

    Raises:
        GatewayUnavailable: the gateway did not send the end of the list.
    """

    def ask() -> None:
        session.ib.protocol.reqPositionsMulti(request_id, account_id, "")

    await _listed(session, request_id, ask, "positions")


async def standing_values(session: GatewaySession, account_id: str, request_id: int) -> None:
    """Likewise the values of one account, under the keys of the update stream.

    Raises:
        GatewayUnavailable: the gateway did not send the end of the list.
    """

    def ask() -> None:
        session.ib.protocol.reqAccountUpdatesMulti(request_id, account_id, "", False)

    await _listed(session, request_id, ask, "account values")


async def _listed(session: GatewaySession, request_id: int, ask: Callable[[], None], what: str) -> None:
    try:
        async with asyncio.timeout(session.options.request_timeout_s):
            ended = session.ib.start_request(request_id)
            ask()
            await ended
    except TimeoutError as error:
        raise GatewayUnavailable(session.silence(what)) from error


def end_positions(session: GatewaySession, request_id: int) -> None:
    """Nothing of that list is pushed any more."""
    _end(session, session.ib.protocol.cancelPositionsMulti, request_id)


def end_values(session: GatewaySession, request_id: int) -> None:
    """Likewise."""
    _end(session, session.ib.protocol.cancelAccountUpdatesMulti, request_id)


async def account_summary(session: GatewaySession, account_id: str, tags: Collection[str]) -> AccountValues:
    """Those values of one account that only the account summary has.

    Raises:
        GatewayUnavailable: no answer, or others held both of the summaries that IBKR allows at a time.
    """
    protocol, refused = session.ib.protocol, False

    def ask(request_id: int) -> None:
        protocol.reqAccountSummary(request_id, "All", ",".join(tags))

    try:
        async with asyncio.timeout(session.options.request_timeout_s):
            while True:
                try:
                    return await _values(session, account_id, ask, protocol.cancelAccountSummary)
                except RequestError as refusal:
                    if refusal.code != TOO_MANY_SUMMARIES:
                        raise
                    refused = True
                await asyncio.wait((session.lost,), timeout=_SUMMARY_PAUSE_S)
    except TimeoutError as error:
        reason = session.silence("the account summary")
        if refused:
            session.drop(reason)  # a gateway has been seen to count what was cancelled until its connection ends
        raise GatewayUnavailable(reason) from error


async def _values(
    session: GatewaySession, account_id: str, ask: Callable[[int], None], cancel: Callable[[int], None]
) -> AccountValues:
    """What a subscription begins with; it is ended at once."""
    values: dict[tuple[str, str], str] = {}
    ib = session.ib
    request_id = ib.client.getReqId()
    ib.listening.value_sinks[request_id] = sink_of(account_id, values)
    ended = ib.start_request(request_id)
    ask(request_id)
    try:
        await ended
    except RequestError:
        raise  # there is nothing to end
    except BaseException:
        _end(session, cancel, request_id)
        raise
    finally:
        del ib.listening.value_sinks[request_id]
    _end(session, cancel, request_id)
    return values


def sink_of(account_id: str, values: dict[tuple[str, str], str]) -> ValueSink:
    """Puts the values of one account there, by tag and currency."""

    def put(told_of: str, tag: str, value: str, currency: str) -> None:
        if told_of == account_id:
            values[tag, currency] = value

    return put


async def market_rule(session: GatewaySession, rule_id: int, patience_s: float) -> tuple[PriceStep, ...]:
    """Price steps of a market rule; empty without an answer, since IBKR does not say which question it refuses."""
    answer: asyncio.Future[tuple[PriceStep, ...]] = asyncio.get_running_loop().create_future()

    def on_message(message: Message) -> None:
        if isinstance(message, MarketRuleMessage) and message.rule_id == rule_id and not answer.done():
            answer.set_result(message.steps)

    with session.ib.listener(on_message, MarketRuleMessage):
        session.ib.protocol.reqMarketRule(rule_id)
        await asyncio.wait((answer,), timeout=patience_s)
    return answer.result() if answer.done() else ()


def _end(session: GatewaySession, cancel: Callable[[int], None], request_id: int) -> None:
    if session.alive:
        cancel(request_id)


async def open_orders(session: GatewaySession, *, own_only: bool = False) -> tuple[OpenOrder, ...]:
    """Orders that may still fill: of all clients and of people in TWS, or of this client alone."""
    book = OpenBook()

    def on_message(message: Message) -> None:
        if isinstance(message, OpenOrderMessage | StatusMessage):
            book.add(message)

    with session.ib.listener(on_message, OpenOrderMessage, StatusMessage):
        ask = session.ib.reqOpenOrdersAsync if own_only else session.ib.reqAllOpenOrdersAsync
        await session.exclusive("open orders", ask)
    return book.open_orders()


async def completed_orders(session: GatewaySession, accounts: Collection[str]) -> list[CompletedOrderRow]:
    """Orders of these accounts that ended, as far back as the gateway remembers, and those that name no account. It
    lists the whole login's; others' are not even read.
    """
    completed: list[CompletedOrderRow] = []

    def on_message(message: Message) -> None:
        if isinstance(message, CompletedOrderRow):
            completed.append(message)

    async def ask() -> None:
        with session.ib.ended_orders_of(accounts), session.ib.listener(on_message, CompletedOrderRow):
            await session.ib.reqCompletedOrdersAsync(False)

    await session.exclusive("completed orders", ask)
    return completed


async def executions(session: GatewaySession, account_id: str) -> list[ExecutionMessage]:
    """Today's executions of one account; their commissions arrive in ``session.commissions``."""
    heard: list[ExecutionMessage] = []

    def on_message(message: Message) -> None:
        if isinstance(message, ExecutionMessage) and message.fill.account_id in {account_id, ""}:
            heard.append(message)

    with session.ib.listener(on_message, ExecutionMessage):
        try:
            async with asyncio.timeout(session.options.request_timeout_s):
                await session.ib.reqExecutionsAsync(ExecutionFilter(acctCode=account_id))
        except TimeoutError as error:
            raise GatewayUnavailable(session.silence("executions")) from error
    return heard
