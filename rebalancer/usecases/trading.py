"""Sending a plan's orders and following them to their end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from rebalancer.errors import OrderRejected
from rebalancer.ledger.events import Claim
from rebalancer.ledger.trades import split_execution_id
from rebalancer.model import OrderType, ProposedOrder, Side
from rebalancer.money import ONE, ZERO, ceil_to_tick, floor_to_tick
from rebalancer.order_states import OrderStatus, advance
from rebalancer.orders import CommissionReport, Fill, Instrument, OrderRequest, OrderUpdate, StatusUpdate
from rebalancer.usecases.desk import Desk


@dataclass(slots=True)
class Reports:
    """What the broker has said of a batch of orders so far; executions count once, in their latest revision."""

    status: dict[str, OrderStatus] = field(default_factory=dict)
    refusals: dict[str, StatusUpdate] = field(default_factory=dict)
    fills: dict[str, Fill] = field(default_factory=dict)
    commissions: dict[str, Decimal] = field(default_factory=dict)

    def add(self, report: OrderUpdate) -> None:
        """Take one report in."""
        match report:
            case StatusUpdate():
                known = self.status.get(report.order_ref, OrderStatus.API_PENDING)
                self.status[report.order_ref] = advance(known, report.status)
                if report.code is not None:
                    self.refusals[report.order_ref] = report
            case Fill():
                self.fills[split_execution_id(report.execution_id)[0]] = report
            case CommissionReport():
                self.commissions[report.execution_id] = report.commission

    def filled(self, order_ref: str) -> Decimal:
        """Shares of an order filled so far."""
        return sum((fill.quantity for fill in self.fills.values() if fill.order_ref == order_ref), ZERO)


def trade(
    desk: Desk, proposed: Sequence[ProposedOrder], instruments: Mapping[str, Instrument], first_number: int
) -> Reports:
    """Send orders and wait until each is complete; every intent and every report is on record.

    Args:
        first_number: running number of the first order within the attempt, for its order ref.

    Raises:
        OrderRejected: an order ended without filling; the others of the batch have ended too.
        OutcomeUnknown: the connection was lost or time ran out; some may still be working.
    """
    reports = Reports()
    if not proposed:
        return reports
    requests = [
        _request(desk, order, instruments[order.symbol], first_number + position)
        for position, order in enumerate(proposed)
    ]
    desk.run.intend(list(zip(proposed, requests, strict=True)))
    for batch in desk.broker.execute(requests, desk.policy.timeout_s, desk.run.checkpoint):
        desk.run.heard(batch)
        for report in batch:
            reports.add(report)
    desk.run.settled([request.order_ref for request in requests])
    _require_filled(requests, reports)
    return reports


def _require_filled(requests: Sequence[OrderRequest], reports: Reports) -> None:
    for request in requests:
        if reports.filled(request.order_ref) < request.quantity:
            refusal = reports.refusals.get(request.order_ref)
            status = reports.status.get(request.order_ref)
            raise OrderRejected(
                request.order_ref,
                refusal.code or 0 if refusal else 0,
                (refusal.text if refusal else None) or f"{request.side} {request.symbol} ended as {status}",
            )


def _request(desk: Desk, order: ProposedOrder, instrument: Instrument, number: int) -> OrderRequest:
    policy = desk.policy
    limited = policy.order_type is OrderType.LIMIT
    return OrderRequest(
        order_ref=order_ref(desk.run.claim, number),
        account_id=desk.account.account_id,
        symbol=order.symbol,
        contract_id=instrument.contract_id,
        side=order.side,
        quantity=order.quantity,
        order_type=policy.order_type,
        time_in_force=policy.time_in_force,
        limit_price=_limit(order, policy.limit_collar, instrument.min_tick) if limited else None,
        outside_regular_hours=policy.outside_regular_hours and limited,
    )


def _limit(order: ProposedOrder, collar: Decimal, tick: Decimal) -> Decimal:
    """Worst acceptable price: the planned one and the collar, on the side that keeps it."""
    if order.side is Side.BUY:
        return floor_to_tick(order.price * (ONE + collar), tick)
    return ceil_to_tick(order.price * (ONE - collar), tick)


def order_ref(claim: Claim, number: int) -> str:
    """Our identifier of an order: event, attempt and running number; 48 random bits keep it unique for ever."""
    return f"{claim.event_id.hex[:12]}-{claim.attempt}-{number:02d}"
