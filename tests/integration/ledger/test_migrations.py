"""The migrations lead to exactly the models, and back, with rows in place."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, select, text

from rebalancer.domain.commands import Command
from rebalancer.ledger import events, ownership, signal_intake
from rebalancer.ledger.admin import schema
from rebalancer.ledger.models import Base, Event
from rebalancer.ledger.session import Ledger
from rebalancer.ledger.signal_intake import Addressee, NewSignal
from rebalancer.runner.servers import running_postgres
from tests.tools.clusters import migrate


@pytest.fixture
def fresh() -> Iterator[str]:
    """URL of a PostgreSQL without any table."""
    with tempfile.TemporaryDirectory() as folder, running_postgres(Path(folder) / "postgres") as server:
        yield server.url


def tables(url: str) -> set[str]:
    with create_engine(url).connect() as connection:
        found = connection.scalars(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'"))
        return set(found) - {"alembic_version"}


HELD = {
    "DU1": ("halted: everything by me since 2026-11-26 09:00 UTC: holiday", "held", "halt", "all"),
    "DU2": ("halted: DU2 by me since 2026-11-26 09:00 UTC: lifted since", "held", "halt", "all"),
    "DU3": ("halted: DU3 by me since 2026-11-26 08:00 UTC: mine", "held", "halt", "DU3"),
    "DU4": ("needs approval: the account's approval mode is manual", "held", "approval", None),
    "DU5": ("needs approval: nobody is asked any more", "queued", None, None),
    "DU6": ("market closed for SPY until 2026-11-27 14:30 UTC", "held", "market_hours", None),
    "DU7": ("traded today at 15:00 UTC, once a day is allowed", "held", "pace", None),
    "DU8": ("traded on 2026-11-20, cooling down for 30 days", "held", "pace", None),
    "DU9": ("sale proceeds have to settle: buys of 5 USD wait", "held", "settlement", None),
    "DU10": ("clock_apart: the gateway's clock shows another day", "held", "clock_apart", None),
    "DU11": ("other_installation: client id 1 is in use", "held", "other_installation", None),
    "DU12": ("the gateway restarts, no new orders 23:45-00:45", "held", "gateway_restart", None),
    "DU13": ("approved", "queued", None, None),
    "DU14": ("a sentence of long ago", "queued", None, None),
    "DU15": ("busy", "held", "busy", None),
}
"""By account: the sentence of before; state, rule and the halt's scope of after."""


def test_why_events_wait_is_taken_over_from_their_sentences(fresh: str) -> None:
    schema.upgrade(fresh, "0013")
    with create_engine(fresh).begin() as connection:
        connection.execute(
            text(
                "INSERT INTO halts (scope, reason, by, since) VALUES ('all', 'holiday', 'me', now()),"
                " ('DU3', 'mine', 'me', now() - interval '1 hour')"
            )
        )
        for account, (reason, *_) in HELD.items():
            connection.execute(
                text(
                    "INSERT INTO events (id, account_id, command, exclusive, strategy, state, reason, data, due_at,"
                    " wanted, taken, attempt, times_queued, failures, refusals, crashes, dispatch_no,"
                    " needs_attention, remove_requested) VALUES (gen_random_uuid(), :account, 'rebalance', true, 's',"
                    " 'held', :reason, '{}', '9999-12-31', 1, 1, 1, 1, 0, 0, 0, 1, false, false)"
                ),
                {"account": account, "reason": reason},
            )
        connection.execute(
            text(
                "INSERT INTO approvals (event_id, attempt, account_id, plan, orders, reasons, state, expires_at)"
                " SELECT id, 1, account_id, '{}', '{}', '[]', 'pending', now() FROM events WHERE account_id = 'DU4'"
            )
        )
    migrate(fresh)
    with create_engine(fresh).connect() as connection:
        rows = connection.execute(
            text(
                "SELECT account_id, e.reason, state, rule, scope, due_at <= now() AS due FROM events e"
                " LEFT JOIN halts h ON h.id = halt_id"
            )
        ).all()
    assert {row.account_id: (row.reason, row.state, row.rule, row.scope) for row in rows} == HELD
    assert {row.account_id for row in rows if row.due} == {row.account_id for row in rows if row.state == "queued"}
    migrate(fresh, "0013")


