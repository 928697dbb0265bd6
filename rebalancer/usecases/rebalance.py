"""Bring an account to its target weights, or show what that would take."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Literal

import structlog

from rebalancer.domain.errors import (
    GatewayUnavailable,
    LeaseLost,
    OffTarget,
    OrdersUnfilled,
    OutcomeUnknown,
    RebalancerError,
)
from rebalancer.domain.money import ZERO, cents
from rebalancer.domain.orders import OpenOrder
from rebalancer.domain.portfolio import AccountSnapshot, ProposedOrder
from rebalancer.ledger.orders import OrderRecord
from rebalancer.ledger.session import LedgerError
from rebalancer.planning import off_plan
from rebalancer.usecases.account_reports import order_record
from rebalancer.usecases.close_out import leave_clean
from rebalancer.usecases.context import Blocked, NotNow, Result, RunContext
from rebalancer.usecases.decision import Decision, cash_of_plan, decide, inputs_record, plan_record, priced_positions
from rebalancer.usecases.exclusivity import require_alone, turn_to_trade
from rebalancer.usecases.execution import carry_out
from rebalancer.usecases.observation import look
from rebalancer.usecases.order_batch import Trading
from rebalancer.usecases.pre_trade import acting_rules, before_looking, before_planning, before_trading
from rebalancer.usecases.reconciliation import clear_table, finish_earlier_orders, recover
from rebalancer.usecases.snapshots import known_books, snapshot_showing
from rebalancer.usecases.unacknowledged_orders import require_acknowledged, settle_unacknowledged

log = structlog.get_logger()


def print_rebalance(desk: RunContext) -> Result:
    """Dry run: the same plan as live, nothing sent, nothing cancelled."""
    decision = decide(desk)
    _record(desk, decision)
    today = {order.symbol: order.quantity for order in (*decision.plan.sells, *decision.buys_now)}
    orders = [_proposed(order, today.get(order.symbol, 0)) for order in decision.plan.orders]
    return _result(desk, decision, "dry_run", orders=orders) | {"rules": acting_rules(desk, decision)}


def rebalance(desk: RunContext) -> Result | Blocked:
    """Live: plan, clear the table, sell, buy from what the sells brought, until the account holds its targets."""
    try:
        desk.run.checkpoint()
        with turn_to_trade(desk):
            _settle_the_past(desk)
            desk.checkpoint()
            before_looking(desk)
            result = _rebalance(desk)
            require_acknowledged(desk)
            return result
    except NotNow as refusal:
        return refusal.blocked


def _settle_the_past(desk: RunContext) -> None:
    """Every order of an earlier run is accounted for, or the account is not traded.

    Raises:
        NotNow: one may still wait behind a window of the gateway; or another installation trades the account.
        GatewayUnavailable, OutcomeUnknown: the broker did not say.
    """
    settle_unacknowledged(desk)
    require_alone(desk)
    finish_earlier_orders(desk)
    if desk.run.unacknowledged():  # of a worker that died before it could say so
        settle_unacknowledged(desk)
        finish_earlier_orders(desk)


def _rebalance(desk: RunContext) -> Result:
    """Trade until the account holds its targets.

    Raises:
        OrderRejected: everything else is done, and an order that was refused is still listed.
    """
    trading = Trading(desk)
    cancelled: list[OpenOrder] = []
    try:
        decision, last = _in_rounds(desk, trading, cancelled)
    except LeaseLost:
        raise
    except Exception as error:
        _leave_nothing_open(desk, error)
        raise
    after = _after(desk) if trading.begun else decision.snapshot
    desk.run.observed("after", after, priced_positions(after, decision.quotes))
    if last.view.refused:
        raise last.view.refused[0]
    sent = [_sent(order) for order in desk.run.orders()]
    return _result(desk, decision, "live", orders=sent, cancelled=cancelled)


def _in_rounds(desk: RunContext, trading: Trading, cancelled: list[OpenOrder]) -> tuple[Decision, Decision]:
    """Plan and trade, again for what did not fill or is missing; the first decision and the last.

    Args:
        cancelled: receives the orders of others that were in the way.

    Raises:
        OrdersUnfilled: some orders did not fill in any round.
        OffTarget: all filled, but the account does not hold its targets.
        GatewayUnavailable: the last round was interrupted, and the broker's books do not show yet what it did.
    """
    first: Decision | None = None
    left_to_do: tuple[str, ...] = ()
    failure: type[RebalancerError] = OrdersUnfilled
    interrupted = False
    for _ in range(desk.policy.rounds):
        interrupted = False
        try:
            decision = _ready(desk, cancelled, "; ".join(left_to_do))
            first = first or decision
            left_to_do, failure = carry_out(desk, trading, decision), OrdersUnfilled
            if not left_to_do:
                left_to_do, failure = _missing(desk, trading, decision), OffTarget
        except (OutcomeUnknown, GatewayUnavailable) as interruption:
            if not trading.begun:
                raise
            left_to_do = (str(interruption),)
            failure = GatewayUnavailable if isinstance(interruption, GatewayUnavailable) else OrdersUnfilled
            interrupted = True
            recover(desk, interruption)
        if first is not None and not left_to_do:
            return first, decision
    if first is not None and interrupted and not (last := decide(desk)).plan.orders:
        return first, last
    raise failure(f"unfinished after {desk.policy.rounds} rounds: {'; '.join(left_to_do)}")


def _ready(desk: RunContext, cancelled: list[OpenOrder], again: str) -> Decision:
    """A plan that may be traded now. Only for such a one are orders of others cancelled that are in the way, and then
    it is made anew.
    """
    decision = _allowed(desk, again)
    in_the_way = [order for order in decision.view.open_orders if decision.view.tradable(order)]
    if decision.plan.orders and in_the_way:
        cancelled += clear_table(desk, decision.view.tradable)
        decision = _allowed(desk, again or f"{len(in_the_way)} open orders were in the way")
    return decision


def _allowed(desk: RunContext, again: str) -> Decision:
    """A plan on record that has passed the rules."""
    view = look(desk)
    require_alone(desk)
    before_planning(desk, view)
    decision = decide(desk, view)
    _record(desk, decision, again)
    before_trading(desk, decision)
    return decision


def _missing(desk: RunContext, trading: Trading, decision: Decision) -> tuple[str, ...]:
    """How the account differs from the plan although every order has ended, in words, if it is worth another round.

    Raises:
        GatewayUnavailable: the broker's books do not show what was filled, so that nobody can say.
    """
    if not trading.begun:
        return ()
    view = decision.view
    now = view.marked(snapshot_showing(desk, known_books(desk)))
    cash = cash_of_plan(view, now, decision.left.cover)
    off = off_plan(decision.plan, replace(now, cash=cash), decision.quotes, desk.rules)
    if sum(off.values(), ZERO) <= desk.policy.off_target * decision.plan.equity:
        return ()
    return tuple(f"{symbol} is off by {cents(amount)} USD" for symbol, amount in off.items())


def _leave_nothing_open(desk: RunContext, error: Exception) -> None:
    """The run ends with ``error``; the next one starts with the same, should this fail."""
    try:
        leave_clean(desk)
    except (RebalancerError, LedgerError) as failure:
        log.error("orders_left_to_the_next_run", error=str(error), because=str(failure))


def _after(desk: RunContext) -> AccountSnapshot:
    """The account once the broker's books show the fills; late books are no reason to fail what has been done."""
    books = known_books(desk)
    snapshot = desk.broker.snapshot(desk.account.account_id, lambda seen: books is None or books.lacking(seen) is None)
    lacking = books and books.lacking(snapshot)
    if lacking:
        log.warning("books_lag", lacking=lacking)
    return snapshot


