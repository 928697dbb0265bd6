"""removal: an event that an operator is ending takes no more signals; refusals are counted apart"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = '0003'
down_revision = '0002'

ACTIVE = "state IN ('queued', 'retrying', 'held', 'running')"


def upgrade() -> None:
    """Lock and statement timeouts are set in env.py; keep each statement short."""
    op.add_column('events', sa.Column('refusals', sa.BigInteger(), nullable=False, server_default='0'))
    op.alter_column('events', 'refusals', server_default=None)
    op.drop_index('uq_events_active_key', table_name='events')
    op.create_index(
        'uq_events_active_key',
        'events',
        ['account_id', 'command'],
        unique=True,
        postgresql_where=sa.text(f"{ACTIVE} AND NOT remove_requested"),
    )


def downgrade() -> None:
    """Undo; events that were being removed end here, as the older index has no place for them."""
    op.execute(
        "UPDATE events SET state = 'removed', lease_until = NULL, worker = NULL, finished_at = now()"
        f" WHERE {ACTIVE} AND remove_requested"
    )
    op.drop_index('uq_events_active_key', table_name='events')
    op.create_index(
        'uq_events_active_key', 'events', ['account_id', 'command'], unique=True, postgresql_where=sa.text(ACTIVE)
    )
    op.drop_column('events', 'refusals')
