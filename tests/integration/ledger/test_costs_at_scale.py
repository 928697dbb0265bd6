"""What a month's trading cost is read as fast as if the ledger held that month alone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import text

from rebalancer.costs.summary import CostSummary, together
from rebalancer.ledger.queries import costs
from rebalancer.ledger.queries.costs import OrderSpan
from rebalancer.ledger.session import Ledger
from tests.processor_time import with_its_server

ACCOUNTS, SYMBOLS, FILLS = 7, 10, 3
"""Each day an account has one run, with an order for each symbol, each in so many fills."""
MONTH = 21
DAYS = 1500
"""Of trading, six years: 105,000 orders and 315,000 fills."""
ROUNDS = 3
MOST = 3
"""Times as long as without the other years."""
FILL = """
CREATE TEMPORARY TABLE made ON COMMIT DROP AS
SELECT gen_random_uuid() AS id, 'DU100000' || account AS account_id, now() - day * interval '1 day' AS at
FROM generate_series(1, :accounts) AS account, generate_series(:first, :last) AS day;
INSERT INTO events (id, account_id, command, exclusive, strategy, state, reason, data, created_at, due_at, finished_at,
    wanted, taken, attempt, times_queued, failures, refusals, crashes, needs_attention, remove_requested, dispatch_no)
SELECT id, account_id, 'rebalance', true, 'blend', 'succeeded', 'done', '{}', at, at, at, 1, 1, 1, 1, 0, 0, 0, false,
    false, 1 FROM made;
INSERT INTO attempts (event_id, number, taken, worker, started_at, finished_at, outcome, inputs, plan)
SELECT id, 1, 1, 'w', at, at, 'succeeded', jsonb_build_object('quotes', (
    SELECT jsonb_object_agg('SYM' || symbol, jsonb_build_object('bid', '99.99', 'ask', '100.01', 'at', at::text,
        'data_type', 'live')) FROM generate_series(1, :symbols) AS symbol)), '{"orders": []}' FROM made;
INSERT INTO orders (order_ref, event_id, attempt, account_id, symbol, contract_id, side, quantity, order_type,
    time_in_force, planned_price, planned_fee, reason, status, filled, created_at, settled_at)
SELECT id || '-' || symbol, id, 1, account_id, 'SYM' || symbol, symbol, 'BUY', 30, 'MKT', 'DAY', 100.01, 1, 'below',
    'Filled', 30, at, at FROM made, generate_series(1, :symbols) AS symbol;
INSERT INTO fills (order_ref, execution, revision, account_id, symbol, side, at, quantity, price, commission, currency)
SELECT id || '-' || symbol, 'x' || fill, 1, account_id, 'SYM' || symbol, 'BUY', at, 10, 100 + fill / 100.0, 0.35, 'USD'
FROM made, generate_series(1, :symbols) AS symbol, generate_series(1, :fills) AS fill;
"""


def test_a_month_takes_no_longer_however_many_years_there_are(ledger: Ledger) -> None:
    fill(ledger, 1, MONTH)
    few, of_few = read(ledger)
    fill(ledger, MONTH + 40, MONTH + 40 + DAYS)
    many, of_many = read(ledger)
    assert of_many == of_few
    assert of_many.orders == ACCOUNTS * SYMBOLS * MONTH
    # Each order: 10 shares at 100.01, 100.02 and 100.03 for 100.00, and three commissions.
    assert of_many.shortfall.total * 100 == of_many.orders * (10 * (1 + 2 + 3) + 105)
    assert many <= MOST * few, f"{many * 1000:.0f} ms over {few * 1000:.0f} ms"


def fill(ledger: Ledger, first: int, last: int) -> None:
    days = {"accounts": ACCOUNTS, "symbols": SYMBOLS, "fills": FILLS, "first": first, "last": last}
    with ledger.begin() as session:
        session.execute(text("SET LOCAL session_replication_role = replica"))  # without looking up what refers to what
        session.execute(text("SET LOCAL statement_timeout = 0"))
        for statement in FILL.split(";\n"):
            if statement.strip():
                session.execute(text(statement), days)
    with ledger.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("SET statement_timeout = 0"))
        connection.execute(text("VACUUM ANALYZE orders, fills, attempts"))


def read(ledger: Ledger) -> tuple[float, CostSummary]:
    """The least seconds of processor that the last month takes, and what it cost."""
    span = OrderSpan(since=datetime.now(UTC) - timedelta(days=MONTH + 1))
    times, found = [], together([])
    with with_its_server(ledger) as spent_s:
        for _ in range(ROUNDS):
            before = spent_s()
            found = together(costs.sent_orders(ledger, span))
            times.append(spent_s() - before)
    return min(times), found