def _record(desk: RunContext, decision: Decision, again: str = "") -> None:
    """Put the plan on record; ``again`` says why it is not the run's first."""
    if again:
        desk.run.planned_again(again, inputs_record(decision), plan_record(decision.plan))
    else:
        desk.run.decided(inputs_record(decision), plan_record(decision.plan))
        desk.run.observed("before", decision.snapshot, priced_positions(decision.snapshot, decision.quotes))
    log.info(
        "planned",
        equity=str(decision.plan.equity),
        sells=len(decision.plan.sells),
        buys=len(decision.plan.buys),
        fees=str(cents(decision.plan.fees)),
        again=again or None,
    )


def _result(
    desk: RunContext,
    decision: Decision,
    mode: Literal["dry_run", "live"],
    *,
    orders: list[dict[str, Any]],
    cancelled: Iterable[OpenOrder] = (),
) -> Result:
    """The result object of the public contract; amounts as decimal text."""
    made = decision.plan
    return {
        "account_id": desk.account.account_id,
        "execution_mode": mode,
        "equity_info": {
            "total_equity": str(made.equity),
            "reserve_percentage": str(desk.account.cash_reserve_percent),
            "reserve_amount": str(cents(made.reserve)),
            "available_for_trading": str(cents(made.investable)),
        },
        "orders": orders,
        "cancelled_orders": [order_record(order) for order in cancelled],
        "notes": list(made.notes),
        "attention": [*decision.attention, *decision.remainders],
        "status": "success",
        "message": f"{'Dry run' if mode == 'dry_run' else 'Live'} rebalancing completed successfully",
        "timestamp": datetime.now(UTC).isoformat(),
    }


def _proposed(order: ProposedOrder, today: int) -> dict[str, Any]:
    return {
        "symbol": order.symbol,
        "quantity": order.quantity,
        "quantity_today": today,
        "action": str(order.side),
        "market_value": str(cents(order.notional)),
        "price": str(order.price),
        "commission": str(cents(order.fee)),
        "reason": order.reason,
    }


def _sent(order: OrderRecord) -> dict[str, Any]:
    return {
        "symbol": order.symbol,
        "quantity": order.quantity,
        "action": order.side,
        "market_value": None if order.average_price is None else str(cents(order.filled * order.average_price)),
        "price": None if order.average_price is None else str(order.average_price),
        "filled": str(order.filled),
        "commission": str(order.commission),
        "status": order.status,
        "order_ref": order.order_ref,
    }
