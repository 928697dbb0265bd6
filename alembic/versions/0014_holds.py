"""why an event waits: the rule and the halt that hold it, as data

Until here the reason, a sentence, said so. What holds each waiting event is read from it one last time; where it says
nothing that is known, or what it names is not there any more, the event runs now and finds out anew.
"""

from __future__ import annotations

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


def downgrade() -> None:
    """Undo; the reasons still say the same in words."""
    op.drop_constraint(op.f('ck_events_halt'), 'events')
    op.drop_constraint(op.f('ck_events_rule'), 'events')
    op.drop_column('events', 'halt_id')
    op.drop_column('events', 'rule')
