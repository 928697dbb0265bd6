"""Who owns an event: the claim that takes it, and what its holder proves before it changes anything."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from sqlalchemy import Interval, bindparam, func, select, text, update

from rebalancer.domain.accounts import MAIN_GATEWAY
from rebalancer.domain.claims import Claim
from rebalancer.domain.commands import Command
from rebalancer.domain.errors import LeaseLost, RecordUnavailable, RemovalRequested
from rebalancer.domain.rebalance_kinds import RebalanceKind
from rebalancer.domain.units import Usd
from rebalancer.ledger import cash_plans, outstanding
from rebalancer.ledger.dispatch_claims import account_busy, postpone_busy
from rebalancer.ledger.models import Attempt, Event
from rebalancer.ledger.prepared import Prepared
from rebalancer.ledger.session import Ledger, Session
from rebalancer.ledger.states import WAITING, EventState
from rebalancer.ledger.transitions import OWNED, named, owned_by, unless_removed

_WAIT_BRIEFLY = text("SET LOCAL lock_timeout = '300ms'")
"""It and a batch of signals may wait for each other; PostgreSQL would end either after a second."""


_OWNER = Prepared("owner", select(Event.id).where(OWNED).with_for_update(read=True))
_HOLDER = Prepared(
    "holder", select(Event.remove_requested).where(OWNED, Event.lease_until > func.now()).with_for_update(read=True)
)


_TAKE = (
    update(Event)
    .where(
        Event.id == bindparam("of_event"),
        Event.state.in_(WAITING),
        Event.due_at <= func.now(),
        Event.gateway == bindparam("at_gateway"),
        ~account_busy(),
    )
    .values(
        state=EventState.RUNNING,
        reason=unless_removed("running"),
        rule=None,
        halt_id=None,
        attempt=Event.attempt + 1,
        observed_generation=Event.requested_generation,
        lease_until=func.now() + bindparam("for_length", type_=Interval()),
        worker=bindparam("by_worker"),
    )
    .returning(Event, cash_plans.kept_cash().label("kept_cash"))
    .execution_options(synchronize_session=False)
)
"""Built once; nothing that it changes is loaded in its transaction."""


def claim(ledger: Ledger, event_id: UUID, worker: str, lease: timedelta, gateway: str = MAIN_GATEWAY) -> Claim | None:
    """Claim a due event of the worker's gateway, whatever queue its message came by.

    Returns:
        ``None`` when there is nothing to claim: a duplicate, late or stale message; or the account's orders are in
        another run's hands, in which case the event becomes due again shortly.
    """
    try:
        with ledger.begin() as session:
            session.execute(_WAIT_BRIEFLY)
            claimed = _claim(session, event_id, worker, lease, gateway)
        if claimed is not None:
            return claimed
    except RecordUnavailable as refused:
        if "uq_events_one_hand" not in refused.reason and "lock timeout" not in refused.reason:
            raise
    with ledger.begin() as session:
        postpone_busy(session, event_id)
    return None


def _claim(
    session: Session, event_id: UUID, worker: str, lease: timedelta, gateway: str = MAIN_GATEWAY
) -> Claim | None:
    """The unique index alone would do, but a claim that runs into it waits for the transaction of whoever holds it,
    and that may be a batch of signals that waits for this event.
    """
    given = {"of_event": event_id, "by_worker": worker, "for_length": lease, "at_gateway": gateway}
    taken = session.execute(_TAKE, given).one_or_none()
    if taken is None:
        return None
    event, kept_cash = taken
    left = outstanding.left(session, event.id, Command(event.command), event.observed_generation)
    kind = next(iter(left), RebalanceKind())
    session.add(
        Attempt(
            event_id=event.id,
            number=event.attempt,
            observed_generation=event.observed_generation,
            kind=kind.mode,
            amount=kind.amount,
            worker=worker,
            started_at=func.clock_timestamp(),  # the transaction may have waited for the end of the run before
        )
    )
    return Claim(
        event_id=event.id,
        attempt=event.attempt,
        account_id=event.account_id,
        command=Command(event.command),
        strategy=event.strategy,
        kind=kind,
        observed_generation=event.observed_generation,
        times_queued=event.times_queued,
        failures=event.failures,
        refusals=event.refusals,
        needs_attention=event.needs_attention,
        removed=event.remove_requested,
        worker=worker,
        kept_cash=Usd(kept_cash),
    )


def renew(session: Session, claim: Claim, lease: timedelta) -> bool:
    """Extend the lease.

    Returns:
        True when an operator asked for the event's removal.

    Raises:
        LeaseLost: it had run out, or another attempt owns the event.
    """
    wanted = session.execute(
        update(Event)
        .where(owned_by(claim), Event.lease_until > func.now())
        .values(lease_until=func.now() + lease)
        .returning(Event.remove_requested)
    ).one_or_none()
    if wanted is None:
        raise LeaseLost(f"attempt {claim.attempt} of event {claim.event_id} no longer holds its lease")
    return bool(wanted.remove_requested)


def require_owned(session: Session, claim: Claim) -> None:
    """Let nobody else have the event before this transaction ends.

    Raises:
        LeaseLost: another attempt owns it.
    """
    if _OWNER.scalar(session, named(claim)) is None:
        raise LeaseLost(f"attempt {claim.attempt} of event {claim.event_id} no longer owns it; nothing goes on record")


def require_wanted(session: Session, claim: Claim) -> None:
    """The same, as long as the lease lasts and nobody has asked for the event's removal.

    Raises:
        LeaseLost: the lease has run out, or another attempt owns the event.
        RemovalRequested: an operator removed it.
    """
    removed = _HOLDER.scalar(session, named(claim))
    if removed is None:
        raise LeaseLost(f"attempt {claim.attempt} of event {claim.event_id} no longer holds its lease")
    if removed:
        raise RemovalRequested(f"event {claim.event_id} was removed by an operator")
