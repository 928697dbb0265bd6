"""Sending orders in batches and following them to their end, everything on record."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from itertools import count

import structlog

from rebalancer.domain.errors import (
    GatewayUnavailable,
    LeaseLost,
    OrderRejected,
    OrdersUnacknowledged,
    OutcomeUnknown,
    RecordUnavailable,
    RemovalRequested,
)
from rebalancer.domain.money import ZERO
from rebalancer.domain.order_refs import OrderRef
from rebalancer.domain.order_states import OrderStatus, advance
from rebalancer.domain.orders import (
    CommissionReport,
    Fill,
    Instrument,
    OrderRequest,
    OrderUpdate,
    StatusUpdate,
    split_execution_id,
)
from rebalancer.domain.portfolio import OrderType
from rebalancer.planning.buying_power import PricedOrder
from rebalancer.usecases.close_out import cancel_unwatched
from rebalancer.usecases.context import NotNow, RunContext
from rebalancer.usecases.unacknowledged_orders import hold_for, require_acknowledged

log = structlog.get_logger()

CURRENCY = "USD"


@dataclass(slots=True)
class Reports:
    """What the broker has said of a batch of orders so far; executions count once, in their latest revision.

    Attributes:
        stated: highest cumulative quantity by order ref, told or not.
    """

    status: dict[str, OrderStatus] = field(default_factory=dict)
    remarks: dict[str, StatusUpdate] = field(default_factory=dict)
    stated: dict[str, Decimal] = field(default_factory=dict)
    _fills: dict[str, Fill] = field(default_factory=dict)
    _commissions: dict[str, Decimal] = field(default_factory=dict)

    def add(self, report: OrderUpdate) -> None:
        """Take one report in."""
        match report:
            case StatusUpdate():
                known = self.status.get(report.order_ref, OrderStatus.API_PENDING)
                self.status[report.order_ref] = advance(known, report.status)
                self.stated[report.order_ref] = max(report.filled, self.stated.get(report.order_ref, ZERO))
                if report.code is not None:
                    self.remarks[report.order_ref] = report
            case Fill():
                self._fills[split_execution_id(report.execution_id)[0]] = report
            case CommissionReport() if report.currency == CURRENCY:
                self._commissions[split_execution_id(report.execution_id)[0]] = report.commission

    @property
    def fills(self) -> tuple[Fill, ...]:
        """Every execution."""
        return tuple(self._fills.values())

    @property
    def commissions(self) -> dict[str, Decimal]:
        """USD by the execution ids of :attr:`fills`, as far as known and in dollars."""
        return {
            fill.execution_id: self._commissions[execution]
            for execution, fill in self._fills.items()
            if execution in self._commissions
        }

    def filled(self, order_ref: str) -> Decimal:
        """Shares of an order filled so far, by the highest that the broker states."""
        return max(self.told(order_ref), self.stated.get(order_ref, ZERO))

    def told(self, order_ref: str) -> Decimal:
        """Shares of an order's executions so far."""
        return sum((fill.quantity for fill in self._fills.values() if fill.order_ref == order_ref), ZERO)


@dataclass(frozen=True, slots=True)
class Batch:
    """Orders that were sent together and have all ended.

    Attributes:
        fills: executions, and beside them what the broker states without telling the execution.
        rejections: of orders that the broker refused for good.
        unfilled: orders that ended short of their quantity without being refused, in words.
    """

    fills: tuple[Fill, ...] = ()
    commissions: Mapping[str, Decimal] = field(default_factory=dict)
    rejections: tuple[OrderRejected, ...] = ()
    unfilled: tuple[str, ...] = ()


