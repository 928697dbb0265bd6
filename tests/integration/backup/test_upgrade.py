"""The database of the release before, with events in flight, under this release: in place, and from its backup."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select, text

from rebalancer.backup import make_backup, restore
from rebalancer.ledger import approvals, events, halts, ownership, sent_orders
from rebalancer.ledger.admin import schema
from rebalancer.ledger.models import Event
from rebalancer.ledger.session import Ledger
from rebalancer.runner.servers import running_postgres
from tests.backup_keys import KEY, SEALING

RELEASED = "0005"
NOW = datetime.now(UTC)
FLIGHT = {
    "DU1": ("queued", "new", {}),
    "DU2": ("retrying", "retry", {"attempt": "2", "failures": "2", "last_error": "'GatewayUnavailable: away'"}),
    "DU3": ("held", "halted: everything by me since yesterday", {"attempt": "1"}),
    "DU4": (
        "running",
        "running",
        {"attempt": "1", "worker": "'gone/1/1.00'", "lease_until": "now() - interval '1 hour'"},
    ),
    "DU5": ("succeeded", "done", {"attempt": "1", "finished_at": "now()"}),
}
"""State, reason and further columns by account, as the release before wrote them."""
ROW = {
    "id": "gen_random_uuid()",
    "command": "'rebalance'",
    "exclusive": "true",
    "strategy": "'blend'",
    "data": "'{}'",
    "due_at": "now()",
    **dict.fromkeys(("wanted", "taken", "times_queued"), "1"),
    **dict.fromkeys(("attempt", "failures", "refusals", "crashes", "dispatch_no"), "0"),
    **dict.fromkeys(("needs_attention", "remove_requested"), "false"),
}
BELONGING = """
INSERT INTO attempts (event_id, number, taken, worker, outcome)
  SELECT id, attempt, 1, 'w', CASE state WHEN 'running' THEN NULL ELSE 'failed' END FROM events WHERE attempt > 0;
INSERT INTO orders (order_ref, event_id, attempt, account_id, symbol, contract_id, side, quantity, order_type,
    time_in_force, planned_price, planned_fee, reason, status, filled)
  SELECT 'ref-' || account_id, id, 1, account_id, 'SPY', 1, 'BUY', 5, 'MKT', 'DAY', 100, 1, 'below', 'Submitted', 2
  FROM events WHERE state = 'running';
INSERT INTO approvals (event_id, attempt, account_id, plan, orders, reasons, state, expires_at)
  SELECT id, 1, account_id, '{}', '{}', '["large"]', 'pending', now() + interval '1 day' FROM events
  WHERE state = 'held';
INSERT INTO halts (scope, reason, by) VALUES ('all', 'holiday', 'me');
"""


@pytest.fixture
def released() -> Iterator[Ledger]:
    """A ledger of the release before."""
    with tempfile.TemporaryDirectory() as folder, running_postgres(Path(folder) / "postgres") as server:
        schema.upgrade(server.url, RELEASED)
        ledger = Ledger(server.url)
        with ledger.begin() as session:
            for account, (state, reason, more) in FLIGHT.items():
                row = ROW | {"account_id": f"'{account}'", "state": f"'{state}'", "reason": f"'{reason}'"} | more
                columns, values = ", ".join(row), ", ".join(row.values())
                session.execute(text(f"INSERT INTO events ({columns}) VALUES ({values})"))  # noqa: S608 - ours
            session.execute(text(BELONGING))
        ledger.close()
        yield ledger
        ledger.close()


def states(ledger: Ledger) -> dict[str, str]:
    with ledger.begin() as session:
        return {row.account_id: row.state for row in session.scalars(select(Event))}


def test_what_was_in_flight_goes_on_after_an_upgrade_in_place(released: Ledger) -> None:
    schema.upgrade(released.url)
    assert states(released) == {account: state for account, (state, _, _) in FLIGHT.items()}
    with released.begin() as session:
        assert [one.account_id for one in events.reap(session, timedelta(), timedelta())] == ["DU4"]
        assert [order.order_ref for order in sent_orders.unresolved_orders(session, "DU4")] == ["ref-DU4"]
        assert [one.account_id for one in approvals.pending(session)] == ["DU3"]
        assert len(halts.resume(session, "all", "me") or []) == 1
        waiting = list(session.scalars(select(Event.id).where(Event.state.in_(("queued", "retrying", "held")))))
    claims = [ownership.claim(released, event_id, "w", timedelta(minutes=1)) for event_id in waiting]
    assert sorted(claim.account_id for claim in claims if claim) == ["DU1", "DU2", "DU3", "DU4"]


def test_a_backup_of_the_release_before_is_restored_by_this_one(released: Ledger, tmp_path: Path) -> None:
    path = make_backup(released.url, tmp_path / "before.dump", NOW, SEALING).path
    schema.upgrade(released.url)
    released.close()
    back = restore(released.url, path, KEY, replace=True)
    assert back.migrated
    assert states(released) == dict.fromkeys(("DU1", "DU2", "DU3", "DU4"), "held") | {"DU5": "succeeded"}
    with released.begin() as session:
        (halt,) = halts.in_force(session)
        assert halt.by == "restore"
        assert halt.reason.endswith("before that: holiday")
        assert [order.order_ref for order in sent_orders.unresolved_orders(session, "DU4")] == ["ref-DU4"]
