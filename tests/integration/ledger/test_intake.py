"""A signal, its events and the mark that their first messages leave are one statement."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest
from sqlalchemy import select, text

from rebalancer.domain.commands import Command
from rebalancer.domain.errors import RecordUnavailable
from rebalancer.ledger import dispatch_claims, ownership, signal_intake
from rebalancer.ledger.models import Event, Signal, SignalEvent
from rebalancer.ledger.session import Ledger
from rebalancer.ledger.signal_intake import Addressee, NewSignal, Recorded

EVERYONE = [Addressee(f"DU{number}", "blend", gateway) for number, gateway in enumerate(("main", "second", "main"))]
ALL = len(EVERYONE)


def record(ledger: Ledger, at_once: int = ALL, command: Command = Command.REBALANCE, name: str = "") -> Recorded:
    with ledger.singly() as session:
        return signal_intake.record(session, NewSignal("blend", name or uuid4().hex, command, {}), EVERYONE, at_once)


def waiting(ledger: Ledger) -> set[str]:
    """Accounts of events whose message has not left."""
    with ledger.begin() as session:
        return {one.account_id for one in dispatch_claims.take_due(session, timedelta(seconds=60))}


def test_first_messages_leave_as_beat_would_have_numbered_them(ledger: Ledger) -> None:
    leaving = record(ledger).leaving
    assert [(one.account_id, one.gateway, one.strategy, one.command, one.dispatch_no) for one in leaving] == [
        (one.account_id, one.gateway, "blend", Command.REBALANCE, 1) for one in EVERYONE
    ]
    assert waiting(ledger) == set()


def test_no_more_leave_than_the_caller_publishes(ledger: Ledger) -> None:
    assert [one.account_id for one in record(ledger, at_once=1).leaving] == ["DU0"]
    assert waiting(ledger) == {"DU1", "DU2"}


def test_nothing_leaves_of_what_is_recorded_for_others_to_publish(ledger: Ledger) -> None:
    assert record(ledger, at_once=0).leaving == ()
    assert waiting(ledger) == {"DU0", "DU1", "DU2"}


def test_what_joins_an_event_brings_no_message(ledger: Ledger) -> None:
    record(ledger)
    again = record(ledger)
    assert ([one.created for one in again.served], again.leaving) == ([False] * ALL, ())


def test_the_same_message_again_brings_none_either(ledger: Ledger) -> None:
    first, again = record(ledger, name="m"), record(ledger, name="m")
    assert (again.duplicate, again.leaving, again.signal_id) == (True, (), first.signal_id)


def test_an_account_whose_orders_are_in_hands_waits_for_its_turn(ledger: Ledger) -> None:
    at_work = record(ledger).leaving[1]
    assert ownership.claim(ledger, at_work.event_id, "worker", timedelta(seconds=60), at_work.gateway)
    assert [one.account_id for one in record(ledger, command=Command.CANCEL_ORDERS).leaving] == ["DU0", "DU2"]
    assert [one.account_id for one in record(ledger, command=Command.PRINT_EQUITY).leaving] == ["DU0", "DU1", "DU2"]


def test_a_statement_that_is_refused_leaves_nothing_behind(ledger: Ledger) -> None:
    twice = [EVERYONE[0], EVERYONE[0]]
    signal = NewSignal("blend", "m", Command.REBALANCE, {})
    with pytest.raises(RecordUnavailable, match="cannot affect row a second time"), ledger.singly() as session:
        signal_intake.record(session, signal, twice, ALL)
    with ledger.begin() as session:
        assert [session.scalars(select(table)).all() for table in (Signal, Event, SignalEvent)] == [[], [], []]


def test_it_is_planned_once(ledger: Ledger) -> None:
    """PostgreSQL does that by itself as long as the plan for any signal looks no dearer than one for each."""
    with ledger.singly() as session:
        for _ in range(8):
            signal_intake.record(session, NewSignal("blend", uuid4().hex, Command.REBALANCE, {}), EVERYONE, ALL)
        said = session.execute(
            text("SELECT custom_plans, generic_plans > 0 FROM pg_prepared_statements WHERE name = 'record_signal'")
        )
        assert tuple(said.one()) == (5, True)
