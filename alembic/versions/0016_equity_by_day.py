"""equity by day from an index alone; what came or went between two looks is on record with the second one"""

from __future__ import annotations

import sqlalchemy as sa

from alembic import op

revision = '0016'
down_revision = '0015'

OLD = 'ix_account_snapshots_account_id_account_snapshots_at'
BEFORE = 'lag({}) OVER (PARTITION BY account_id ORDER BY at, id)'
HELD = (
    "(SELECT jsonb_object_agg(one->>'symbol', (one->>'quantity')::numeric) FROM jsonb_array_elements({}) AS one"
    " WHERE (one->>'quantity')::numeric <> 0)"
)


FLOWS = f"""
UPDATE account_snapshots AS here SET flow = here.cash - earlier.cash
FROM (SELECT id, cash, event_id, {BEFORE.format('id')} AS before FROM account_snapshots WHERE account_id = :account_id)
AS looks
JOIN account_snapshots AS earlier ON earlier.id = looks.before
WHERE here.id = looks.id AND earlier.event_id <> looks.event_id AND earlier.cash <> looks.cash
AND {HELD.format('here.positions')} IS NOT DISTINCT FROM {HELD.format('earlier.positions')}
"""
"""Of one account, since a statement may take a minute."""


def upgrade() -> None:
    """Lock and statement timeouts are set in env.py; keep each statement short."""
    op.add_column('account_snapshots', sa.Column('flow', sa.Numeric(), nullable=True))
    for account_id in op.get_bind().scalars(sa.text('SELECT DISTINCT account_id FROM account_snapshots')).all():
        op.get_bind().execute(sa.text(FLOWS), {'account_id': account_id})
    op.create_index(
        'ix_account_snapshots_looks',
        'account_snapshots',
        ['account_id', 'at', 'id'],
        postgresql_include=['net_liquidation'],
    )
    op.create_index(
        'ix_account_snapshots_flows',
        'account_snapshots',
        ['account_id', 'at'],
        postgresql_where=sa.text('flow IS NOT NULL'),
    )
    op.drop_index(OLD, 'account_snapshots')


def downgrade() -> None:
    """Undo."""
    op.create_index(OLD, 'account_snapshots', ['account_id', 'at'])
    op.drop_index('ix_account_snapshots_flows', 'account_snapshots')
    op.drop_index('ix_account_snapshots_looks', 'account_snapshots')
    op.drop_column('account_snapshots', 'flow')
