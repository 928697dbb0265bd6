"""Equity by day costs what its days cost, however often the accounts were looked at."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import text

from rebalancer.ledger.queries import money
from rebalancer.ledger.session import Ledger
from tests.ledger_rows import add_event
from tests.processor_time import with_its_server

ACCOUNTS = [f"DU100000{number}" for number in range(1, 8)]
A_YEAR = 364
"""Days before today; tomorrow's looks are none yet."""
FILL = """
INSERT INTO account_snapshots (account_id, event_id, attempt, moment, at, net_liquidation, cash, positions)
SELECT account_id, id, 1, 'before', date_trunc('day', now(), 'UTC') - day * interval '1 day'
    + look * interval '1 day' / :looks, 100000 + day, 1000, '[]'
FROM events, generate_series(1, :days) AS day, generate_series(0, :looks - 1) AS look
"""
ROUNDS = 5
MOST = 6
"""Times as long as with one look a day; reading every look takes seventeen."""


def test_a_year_with_two_hundred_thousand_looks_is_read_like_one_with_a_look_a_day(ledger: Ledger) -> None:
    with ledger.begin() as session:
        for account_id in ACCOUNTS:
            add_event(session, account_id, command="print-equity", state="succeeded")
    few, days_of_few = read(ledger, looks=1)
    with ledger.begin() as session:
        session.execute(text("DELETE FROM account_snapshots"))
    many, days_of_many = read(ledger, looks=79)
    assert days_of_many == days_of_few
    assert (len(days_of_many), days_of_many[-1].equity) == (A_YEAR, 7 * 100_001)
    assert many <= MOST * few, f"{many * 1000:.0f} ms over {few * 1000:.0f} ms"


def read(ledger: Ledger, looks: int) -> tuple[float, list[money.Day]]:
    """The least seconds of processor that a year takes with so many looks a day, and the year."""
    with ledger.begin() as session:
        session.execute(text(FILL), {"days": A_YEAR, "looks": looks})
    with ledger.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE account_snapshots"))
    since = datetime.now(UTC) - timedelta(days=A_YEAR)
    times, found = [], list[money.Day]()
    with with_its_server(ledger) as spent_s:
        for _ in range(ROUNDS):
            with ledger.begin() as session:
                before = spent_s()
                found = money.days(session, ACCOUNTS, since)
                times.append(spent_s() - before)
    return min(times), found