class Trading:
    """The orders of one run, numbered through.

    Attributes:
        begun: something may have been sent.
    """

    def __init__(self, context: RunContext) -> None:
        self.begun = False
        self._context = context
        self._numbers = count(1)
        self._installation = context.run.installation()

    def send(self, tickets: Sequence[PricedOrder], instruments: Mapping[str, Instrument]) -> Batch:
        """Send orders and wait until each has ended; every intent and every report is on record.

        Raises:
            GatewayUnavailable: nothing was sent.
            RemovalRequested, NotNow: the rest was not sent, the others have ended; or the gateway has said nothing of
                an order, for which the account is halted now.
            OutcomeUnknown: the connection was lost or time ran out; some may still be working.
            LeaseLost, RecordUnavailable: the rest was not sent, and nobody watches the others: they are cancelled.
        """
        if not tickets:
            return Batch()
        require_acknowledged(self._context)
        requests = [self._request(ticket, instruments[ticket.order.symbol]) for ticket in tickets]
        self._context.run.intend([(ticket.order, request) for ticket, request in zip(tickets, requests, strict=True)])
        self.begun = True
        reports = Reports()
        try:
            self._see_through(requests, instruments, reports)
        except (LeaseLost, RecordUnavailable):
            cancel_unwatched(self._context, frozenset(request.order_ref for request in requests))
            raise
        prices = {request.order_ref: ticket.order.price for request, ticket in zip(requests, tickets, strict=True)}
        return _batch(requests, reports, prices)

    def _see_through(
        self, requests: Sequence[OrderRequest], instruments: Mapping[str, Instrument], reports: Reports
    ) -> None:
        refs = [request.order_ref for request in requests]
        try:
            self._follow(requests, instruments, reports)
        except OutcomeUnknown as lost:
            self._context.run.interrupted(refs, str(lost))
            raise
        except OrdersUnacknowledged as silence:
            log.error("orders_unacknowledged", orders=silence.orders)
            hold_for(self._context, silence.order_refs)
        except (GatewayUnavailable, RemovalRequested, NotNow):
            self._close(refs, reports)
            raise
        self._context.run.finalize(refs)

    def _follow(
        self, requests: Sequence[OrderRequest], instruments: Mapping[str, Instrument], reports: Reports
    ) -> None:
        before_each = self._context.checkpoint_for([instruments[request.symbol] for request in requests])
        context = self._context
        for batch in context.broker.execute(requests, context.policy.timeout_s, before_each, context.run.fence):
            context.run.heard(batch)
            for report in batch:
                reports.add(report)

    def _close(self, refs: Sequence[str], reports: Reports) -> None:
        """The batch was interrupted: what was sent has ended, the rest never left."""
        self._context.run.finalize([ref for ref in refs if ref in reports.status])
        self._context.run.never_sent([ref for ref in refs if ref not in reports.status], "the run stopped before")

    def _request(self, ticket: PricedOrder, instrument: Instrument) -> OrderRequest:
        claim = self._context.run.claim
        ref = OrderRef.of(claim.event_id, claim.attempt, next(self._numbers), self._installation)
        return request_of(self._context, ticket, instrument, str(ref))


def request_of(context: RunContext, ticket: PricedOrder, instrument: Instrument, ref: str) -> OrderRequest:
    """The order as the broker is to have it."""
    policy, order = context.policy, ticket.order
    return OrderRequest(
        order_ref=ref,
        account_id=context.account.account_id,
        symbol=order.symbol,
        contract_id=instrument.contract_id,
        side=order.side,
        quantity=order.quantity,
        order_type=ticket.order_type,
        time_in_force=policy.time_in_force,
        limit_price=ticket.limit_price,
        outside_regular_hours=policy.outside_regular_hours and ticket.order_type is OrderType.LIMIT,
    )


def _batch(requests: Sequence[OrderRequest], reports: Reports, prices: Mapping[str, Decimal]) -> Batch:
    """``prices``: the plan's, USD per share by order ref, for fills whose execution was not told."""
    rejections, unfilled = [], []
    for request in requests:
        if reports.filled(request.order_ref) >= request.quantity:
            continue
        remark = reports.remarks.get(request.order_ref)
        if remark is not None and remark.code is not None and remark.refused:
            rejections.append(OrderRejected(request.order_ref, remark.code, remark.text or ""))
        else:
            unfilled.append(_unfilled(request, reports, remark))
    stated = (fill for request in requests for fill in _stated(request, reports, prices[request.order_ref]))
    return Batch((*reports.fills, *stated), reports.commissions, tuple(rejections), tuple(unfilled))


def _stated(request: OrderRequest, reports: Reports, price: Decimal) -> Iterator[Fill]:
    """What the broker states as filled beyond its executions."""
    ref = request.order_ref
    untold = reports.filled(ref) - reports.told(ref)
    if untold > 0:
        yield Fill(
            order_ref=ref,
            execution_id=f"{ref} untold",
            at=datetime.now(UTC),
            account_id=request.account_id,
            symbol=request.symbol,
            side=request.side,
            quantity=untold,
            price=price,
            cumulative_quantity=reports.filled(ref),
            perm_id=0,
            stated_only=True,
            contract_id=request.contract_id,
        )


def _unfilled(request: OrderRequest, reports: Reports, remark: StatusUpdate | None) -> str:
    filled, status = reports.filled(request.order_ref), reports.status.get(request.order_ref)
    why = f", code {remark.code}: {remark.text}" if remark else ""
    return f"{request.side} {request.quantity} {request.symbol} ended as {status} with {filled} filled{why}"
