"""Bring an account to its target weights, or show what that would take."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal

import structlog

from rebalancer.domain.account_history import OrderRecord
from rebalancer.domain.currencies import dollars
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
from rebalancer.domain.units import NO_SHARES, Usd
from rebalancer.planning import off_plan
from rebalancer.planning.checks import holdings
from rebalancer.usecases.account_reports import base_record, order_record
from rebalancer.usecases.close_out import close_out
from rebalancer.usecases.context import Blocked, NotNow, Result, RunContext
from rebalancer.usecases.conversion import convert_back
from rebalancer.usecases.decision import Decision, cash_of_plan
from rebalancer.usecases.decision_records import inputs_record, plan_record, priced_positions, style_record
from rebalancer.usecases.exclusivity import require_alone, turn_to_trade
from rebalancer.usecases.execution import execute_plan
from rebalancer.usecases.observation import look
from rebalancer.usecases.order_batch import Trading
from rebalancer.usecases.pre_trade import acting_rules, before_looking, before_planning, before_trading
from rebalancer.usecases.reconciliation import cancel_and_reconcile, finish_earlier_orders, recover
from rebalancer.usecases.snapshots import known_books, snapshot_showing
from rebalancer.usecases.targets import frozen
from rebalancer.usecases.taxes import decide
from rebalancer.usecases.unacknowledged_orders import release_unacknowledged, require_acknowledged

log = structlog.get_logger()


def print_rebalance(context: RunContext) -> Result:
    """Dry run: the same plan as live, nothing sent, nothing cancelled."""
    decision = decide(context)
    _record(context, decision)
    later = {order.symbol for order in decision.plan.buys}
    today = {order.symbol: order.quantity for order in decision.every_order if order.symbol not in later}
    today |= {order.symbol: order.quantity for order in decision.buys_now}
    orders = [
        _proposed(order, today.get(order.symbol, 0)) | style_record(decision.style(order))
        for order in decision.every_order
    ]
    return _result(context, decision, "dry_run", orders=orders) | {"rules": acting_rules(context, decision)}


def rebalance(context: RunContext) -> Result | Blocked:
    """Live: plan, clear the table, sell, buy from what the sells brought, until the account holds its targets."""
    try:
        context.run.checkpoint()
        with turn_to_trade(context):
            context.broker.look_ahead(context.account_id, first=True)
            _reconcile_the_past(context)
            context.checkpoint()
            before_looking(context)
            result = _rebalance(context)
            require_acknowledged(context)
            return result
    except NotNow as refusal:
        return refusal.blocked


def _reconcile_the_past(context: RunContext) -> None:
    """Every order of an earlier run is accounted for, or the account is not traded.

    Raises:
        NotNow: one may still wait behind a window of the gateway; or another installation trades the account.
        GatewayUnavailable, OutcomeUnknown: the broker did not say.
    """
    release_unacknowledged(context)
    require_alone(context)
    finish_earlier_orders(context)
    if context.run.unacknowledged():  # of a worker that died before it could say so
        release_unacknowledged(context)
        finish_earlier_orders(context)


def _rebalance(context: RunContext) -> Result:
    """Trade until the account holds its targets.

    Raises:
        OrderRejected: everything else is done, and an order that was refused is still listed.
    """
    trading = Trading(context)
    cancelled: list[OpenOrder] = []
    try:
        decision, last, after = _in_rounds(context, trading, cancelled)
    except LeaseLost:
        raise
    except Exception as error:
        _leave_nothing_open(context, error)
        raise
    context.run.observed("after", after, priced_positions(after, decision.quotes))
    if last.view.refused:
        raise last.view.refused[0]
    sent = [_sent(order) for order in context.run.orders()]
    return _result(context, decision, "live", orders=sent, cancelled=cancelled)


def _in_rounds(
    context: RunContext, trading: Trading, cancelled: list[OpenOrder]
) -> tuple[Decision, Decision, AccountSnapshot]:
    """Plan and trade, again for what did not fill or is missing; the first decision, the last, and what that has left.

    Args:
        cancelled: receives the orders of others that were in the way.

    Raises:
        OrdersUnfilled: some orders did not fill in any round.
        OffTarget: all filled, but the account does not hold its targets.
        OrderRejected: it does, and idle dollars could not be converted back.
        GatewayUnavailable: the last round was interrupted, and the broker's books do not show yet what it did.
    """
    first: Decision | None = None
    left_to_do: tuple[str, ...] = ()
    failure: type[RebalancerError] = OrdersUnfilled
    interrupted = False
    rounds = context.policy.rounds + context.styles.further_rounds
    for _ in range(rounds):
        interrupted = False
        try:
            decision = _ready(context, trading, cancelled, "; ".join(left_to_do))
            first = first or decision
            left_to_do, failure = execute_plan(context, trading, decision), OrdersUnfilled
            if not left_to_do:
                after = _after(context, trading, decision)
                left_to_do, failure = _missing(context, decision, after), OffTarget
        except (OutcomeUnknown, GatewayUnavailable) as interruption:
            if not trading.begun:
                raise
            left_to_do = (str(interruption),)
            failure = GatewayUnavailable if isinstance(interruption, GatewayUnavailable) else OrdersUnfilled
            interrupted = True
            recover(context, interruption)
        if first is not None and not left_to_do:
            return first, decision, convert_back(context, trading, decision, after)
    if first is not None and interrupted and not (last := decide(context)).plan.orders:
        return first, last, last.snapshot
    raise failure(f"unfinished after {rounds} rounds: {'; '.join(left_to_do)}")


def _ready(context: RunContext, trading: Trading, cancelled: list[OpenOrder], again: str) -> Decision:
    """A plan that may be traded now. Only for such a one are orders of others cancelled that are in the way, and then
    it is made anew.
    """
    decision = _allowed(context, trading, again)
    in_the_way = [order for order in decision.view.open_orders if decision.view.tradable(order)]
    if decision.plan.orders and in_the_way:
        cancelled += cancel_and_reconcile(context, decision.view.tradable)
        decision = _allowed(context, trading, again or f"{len(in_the_way)} open orders were in the way")
    return decision


def _allowed(context: RunContext, trading: Trading, again: str) -> Decision:
    """A plan on record that has passed the rules. Whether anybody else trades the account was asked a moment before the
    first one.
    """
    view = look(context)
    if again:
        require_alone(context)
    before_planning(context, view)
    decision = decide(context, view, trading.styles)
    _record(context, decision, again)
    before_trading(context, decision)
    return decision


def _after(context: RunContext, trading: Trading, decision: Decision) -> AccountSnapshot:
    """The account with what was filled.

    Raises:
        GatewayUnavailable: the broker's books do not show it.
    """
    if not trading.begun:
        return decision.snapshot
    return decision.view.marked(snapshot_showing(context, known_books(context), pushed=True))


def _missing(context: RunContext, decision: Decision, after: AccountSnapshot) -> tuple[str, ...]:
    """How the account differs from the plan although every order has ended, in words, if it is worth another round."""
    if after is decision.snapshot:
        return ()
    cash = cash_of_plan(decision.view, decision.counting(after), decision.left.cover)
    traded = decision.traded(after)
    if (parking := decision.parking) is not None:
        cash = Usd(cash + parking.filled(holdings(traded).get(parking.symbol, NO_SHARES)))
    off = off_plan(decision.plan, replace(traded, cash=cash), decision.quotes, decision.rules)
    if sum(off.values(), ZERO) <= context.policy.off_target * decision.plan.equity:
        return ()
    return tuple(f"{symbol} is off by {cents(amount)} USD" for symbol, amount in off.items())


def _leave_nothing_open(context: RunContext, error: Exception) -> None:
    """The run ends with ``error``; the next one starts with the same, should this fail."""
    try:
        close_out(context)
    except RebalancerError as failure:
        log.error("orders_left_to_the_next_run", error=str(error), because=str(failure))


def _record(context: RunContext, decision: Decision, again: str = "") -> None:
    """Put the plan on record; ``again`` says why it is not the run's first."""
    if again:
        context.run.planned_again(again, inputs_record(decision), plan_record(decision))
    else:
        before = decision.snapshot, priced_positions(decision.snapshot, decision.quotes)
        context.run.decided(inputs_record(decision), plan_record(decision), before)
    converted = decision.conversion or decision.back
    log.info(
        "planned",
        equity=str(decision.plan.equity),
        sells=len(decision.plan.sells),
        buys=len(decision.plan.buys),
        conversion=converted and f"{converted.side} {converted.quantity}",
        fees=str(cents(decision.plan.fees)),
        again=again or None,
    )


