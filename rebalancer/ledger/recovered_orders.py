"""Orders of ours that the broker has carried out and a restored ledger does not know: they were sent after the backup.

They go on record with what the broker still knows of them: the once-a-day guard and the day's limits must count them.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Text, cast, func, select
from sqlalchemy.dialects.postgresql import insert

from rebalancer.domain.claims import Claim
from rebalancer.domain.commands import Command
from rebalancer.domain.currencies import CurrencyPair
from rebalancer.domain.money import ZERO
from rebalancer.domain.order_refs import OrderRef
from rebalancer.domain.orders import OrderTrace
from rebalancer.ledger import orders
from rebalancer.ledger.installations import RESTORE
from rebalancer.ledger.models import EXCHANGED, STOCK, Event, HaltRow, Order
from rebalancer.ledger.prepared import Prepared
from rebalancer.ledger.session import Session
from rebalancer.ledger.states import EventState

REACH = timedelta(days=7)
"""No gateway tells of executions that are older."""
REASON = "sent after the backup that was restored; found at the broker"

_RESTORED_AT = Prepared(
    "restored_at", select(func.max(HaltRow.since)).where(HaltRow.by == RESTORE, HaltRow.since > func.now() - REACH)
)


def restored_at(session: Session) -> datetime | None:
    """When this ledger was last restored, if so lately that the broker may know of orders that were lost with it."""
    found: datetime | None = _RESTORED_AT.scalar(session)
    return found


def record(session: Session, claim: Claim, traces: Iterable[OrderTrace]) -> None:
    """Put filled orders of the claim's account on record, settled, under the event that sent them."""
    for trace in traces:
        if not trace.fills:
            continue
        begun = min(fill.at for fill in trace.fills)
        session.add(_order(trace, _event(session, claim, trace.order_ref, begun), begun))
        session.flush()
        orders.record_trace(session, trace)


def _event(session: Session, claim: Claim, order_ref: str, begun: datetime) -> UUID:
    """The event of that order; one that was lost as well gets a place holder, which has ended."""
    start = order_ref[:12]
    known = session.scalar(
        select(Event.id).where(
            Event.account_id == claim.account_id, cast(Event.id, Text).startswith(f"{start[:8]}-{start[8:]}-")
        )
    )
    if known is not None:
        return known
    event_id = UUID(f"{start}{'0' * 20}")
    lost = insert(Event).values(
        id=event_id,
        account_id=claim.account_id,
        command=Command.REBALANCE,
        exclusive=True,
        strategy=claim.strategy,
        state=EventState.REMOVED,
        reason=REASON,
        data={},
        created_at=begun,
        due_at=begun,
        finished_at=func.now(),
    )
    session.execute(lost)
    return event_id


def _order(trace: OrderTrace, event_id: UUID, begun: datetime) -> Order:
    """What was asked for is lost: the quantity is what was filled, the price what it came to."""
    ref = OrderRef.read(trace.order_ref)
    first, filled = trace.fills[0], sum((fill.quantity for fill in trace.fills), ZERO)
    return Order(
        order_ref=trace.order_ref,
        event_id=event_id,
        attempt=ref.attempt if ref else 0,
        account_id=first.account_id,
        symbol=first.symbol,
        contract_id=0,
        security_type=EXCHANGED if CurrencyPair.read(first.symbol) else STOCK,
        side=first.side,
        quantity=int(filled.to_integral_value()) or 1,
        order_type="unknown",
        time_in_force="unknown",
        planned_price=sum((fill.quantity * fill.price for fill in trace.fills), ZERO) / filled,
        planned_fee=ZERO,
        reason=REASON,
        status=trace.status,
        created_at=begun,
    )