def test_what_came_or_went_is_taken_over_from_the_looks(fresh: str) -> None:
    """Until 0016 it was worked out from all looks whenever somebody asked."""
    schema.upgrade(fresh, "0015")
    looks = [(1, 100, 50), (1, 90, 60), (2, 95, 60), (2, 80, 61), (3, 85, 61), (3, 85, 61)]
    with create_engine(fresh).begin() as connection:
        for event, *_ in dict.fromkeys(looks):
            connection.execute(
                text(
                    "INSERT INTO events (id, account_id, command, exclusive, strategy, state, reason, data, due_at,"
                    " wanted, taken, attempt, times_queued, failures, refusals, crashes, needs_attention,"
                    " remove_requested, dispatch_no) VALUES (md5(CAST(:event AS text))::uuid, 'DU1', 'print-equity',"
                    " false, 's', 'succeeded', 'done', '{}', now(), 1, 1, 1, 1, 0, 0, 0, false, false, 1)"
                    " ON CONFLICT DO NOTHING"
                ),
                {"event": event},
            )
        for at, (event, cash, shares) in enumerate(looks):
            connection.execute(
                text(
                    "INSERT INTO account_snapshots (account_id, event_id, attempt, moment, at, net_liquidation, cash,"
                    " positions) SELECT 'DU1', md5(CAST(:event AS text))::uuid, 1, 'before',"
                    " now() + :at * interval '1 hour', 100, :cash, jsonb_build_array("
                    "jsonb_build_object('symbol', 'SPY', 'quantity', :shares),"
                    " jsonb_build_object('symbol', 'GLD', 'quantity', '0'))"
                ),
                {"event": event, "at": at, "cash": cash, "shares": f"{shares}"},
            )
    migrate(fresh)
    with create_engine(fresh).connect() as connection:
        flows = connection.scalars(text("SELECT flow FROM account_snapshots ORDER BY at")).all()
    assert flows == [None, None, 5, None, 5, None]
    migrate(fresh, "0015")


def test_unserved_wishes_keep_their_kind_and_served_ones_are_not_run_again(fresh: str) -> None:
    """Until 0014 the newest signal's data made all signals of an event one kind of rebalance."""
    schema.upgrade(fresh, "0013")
    asked = [
        ("cli", '{"kind": "raise-cash", "amount": "5e3"}', 1),
        ("blend", '{"exec": "rebalance", "kind": "buy-only"}', 2),
        ("api", '{"kind": "buy-only"}', 3),
        ("cli", '{"kind": "raise-cash", "amount": 17.5}', 4),
    ]
    with create_engine(fresh).begin() as connection:
        connection.execute(
            text(
                "INSERT INTO events (id, account_id, command, exclusive, strategy, state, reason, data, due_at, wanted,"
                " taken, attempt, times_queued, failures, refusals, crashes, dispatch_no, needs_attention,"
                " remove_requested) VALUES (gen_random_uuid(), 'DU1', 'rebalance', true, 's', 'queued', 'new', '{}',"
                " now(), 4, 1, 1, 1, 0, 0, 0, 1, false, false);"
                "INSERT INTO attempts (event_id, number, taken, worker, outcome)"
                " SELECT id, 1, 1, 'w', 'succeeded' FROM events"
            )
        )
        for channel, payload, wish in asked:
            connection.execute(
                text(
                    "WITH made AS (INSERT INTO signals (channel, message_id, state, command, payload)"
                    " VALUES (:channel, :wish, 'accepted', 'rebalance', CAST(:payload AS jsonb)) RETURNING id)"
                    " INSERT INTO signal_events (signal_id, event_id, wish) SELECT made.id, events.id, :wish"
                    " FROM made, events"
                ),
                {"channel": channel, "payload": payload, "wish": wish},
            )
    migrate(fresh)
    ledger = Ledger(fresh)
    ran = []
    with ledger.begin() as session:
        event_id = session.scalars(select(Event.id)).one()
    while (claim := ownership.claim(ledger, event_id, "w", timedelta(minutes=1))) is not None:
        ran.append((str(claim.kind.mode), str(claim.kind.amount)))
        with ledger.begin() as session:
            events.succeed(session, claim, {})
    ledger.close()
    assert ran == [("full", "0"), ("buy-only", "0"), ("raise-cash", "17.5")], "the first sum has been raised"


def test_migrations_equal_the_models_and_lead_back(fresh: str) -> None:
    migrate(fresh)
    with create_engine(fresh).connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_server_default": True})
        assert compare_metadata(context, Base.metadata) == []
    ledger = Ledger(fresh)
    with ledger.begin() as session:
        signal = NewSignal("blend", "m1", Command.REBALANCE, {"exec": "rebalance"})
        signal_intake.record(session, signal, [Addressee("DU1", "blend")])
    ledger.close()
    migrate(fresh, "0001")
    migrate(fresh)
    with create_engine(fresh).connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM events")) == 1
    migrate(fresh, "base")
    assert tables(fresh) == set()
