"""Sending orders in batches and following them to their end, everything on record."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from itertools import count

import structlog

from rebalancer.domain.currencies import USD
from rebalancer.domain.errors import (
    GatewayUnavailable,
    LeaseLost,
    OrderRejected,
    OrdersUnacknowledged,
    OutcomeUnknown,
    RecordUnavailable,
    RemovalRequested,
)
from rebalancer.domain.order_progress import OrderProgress, addressees
from rebalancer.domain.order_refs import OrderRef
from rebalancer.domain.orders import Fill, Instrument, OrderRequest, OrderUpdate, StatusUpdate
from rebalancer.domain.portfolio import OrderType
from rebalancer.planning.buying_power import PricedOrder
from rebalancer.usecases.close_out import cancel_unwatched
from rebalancer.usecases.context import NotNow, RunContext
from rebalancer.usecases.unacknowledged_orders import hold_for, require_acknowledged

log = structlog.get_logger()


@dataclass(slots=True)
class Reports:
    """What the broker has said of a batch of orders so far.

    Attributes:
        orders: by order ref, those of which anything was said.
        remarks: the last status of each that came with a code.
    """

    orders: dict[str, OrderProgress] = field(default_factory=dict)
    remarks: dict[str, StatusUpdate] = field(default_factory=dict)

    def add(self, report: OrderUpdate) -> None:
        """Take one report in."""
        for ref in addressees(report, tuple(self.orders)):
            self.orders[ref] = self.of(ref).after(report)
        if isinstance(report, StatusUpdate) and report.code is not None:
            self.remarks[report.order_ref] = report

    def of(self, order_ref: str) -> OrderProgress:
        """One order."""
        return self.orders.get(order_ref, OrderProgress())

    @property
    def fills(self) -> tuple[Fill, ...]:
        """Every execution."""
        return tuple(fill for order in self.orders.values() for fill in order.fills.values())

    @property
    def commissions(self) -> dict[str, Decimal]:
        """USD by the execution ids of :attr:`fills`, as far as known and in dollars."""
        return {
            fill.execution_id: charged.commission
            for order in self.orders.values()
            for execution, fill in order.fills.items()
            if (charged := order.commissions.get(execution)) is not None and charged.currency == USD
        }


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
        self._context.run.finalize([ref for ref in refs if ref in reports.orders])
        self._context.run.never_sent([ref for ref in refs if ref not in reports.orders], "the run stopped before")

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
        security_type=instrument.security_type,
    )


def _batch(requests: Sequence[OrderRequest], reports: Reports, prices: Mapping[str, Decimal]) -> Batch:
    """``prices``: the plan's, USD per share by order ref, for fills whose execution was not told."""
    rejections, unfilled = [], []
    for request in requests:
        if reports.of(request.order_ref).filled >= request.quantity:
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
    ref, progress = request.order_ref, reports.of(request.order_ref)
    if progress.filled > progress.told:
        yield Fill(
            order_ref=ref,
            execution_id=f"{ref} untold",
            at=datetime.now(UTC),
            account_id=request.account_id,
            symbol=request.symbol,
            side=request.side,
            quantity=progress.filled - progress.told,
            price=price,
            cumulative_quantity=progress.filled,
            perm_id=0,
            stated_only=True,
            contract_id=request.contract_id,
        )


def _unfilled(request: OrderRequest, reports: Reports, remark: StatusUpdate | None) -> str:
    progress = reports.of(request.order_ref)
    end = f"ended as {progress.status} with {progress.filled} filled"
    why = f", code {remark.code}: {remark.text}" if remark else ""
    return f"{request.side} {request.quantity} {request.symbol} {end}{why}"
