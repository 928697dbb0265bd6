"""Bring an account to its target weights, or show what that would take."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Literal

import structlog

from rebalancer.errors import GatewayUnavailable, LeaseLost, OrdersUnfilled, OutcomeUnknown, RebalancerError
from rebalancer.ledger.session import LedgerError
from rebalancer.ledger.trades import OrderRecord
from rebalancer.model import AccountSnapshot, Plan, ProposedOrder
from rebalancer.money import cents
from rebalancer.orders import OpenOrder
from rebalancer.usecases.books import known_books
from rebalancer.usecases.carrying_out import carry_out
from rebalancer.usecases.deciding import Decision, decide, inputs_record, plan_record, priced_positions
from rebalancer.usecases.desk import Blocked, Desk, NotNow, Result
from rebalancer.usecases.guarding import acting_rules, before_looking, before_trading
from rebalancer.usecases.leaving import leave_clean
from rebalancer.usecases.recovering import recover_lost_orders
from rebalancer.usecases.reports import order_record
from rebalancer.usecases.settling import clear_table
from rebalancer.usecases.trading import Trading

log = structlog.get_logger()


def print_rebalance(desk: Desk) -> Result:
    """Dry run: the same plan as live, nothing sent, nothing cancelled."""
    decision = decide(desk)
    _record(desk, decision)
    orders = [_proposed(order) for order in decision.plan.orders]
    return _result(desk, decision.plan, "dry_run", orders=orders) | {"rules": acting_rules(desk, decision)}


def rebalance(desk: Desk) -> Result | Blocked:
    """Live: clear the table, then plan, sell, buy from what the sells brought, until nothing is left unfilled."""
    try:
        desk.checkpoint()
        recover_lost_orders(desk)
        before_looking(desk)
        return _rebalance(desk)
    except NotNow as refusal:
        return refusal.blocked


def _rebalance(desk: Desk) -> Result:
    cancelled = clear_table(desk)
    trading = Trading(desk)
    try:
        decision = _in_rounds(desk, trading)
    except LeaseLost:
        raise
    except Exception as error:
        _leave_nothing_open(desk, error)
        raise
    after = _after(desk) if trading.begun else decision.snapshot
    desk.run.observed("after", after, priced_positions(after, decision.quotes))
    sent = [_sent(order) for order in desk.run.orders()]
    return _result(desk, decision.plan, "live", orders=sent, cancelled=cancelled)


def _in_rounds(desk: Desk, trading: Trading) -> Decision:
    """Plan and trade, again for what did not fill; the first decision.

    Raises:
        OrdersUnfilled: some orders did not fill in any round.
    """
    first: Decision | None = None
    unfilled: tuple[str, ...] = ()
    for _ in range(desk.policy.rounds):
        try:
            decision = decide(desk)
            _record(desk, decision, "; ".join(unfilled))
            before_trading(desk, decision)
            first = first or decision
            unfilled = carry_out(desk, trading, decision)
        except (OutcomeUnknown, GatewayUnavailable) as interruption:
            if not trading.begun:
                raise
            unfilled = (str(interruption),)
            _recover(desk, interruption)
        if first is not None and not unfilled:
            return first
    raise OrdersUnfilled(f"unfilled after {desk.policy.rounds} rounds: {'; '.join(unfilled)}")


def _recover(desk: Desk, interruption: RebalancerError) -> None:
    """Wait for the gateway, cancel what still works, and find out what has become of everything."""
    log.warning("round_interrupted", error=str(interruption))
    desk.broker.wait_for_return(desk.policy.reconnect_s)
    clear_table(desk)


def _leave_nothing_open(desk: Desk, error: Exception) -> None:
    """The run ends with ``error``; the next one starts with the same, should this fail."""
    try:
        leave_clean(desk)
    except (RebalancerError, LedgerError) as failure:
        log.error("orders_left_to_the_next_run", error=str(error), because=str(failure))


def _after(desk: Desk) -> AccountSnapshot:
    """The account once the broker's books show the fills; late books are no reason to fail what has been done."""
    books = known_books(desk)
    snapshot = desk.broker.snapshot(desk.account.account_id, lambda seen: books is None or books.lacking(seen) is None)
    lacking = books and books.lacking(snapshot)
    if lacking:
        log.warning("books_lag", lacking=lacking)
    return snapshot


def _record(desk: Desk, decision: Decision, again: str = "") -> None:
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
    desk: Desk,
    made: Plan,
    mode: Literal["dry_run", "live"],
    *,
    orders: list[dict[str, Any]],
    cancelled: tuple[OpenOrder, ...] = (),
) -> Result:
    """The result object of the public contract; amounts as decimal text."""
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
        "status": "success",
        "message": f"{'Dry run' if mode == 'dry_run' else 'Live'} rebalancing completed successfully",
        "timestamp": datetime.now(UTC).isoformat(),
    }


def _proposed(order: ProposedOrder) -> dict[str, Any]:
    return {
        "symbol": order.symbol,
        "quantity": order.quantity,
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
