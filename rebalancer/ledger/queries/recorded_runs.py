"""What was decided in live runs, for who decides it once more."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, select

from rebalancer.domain.commands import Command
from rebalancer.ledger.models import Attempt, Event, Order
from rebalancer.ledger.queries.spans import Span
from rebalancer.ledger.session import Session
from rebalancer.ledger.states import Outcome
from rebalancer.planning.changed_rules import RuleChanges
from rebalancer.planning.recorded import recorded_inputs
from rebalancer.planning.recorded_conversions import recorded_terms
from rebalancer.replay.runs import RecordedRun, Replay, replay, together


def replayed(session: Session, account_ids: Iterable[str], span: Span, changes: RuleChanges) -> Replay:
    """The runs of some accounts by changed rules."""
    return together(replay(recorded_runs(session, one, span), changes) for one in account_ids)


def recorded_runs(session: Session, account_id: str, span: Span) -> Iterator[RecordedRun]:
    """Every plan of an account's live runs, oldest first; of a run that planned more than once, each."""
    sent = _sent(session, account_id, span)
    for attempt in session.scalars(_attempts(account_id, span).execution_options(yield_per=100)):
        yield from _plans_of(attempt, account_id, sent[attempt.event_id, attempt.number])


def _attempts(account_id: str, span: Span) -> Select[Attempt]:
    return (
        select(Attempt)
        .join(Event, Event.id == Attempt.event_id)
        .where(Event.account_id == account_id, Event.command == Command.REBALANCE, Attempt.plan.is_not(None))
        .where(*span.holds(Attempt.started_at))
        .order_by(Attempt.started_at, Attempt.event_id, Attempt.number)
    )


def _sent(session: Session, account_id: str, span: Span) -> dict[tuple[UUID, int], list[datetime]]:
    """When the orders of each attempt that filled at all were decided on."""
    chosen = select(Order.event_id, Order.attempt, Order.created_at).where(
        Order.account_id == account_id, Order.filled > 0, *span.from_then_on(Order.created_at)
    )
    found: dict[tuple[UUID, int], list[datetime]] = defaultdict(list)
    for event_id, attempt, at in session.execute(chosen):
        found[event_id, attempt].append(at)
    return found


def _plans_of(attempt: Attempt, account_id: str, sent: Sequence[datetime]) -> Iterator[RecordedRun]:
    """A plan is carried out if orders that filled were sent before the next one, or if it is a success' last."""
    plans = [(attempt.inputs, attempt.plan)]
    plans += [(one["inputs"], one["plan"]) for one in attempt.plan.get("further_rounds", [])]
    begins = [_looked_at(inputs) for inputs, _ in plans]
    for (inputs, plan), begin, end in zip(plans, begins, [*begins[1:], None], strict=True):
        orders = any(begin <= at and (end is None or at < end) for at in sent)
        last_of_success = end is None and attempt.outcome == Outcome.SUCCEEDED
        yield RecordedRun(
            account_id=account_id,
            event_id=attempt.event_id,
            at=attempt.started_at,
            inputs=recorded_inputs(inputs, account_id),
            plan=plan,
            carried_out=orders or last_of_success,
            terms=recorded_terms(inputs),
        )


def _looked_at(inputs: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(inputs["snapshot"]["at"])
