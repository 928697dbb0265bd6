"""why an event waits, and what it is asked for: the rule and the halt that hold it, the kind of each wish, as data

Until here the reason, a sentence, said why. What holds each waiting event is read from it one last time; where it says
nothing that is known, or what it names is not there any more, the event runs now and finds out anew. And until here the
newest signal's data said what kind of rebalance all signals of an event were: what is still unserved gets its own back.
"""

from __future__ import annotations

from decimal import Decimal

import sqlalchemy as sa

from alembic import op

revision = '0014'
down_revision = '0013'

SENTENCES = {
    'needs approval: %': 'approval',
    'market closed for %': 'market_hours',
    'traded today at %': 'pace',
    'traded on %': 'pace',
    'sale proceeds have to settle: %': 'settlement',
    'clock_apart: %': 'clock_apart',
    'other_installation: %': 'other_installation',
    'the gateway restarts, %': 'gateway_restart',
}
BUSY = "state IN ('queued', 'retrying', 'held') AND reason = 'busy'"
UNSERVED = """
SELECT served.signal_id, served.event_id, payload FROM signal_events served
JOIN events ON id = served.event_id AND state IN ('queued', 'retrying', 'held', 'running')
JOIN signals ON signals.id = served.signal_id
WHERE channel IN ('api', 'cli') AND payload->>'kind' IN ('buy-only', 'raise-cash') AND payload->'exec' IS NULL
AND wish > (SELECT coalesce(max(attempts.taken), 0) FROM attempts
            WHERE event_id = served.event_id AND outcome = 'succeeded')
"""


def upgrade() -> None:
    """Lock and statement timeouts are set in env.py; keep each statement short."""
    op.add_column('events', sa.Column('rule', sa.Text(), nullable=True))
    op.add_column('events', sa.Column('halt_id', sa.BigInteger(), nullable=True))
    op.create_foreign_key(op.f('fk_events_halt_id'), 'events', 'halts', ['halt_id'], ['id'])
    for sentence, rule in SENTENCES.items():
        statement = sa.text("UPDATE events SET rule = :rule WHERE state = 'held' AND reason LIKE :sentence")
        op.get_bind().execute(statement, {'rule': rule, 'sentence': sentence})
    op.execute(f"UPDATE events SET rule = 'busy' WHERE {BUSY}")
    op.execute(
        "UPDATE events SET halt_id = (SELECT id FROM halts WHERE lifted_at IS NULL AND scope IN (account_id, 'all')"
        " ORDER BY since, id LIMIT 1) WHERE state = 'held' AND reason LIKE 'halted: %'"
    )
    op.execute("UPDATE events SET rule = 'halt' WHERE halt_id IS NOT NULL")
    op.execute(
        "UPDATE events SET state = 'queued', due_at = least(due_at, now()), rule = NULL, halt_id = NULL"
        " WHERE state = 'held' AND (rule IS NULL OR remove_requested OR rule = 'approval' AND NOT EXISTS"
        " (SELECT FROM approvals WHERE event_id = events.id AND approvals.state = 'pending'))"
    )
    op.create_check_constraint(op.f('ck_events_rule'), 'events', "state <> 'held' OR rule IS NOT NULL")
    op.create_check_constraint(
        op.f('ck_events_halt'),
        'events',
        "(state = 'held' AND coalesce(rule, '') = 'halt') = (halt_id IS NOT NULL)",
    )
    # With defaults, for the listener of the release before may still be at work.
    for table in ('signal_events', 'attempts'):
        op.add_column(table, sa.Column('kind', sa.Text(), nullable=False, server_default=sa.text("'full'")))
        op.add_column(table, sa.Column('amount', sa.Numeric(), nullable=False, server_default=sa.text('0')))
    _keep_kinds()
    op.create_check_constraint(
        op.f('ck_signal_events_kind'), 'signal_events', "kind IN ('full', 'buy-only', 'raise-cash')"
    )
    op.create_check_constraint(
        op.f('ck_signal_events_amount'), 'signal_events', "(kind = 'raise-cash') = (amount > 0) AND amount >= 0"
    )


def _keep_kinds() -> None:
    """Requests were checked before they were recorded, so each of another kind than full can be read."""
    found = op.get_bind().execute(sa.text(UNSERVED)).all()
    for signal_id, event_id, data in found:
        amount = Decimal(str(data['amount'])) if data['kind'] == 'raise-cash' else Decimal(0)
        op.get_bind().execute(
            sa.text(
                'UPDATE signal_events SET kind = :kind, amount = :amount'
                ' WHERE signal_id = :signal_id AND event_id = :event_id'
            ),
            {'kind': data['kind'], 'amount': amount, 'signal_id': signal_id, 'event_id': event_id},
        )


def downgrade() -> None:
    """Undo; the reasons still say the same in words."""
    op.drop_constraint(op.f('ck_signal_events_amount'), 'signal_events')
    op.drop_constraint(op.f('ck_signal_events_kind'), 'signal_events')
    for table in ('attempts', 'signal_events'):
        op.drop_column(table, 'amount')
        op.drop_column(table, 'kind')
    op.drop_constraint(op.f('ck_events_halt'), 'events')
    op.drop_constraint(op.f('ck_events_rule'), 'events')
    op.drop_column('events', 'halt_id')
    op.drop_column('events', 'rule')
