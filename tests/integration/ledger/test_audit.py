"""The audit finds what is wrong: each question is asked of a ledger in which it has an answer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

from sqlalchemy import update

from rebalancer.ledger.models import Attempt, Event, Signal, SignalEvent
from rebalancer.ledger.queries import invariants
from rebalancer.ledger.session import Ledger, Session

NOON = datetime(2026, 6, 24, 12, tzinfo=UTC)


def add_event(session: Session, *, account: str = "DU1", command: str = "rebalance", state: str = "succeeded") -> UUID:
    event_id = uuid4()
    session.add(
        Event(
            id=event_id,
            account_id=account,
            command=command,
            exclusive=command in {"rebalance", "cancel-orders"},
            strategy="blend",
            state=state,
            reason="",
            data={},
            due_at=NOON,
        )
    )
    session.flush()
    return event_id


def add_attempt(
    session: Session,
    event_id: UUID,
    number: int,
    observed: int,
    *,
    at: int = 0,
    lasts: int = 10,
    outcome: str = "succeeded",
) -> None:
    started = NOON + timedelta(seconds=at)
    session.add(
        Attempt(
            event_id=event_id,
            number=number,
            observed_generation=observed,
            worker="w",
            started_at=started,
            finished_at=started + timedelta(seconds=lasts),
            outcome=outcome,
        )
    )


def add_signal(session: Session, name: str, event_id: UUID | None = None, wish: int = 1) -> None:
    signal = Signal(channel="blend", message_id=name, state="accepted")
    session.add(signal)
    session.flush()
    if event_id is not None:
        session.add(SignalEvent(signal_id=signal.id, event_id=event_id, request_no=wish))


def test_a_sound_ledger_has_nothing_to_answer(ledger: Ledger) -> None:
    with ledger.begin() as session:
        event_id = add_event(session)
        for wish, name in enumerate("ab", start=1):
            add_signal(session, name, event_id, wish)
        add_attempt(session, event_id, 1, 1, outcome="failed")
        add_attempt(session, event_id, 2, 1, at=10)
        add_attempt(session, event_id, 3, 2, at=20)
        add_attempt(session, add_event(session, account="DU2"), 1, 1, at=5)
        add_attempt(session, add_event(session, command="print-equity"), 1, 1, at=5)
    with ledger.begin() as session:
        assert invariants.unserved(session) == []
        assert invariants.repeated(session) == []
        assert invariants.overlaps(session) == []
        assert [row.message_id for row in invariants.recorded(session, ["blend"])] == ["a", "b"]
        assert invariants.active(session) == 0


def test_signals_that_no_success_covers_are_unserved(ledger: Ledger) -> None:
    with ledger.begin() as session:
        event_id = add_event(session, state="queued")
        add_signal(session, "served", event_id, 1)
        add_signal(session, "came later", event_id, 2)
        add_signal(session, "without an event")
        add_attempt(session, event_id, 1, 1)
        add_attempt(session, event_id, 2, 2, at=20, outcome="failed")
        add_signal(session, "removed by a person", add_event(session, account="DU2", state="removed"))
    with ledger.begin() as session:
        assert [one.message_id for one in invariants.unserved(session)] == ["came later", "without an event"]
        assert invariants.active(session) == 1


def test_a_success_without_a_new_wish_is_a_repetition(ledger: Ledger) -> None:
    with ledger.begin() as session:
        event_id = add_event(session)
        add_attempt(session, event_id, 1, 2)
        add_attempt(session, event_id, 2, 2, at=20)
    with ledger.begin() as session:
        assert invariants.repeated(session) == [(event_id, 2)]


def test_another_kind_of_rebalance_serves_no_signal_and_is_no_repetition(ledger: Ledger) -> None:
    with ledger.begin() as session:
        event_id = add_event(session)
        add_signal(session, "full", event_id, 1)
        add_signal(session, "cash", event_id, 2)
        session.execute(update(SignalEvent).where(SignalEvent.request_no == 2).values(kind="raise-cash", amount=5))
        for number, (kind, amount) in enumerate((("raise-cash", 4), ("buy-only", 0), ("raise-cash", 6)), start=1):
            add_attempt(session, event_id, number, 2, at=20 * number)
            session.execute(update(Attempt).where(Attempt.number == number).values(kind=kind, amount=amount))
    with ledger.begin() as session:
        assert [one.message_id for one in invariants.unserved(session)] == ["full"]
        assert invariants.repeated(session) == []
        session.execute(update(Attempt).where(Attempt.number == 1).values(amount=6))
        assert invariants.repeated(session) == [(event_id, 3)]


def test_runs_at_once_on_one_account_are_found(ledger: Ledger) -> None:
    with ledger.begin() as session:
        first, second = add_event(session), add_event(session, command="cancel-orders")
        add_attempt(session, first, 1, 1, lasts=10)
        add_attempt(session, second, 1, 1, at=5)
        alone = add_event(session, account="DU2", command="print-equity")
        add_attempt(session, alone, 1, 1, lasts=10, outcome="lost")
        add_attempt(session, alone, 2, 1, at=9)
    with ledger.begin() as session:
        found = {(each.account_id, each.first, each.second) for each in invariants.overlaps(session)}
    assert found == {("DU1", (first, 1), (second, 1)), ("DU2", (alone, 1), (alone, 2))}
