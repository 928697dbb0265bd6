"""notices"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = '0006'
down_revision = '0005'


def upgrade() -> None:
    """Lock and statement timeouts are set in env.py; keep each statement short."""
    op.create_table('notices',
    sa.Column('id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
    sa.Column('at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
    sa.Column('kind', sa.Text(), nullable=False),
    sa.Column('account_id', sa.Text(), nullable=True),
    sa.Column('event_id', sa.Uuid(), nullable=True),
    sa.Column('detail', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('key', sa.Text(), nullable=True),
    sa.Column('routed_at', sa.DateTime(timezone=True), nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_notices')),
    sa.UniqueConstraint('key', name=op.f('uq_notices_key'))
    )
    op.create_index(op.f('ix_notices_at'), 'notices', ['at'], unique=False)
    op.create_index('ix_notices_unrouted', 'notices', ['id'], unique=False, postgresql_where=sa.text('routed_at IS NULL'))
    op.create_table('deliveries',
    sa.Column('notice_id', sa.BigInteger(), nullable=False),
    sa.Column('target', sa.Text(), nullable=False),
    sa.Column('box', sa.Text(), nullable=False),
    sa.Column('due_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('tries', sa.BigInteger(), nullable=False),
    sa.Column('lease_until', sa.DateTime(timezone=True), nullable=True),
    sa.Column('last_error', sa.Text(), nullable=True),
    sa.Column('ended_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('sent', sa.Boolean(), nullable=False),
    sa.CheckConstraint('NOT sent OR ended_at IS NOT NULL', name=op.f('ck_deliveries_sent')),
    sa.ForeignKeyConstraint(['notice_id'], ['notices.id'], name=op.f('fk_deliveries_notice_id')),
    sa.PrimaryKeyConstraint('notice_id', 'target', name=op.f('pk_deliveries'))
    )
    op.create_index('ix_deliveries_waiting', 'deliveries', ['target', 'due_at'], unique=False, postgresql_where=sa.text('ended_at IS NULL'))


def downgrade() -> None:
    """Undo."""
    op.drop_index('ix_deliveries_waiting', table_name='deliveries')
    op.drop_table('deliveries')
    op.drop_index('ix_notices_unrouted', table_name='notices')
    op.drop_index(op.f('ix_notices_at'), table_name='notices')
    op.drop_table('notices')
