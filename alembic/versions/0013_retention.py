"""ended events in the order of their age, and the newest success of each account and command"""

from __future__ import annotations

import sqlalchemy as sa

from alembic import op

revision = '0013'
down_revision = '0011'


def upgrade() -> None:
    """Lock and statement timeouts are set in env.py; keep each statement short."""
    op.create_index(op.f('ix_events_finished_at'), 'events', ['finished_at'])
    op.create_index(
        'ix_events_succeeded',
        'events',
        ['account_id', 'command', 'finished_at'],
        postgresql_where=sa.text("state = 'succeeded'"),
    )


def downgrade() -> None:
    """Undo."""
    op.drop_index('ix_events_succeeded', table_name='events')
    op.drop_index(op.f('ix_events_finished_at'), table_name='events')
