"""who keeps this ledger, and orders of others who do the same elsewhere"""

from __future__ import annotations

import sqlalchemy as sa

from alembic import op

revision = '0011'
down_revision = '0010'


def upgrade() -> None:
    """Lock and statement timeouts are set in env.py; keep each statement short."""
    op.create_table(
        'installations',
        sa.Column('identity', sa.Text(), nullable=False),
        sa.Column('place', sa.Text(), nullable=False),
        sa.Column('made_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
        sa.Column('retired_at', sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint('identity', name=op.f('pk_installations')),
    )
    op.create_index(
        'uq_installations_current',
        'installations',
        [sa.text('(true)')],
        unique=True,
        postgresql_where=sa.text('retired_at IS NULL'),
    )
    op.create_table(
        'foreign_orders',
        sa.Column('order_ref', sa.Text(), nullable=False),
        sa.Column('account_id', sa.Text(), nullable=False),
        sa.Column('seen_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
        sa.Column('accepted_at', sa.DateTime(timezone=True), nullable=True),
        sa.Column('accepted_by', sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint('order_ref', name=op.f('pk_foreign_orders')),
    )
    op.create_index(op.f('ix_foreign_orders_account_id'), 'foreign_orders', ['account_id'])


def downgrade() -> None:
    """Undo."""
    op.drop_table('foreign_orders')
    op.drop_table('installations')
