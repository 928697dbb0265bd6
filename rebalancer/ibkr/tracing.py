"""What became of orders whose outcome is unknown."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from rebalancer.domain.orders import CommissionReport, Fill, OpenOrder, OrderTrace, SentOrder, split_execution_id
from rebalancer.ibkr import asking
from rebalancer.ibkr.evidence import Evidence, Found
from rebalancer.ibkr.messages import CompletedOrderRow, ExecutionMessage, Message, OpenOrderMessage
from rebalancer.ibkr.session import GatewaySession


@dataclass(frozen=True, slots=True)
class Lists:
    """What the broker lists: open orders of the login, ended ones and executions of one account."""

    listed: tuple[OpenOrder, ...]
    completed: Sequence[CompletedOrderRow]
    executions: Sequence[ExecutionMessage]


async def ask_lists(session: GatewaySession, account_id: str) -> Lists:
    """All three, of one round trip.

    Raises:
        GatewayUnavailable: one of the lists did not come; the others alone would prove nothing.
    """
    found = await asyncio.gather(
        asking.open_orders(session),
        asking.completed_orders(session, {account_id}),
        asking.executions(session, account_id),
    )
    return Lists(*found)


def refs_of(lists: Lists, account_id: str) -> dict[str, datetime | None]:
    """Order refs of everything that the broker lists of the account, with the time of the first execution."""
    found: dict[str, datetime | None] = {one.order_ref: None for one in lists.listed if one.account_id == account_id}
    found |= {one.order_ref: None for one in lists.completed}
    for fill in sorted((one.fill for one in lists.executions), key=lambda fill: fill.at, reverse=True):
        found[fill.order_ref] = fill.at
    found.pop("", None)
    return found


async def trace_patiently(
    session: GatewaySession,
    account_id: str,
    orders: Collection[SentOrder],
    others: Collection[int],
    *,
    commission_grace_s: float,
    patience_s: float,
) -> dict[str, OrderTrace]:
    """Search once, and once more for orders that were nowhere: an order that was under way when a connection broke is
    listed a little later. The second search follows the first word of such an order, at the latest ``patience_s``.
    """
    found = await trace(session, account_id, orders, others, commission_grace_s)
    missing = [order for order in orders if order.order_ref not in found]
    if not missing or not patience_s:
        return found
    await _any_word(session, frozenset(order.order_ref for order in missing), patience_s)
    return found | await trace(session, account_id, missing, others, commission_grace_s)


async def _any_word(session: GatewaySession, refs: frozenset[str], timeout_s: float) -> None:
    """Until the broker says something of one of the orders, at most ``timeout_s``."""
    heard: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def on_message(message: Message) -> None:
        ours = (isinstance(message, OpenOrderMessage) and message.order.order_ref in refs) or (
            isinstance(message, ExecutionMessage) and message.fill.order_ref in refs
        )
        if ours and not heard.done():
            heard.set_result(None)

    with session.ib.listener(on_message):
        await asyncio.wait((heard,), timeout=timeout_s)


async def trace(
    session: GatewaySession,
    account_id: str,
    orders: Collection[SentOrder],
    others: Collection[int],
    commission_grace_s: float,
) -> dict[str, OrderTrace]:
    """Search open orders, completed orders and executions for our orders.

    Args:
        others: perm ids of orders that are on record already.

    Raises:
        GatewayUnavailable: one of the three lists did not come; the others alone would prove nothing.
    """
    commissions = dict(session.commissions)

    def on_message(message: Message) -> None:
        if isinstance(message, CommissionReport):
            commissions[message.execution_id] = message

    with session.ib.listener(on_message, CommissionReport):
        lists = await ask_lists(session, account_id)
        numbers = {ref: perm_id for (account, ref), perm_id in session.perm_ids.items() if account == account_id}
        known = [replace(order, perm_id=order.perm_id or numbers.get(order.order_ref, 0)) for order in orders]
        completed = [row.read() for row in lists.completed]
        found = Evidence(account_id, lists.listed, completed, lists.executions, session.endings, others).of(known)
        fills = [fill for rows in found.values() for fill in rows.fills]
        await _commissions_of(session, fills, commissions, commission_grace_s)
    sent = {order.order_ref: order for order in orders}
    return {ref: _trace(account_id, sent[ref], rows, commissions) for ref, rows in found.items()}


async def _commissions_of(session: GatewaySession, fills: list[Fill], known: Collection[str], grace_s: float) -> None:
    """Wait a short while for commissions, which follow their executions.

    Args:
        known: execution ids of those that were heard.
    """
    missing = {split_execution_id(fill.execution_id)[0] for fill in fills}
    missing -= {split_execution_id(execution_id)[0] for execution_id in known}
    if not missing:
        return
    complete: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def on_message(message: Message) -> None:
        if isinstance(message, CommissionReport):
            missing.discard(split_execution_id(message.execution_id)[0])
            if not missing and not complete.done():
                complete.set_result(None)

    with session.ib.listener(on_message):
        await asyncio.wait((complete,), timeout=grace_s)


def _trace(account_id: str, order: SentOrder, rows: Found, commissions: Mapping[str, CommissionReport]) -> OrderTrace:
    fills = tuple(replace(fill, order_ref=order.order_ref, account_id=account_id) for fill in rows.fills)
    bases = {split_execution_id(fill.execution_id)[0] for fill in fills}
    told = (report for key, report in commissions.items() if split_execution_id(key)[0] in bases)
    by_base = {split_execution_id(report.execution_id)[0]: report for report in told}
    return OrderTrace(
        order_ref=order.order_ref,
        status=rows.status,
        open=rows.listed is not None,
        perm_id=rows.perm_id,
        fills=fills,
        commissions=tuple(by_base.values()),
        stated=rows.stated(order),
        by_likeness=rows.by_likeness,
    )
