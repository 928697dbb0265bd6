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
    RebalancerError,
    RecordUnavailable,
    RemovalRequested,
)
from rebalancer.domain.order_progress import OrderProgress, addressees
from rebalancer.domain.order_refs import OrderRef
from rebalancer.domain.orders import Fill, Instrument, OrderRequest, OrderUpdate, StatusUpdate
from rebalancer.domain.portfolio import OrderType, TimeInForce
from rebalancer.planning.buying_power import PricedOrder
from rebalancer.usecases.close_out import cancel_unwatched
from rebalancer.usecases.context import NotNow, RunContext
from rebalancer.usecases.order_styles import StyleProgress
from rebalancer.usecases.reconciliation import recover
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


class _Interrupted(Exception):
    """Orders are not waited for any longer; the run ends, and whoever ends it cancels what is left of them."""

    def __init__(self, because: RebalancerError) -> None:
        super().__init__(str(because))
        self.because = because


def _patiently() -> None:
    """Orders that work as long as any are followed to their end."""


class Trading:
    """The orders of one run, numbered through.

    Attributes:
        begun: something may have been sent.
        styles: what the run has tried of them.
    """

    def __init__(self, context: RunContext) -> None:
        self.begun = False
        self.styles = StyleProgress()
        self._context = context
        self._numbers = count(1)
        self._installation = context.run.installation()

    def see_out(
        self, tickets: Sequence[PricedOrder], instruments: Mapping[str, Instrument], patience_s: float | None = None
    ) -> Batch:
        """As :meth:`send`; what does not end in time is cancelled, and what it filled is on record."""
        try:
            return self.send(tickets, instruments, patience_s)
        except OutcomeUnknown as late:
            recover(self._context, late)
            return Batch(unfilled=(str(late),))

    def send(
        self, tickets: Sequence[PricedOrder], instruments: Mapping[str, Instrument], patience_s: float | None = None
    ) -> Batch:
        """Send orders and wait until each has ended; every intent and every report is on record.

        Args:
            patience_s: how long they may work, meanwhile a halt or a removal ends the wait; ``None``: as long as any
                order, to their end.

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
        self.styles.sent(tickets)
        reports = Reports()
        try:
            self._see_through(requests, instruments, reports, patience_s)
        except (LeaseLost, RecordUnavailable):
            cancel_unwatched(self._context, frozenset(request.order_ref for request in requests))
            raise
        sent = {request.order_ref: ticket for request, ticket in zip(requests, tickets, strict=True)}
        return _batch(requests, reports, sent, self.styles)

    def _see_through(
        self,
        requests: Sequence[OrderRequest],
        instruments: Mapping[str, Instrument],
        reports: Reports,
        patience_s: float | None,
    ) -> None:
        refs = [request.order_ref for request in requests]
        try:
            self._follow(requests, instruments, reports, patience_s)
        except _Interrupted as interrupted:
            raise interrupted.because from interrupted
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
        self,
        requests: Sequence[OrderRequest],
        instruments: Mapping[str, Instrument],
        reports: Reports,
        patience_s: float | None,
    ) -> None:
        before_each = self._context.checkpoint_for([instruments[request.symbol] for request in requests])
        context = self._context
        timeout_s = context.policy.timeout_s if patience_s is None else patience_s
        amid = _patiently if patience_s is None else self._still_wanted
        for batch in context.broker.execute(requests, timeout_s, before_each, context.run.fence, amid):
            context.run.heard(batch)
            for report in batch:
                reports.add(report)

    def _still_wanted(self) -> None:
        """Asked while orders work that may do so for long.

        Raises:
            _Interrupted: a halt, a removal, a restart of the gateway; the orders still work.
            OutcomeUnknown: the turn to trade the account is lost.
        """
        try:
            self._context.checkpoint()
        except (RemovalRequested, NotNow) as because:
            raise _Interrupted(because) from because
        except GatewayUnavailable as lost:
            raise OutcomeUnknown(str(lost)) from lost

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
        time_in_force=policy.time_in_force if ticket.styling is None else TimeInForce.DAY,
        limit_price=ticket.limit_price,
        outside_regular_hours=policy.outside_regular_hours and ticket.order_type is OrderType.LIMIT,
        security_type=instrument.security_type,
        algorithm=ticket.algorithm,
        style=None if ticket.styling is None else ticket.styling.choice,
    )


def _batch(
    requests: Sequence[OrderRequest], reports: Reports, sent: Mapping[str, PricedOrder], styles: StyleProgress
) -> Batch:
    """``sent``: by order ref; its price counts for fills whose execution was not told."""
    rejections, unfilled = [], []
    for request in requests:
        if reports.of(request.order_ref).filled >= request.quantity:
            continue
        remark = reports.remarks.get(request.order_ref)
        if styles.refuses(sent[request.order_ref], remark):
            unfilled.append(_unfilled(request, reports, remark))
        elif remark is not None and remark.code is not None and remark.refused:
            rejections.append(OrderRejected(request.order_ref, remark.code, remark.text or ""))
        else:
            unfilled.append(_unfilled(request, reports, remark))
    stated = (fill for request in requests for fill in _stated(request, reports, sent[request.order_ref].order.price))
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