def _result(
    context: RunContext,
    decision: Decision,
    mode: Literal["dry_run", "live"],
    *,
    orders: list[dict[str, Any]],
    cancelled: Iterable[OpenOrder] = (),
) -> Result:
    """The result object of the public contract; amounts as decimal text."""
    made, stale = decision.plan, frozen(decision.view.targets)
    return {
        "account_id": context.account.account_id,
        "execution_mode": mode,
        "equity_info": {
            "total_equity": str(decision.left.snapshot.net_liquidation),
            "reserve_percentage": str(context.account.cash_reserve_percent),
            "reserve_amount": str(cents(decision.reserve)),
            "available_for_trading": str(cents(made.investable)),
            **base_record(decision.snapshot),
        },
        "orders": orders,
        "cancelled_orders": [order_record(order) for order in cancelled],
        "notes": list(made.notes),
        "attention": [*decision.attention, *decision.remainders],
        **({"frozen": list(stale)} if stale else {}),
        **({"corporate_actions": list(decision.corporate_actions)} if decision.corporate_actions else {}),
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
        "market_value": str(cents(dollars(order.symbol, Decimal(order.quantity), order.price))),
        "price": str(order.price),
        "commission": str(cents(order.fee)),
        "reason": order.reason,
    }


def _sent(order: OrderRecord) -> dict[str, Any]:
    price = order.average_price
    return {
        "symbol": order.symbol,
        "quantity": order.quantity,
        "action": order.side,
        "market_value": None if price is None else str(cents(dollars(order.symbol, order.filled, price))),
        "price": None if price is None else str(price),
        "filled": str(order.filled),
        "commission": str(order.commission),
        "status": order.status,
        "order_ref": order.order_ref,
    }
