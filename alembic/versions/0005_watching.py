"""watching"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = '0005'
down_revision = '0004'


def upgrade() -> None:
    """Lock and statement timeouts are set in env.py; keep each statement short."""
    op.create_table('components',
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('host', sa.Text(), nullable=False),
    sa.Column('seen_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('detail', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.PrimaryKeyConstraint('name', 'host', name=op.f('pk_components'))
    )
    op.create_table('audit',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('actor', sa.Text(), nullable=False),
    sa.Column('address', sa.Text(), nullable=False),
    sa.Column('action', sa.Text(), nullable=False),
    sa.Column('subject', sa.Text(), nullable=False),
    sa.Column('detail', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_audit'))
    )
    op.create_index(op.f('ix_audit_at'), 'audit', ['at'], unique=False)
    op.create_index('ix_events_active', 'events', ['created_at', 'id'], unique=False, postgresql_where=sa.text("state IN ('queued', 'retrying', 'held', 'running')"))
    op.create_index('ix_events_rebalanced', 'events', ['account_id', 'created_at'], unique=False, postgresql_where=sa.text("command = 'rebalance' AND state = 'succeeded'"))
    op.create_index(op.f('ix_signals_channel_signals_id'), 'signals', ['channel', 'id'], unique=False)
    op.create_index('ix_signals_unusual', 'signals', ['state', 'id'], unique=False, postgresql_where=sa.text("state <> 'accepted'"))


def downgrade() -> None:
    """Undo."""
    op.drop_index('ix_signals_unusual', table_name='signals')
    op.drop_index(op.f('ix_signals_channel_signals_id'), table_name='signals')
    op.drop_index('ix_events_rebalanced', table_name='events')
    op.drop_index('ix_events_active', table_name='events')
    op.drop_index(op.f('ix_audit_at'), table_name='audit')
    op.drop_table('audit')
    op.drop_table('components')
