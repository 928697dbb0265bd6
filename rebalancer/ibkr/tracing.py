"""What became of orders whose outcome is unknown."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable

from rebalancer.ibkr import asking
from rebalancer.ibkr.mapping import execution_key
from rebalancer.ibkr.messages import CompletedOrderMessage, ExecutionMessage, Message, OpenOrderMessage
from rebalancer.ibkr.session import Session
from rebalancer.order_states import OrderStatus
from rebalancer.orders import CommissionReport, Fill, OpenOrder, OrderTrace


async def executed_refs(session: Session, account_id: str) -> frozenset[str]:
    """Order refs of the account's executions."""
    return frozenset(message.fill.order_ref for message in await asking.executions(session, account_id))


async def trace_patiently(
    session: Session, account_id: str, order_refs: Collection[str], commission_grace_s: float, patience_s: float
) -> dict[str, OrderTrace]:
    """Search once, and once more for refs that were nowhere: an order that was under way when a connection broke is
    listed a little later. The second search follows the first word of such an order, at the latest ``patience_s``.
    """
    found = await trace(session, account_id, order_refs, commission_grace_s)
    missing = frozenset(order_refs) - found.keys()
    if not missing or not patience_s:
        return found
    await _any_word(session, missing, patience_s)
    return found | await trace(session, account_id, missing, commission_grace_s)


async def _any_word(session: Session, refs: frozenset[str], timeout_s: float) -> None:
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
    session: Session, account_id: str, order_refs: Collection[str], commission_grace_s: float
) -> dict[str, OrderTrace]:
    """Search open orders, completed orders and executions for our order refs.

    Raises:
        GatewayUnavailable: one of the three lists did not come; the others alone would prove nothing.
    """
    refs = frozenset(order_refs)
    listed, completed, executions = await asyncio.gather(
        asking.open_orders(session), asking.completed_orders(session), asking.executions(session, account_id)
    )
    fills = latest_fills(executions, refs)
    await _commissions_of(session, fills, commission_grace_s)
    open_now = {order.order_ref: order for order in listed if order.account_id == account_id}
    done = {order.order_ref: order for order in completed if order.account_id == account_id}
    traces = (
        _trace(session, ref, open_now.get(ref), done.get(ref), [fill for fill in fills if fill.order_ref == ref])
        for ref in refs
    )
    return {found.order_ref: found for found in traces if found is not None}


def latest_fills(executions: Iterable[ExecutionMessage], refs: frozenset[str]) -> list[Fill]:
    """Each execution once, in its latest revision, oldest first."""
    latest: dict[str, Fill] = {}
    for message in executions:
        fill = message.fill
        if fill.order_ref not in refs:
            continue
        base, revision = execution_key(fill.execution_id)
        known = latest.get(base)
        if known is None or execution_key(known.execution_id)[1] < revision:
            latest[base] = fill
    return sorted(latest.values(), key=lambda fill: (fill.at, fill.cumulative_quantity))


async def _commissions_of(session: Session, fills: list[Fill], grace_s: float) -> None:
    """Wait a short while for commissions, which follow their executions."""
    missing = {execution_key(fill.execution_id)[0] for fill in fills} - _known(session)
    if not missing:
        return
    complete: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def on_message(message: Message) -> None:
        if isinstance(message, CommissionReport):
            missing.discard(execution_key(message.execution_id)[0])
            if not missing and not complete.done():
                complete.set_result(None)

    with session.ib.listener(on_message):
        await asyncio.wait((complete,), timeout=grace_s)


def _known(session: Session) -> set[str]:
    return {execution_key(execution_id)[0] for execution_id in session.commissions}


def _trace(
    session: Session, ref: str, listed: OpenOrder | None, done: CompletedOrderMessage | None, fills: list[Fill]
) -> OrderTrace | None:
    if listed is None and done is None and not fills:
        return None
    bases = {execution_key(fill.execution_id)[0] for fill in fills}
    commissions = (report for key, report in session.commissions.items() if execution_key(key)[0] in bases)
    by_base = {execution_key(report.execution_id)[0]: report for report in commissions}
    perm_id = listed.perm_id if listed else done.perm_id if done else fills[-1].perm_id
    return OrderTrace(
        order_ref=ref,
        status=_status(listed, done),
        open=listed is not None,
        perm_id=perm_id,
        fills=tuple(fills),
        commissions=tuple(by_base.values()),
    )


def _status(listed: OpenOrder | None, done: CompletedOrderMessage | None) -> OrderStatus:
    """Of an order known by its executions alone only this is certain: it has fills and is not open any more."""
    if listed is not None:
        return listed.status
    if done is None:
        return OrderStatus.FILLED
    return done.status if done.status.final else OrderStatus.CANCELLED
