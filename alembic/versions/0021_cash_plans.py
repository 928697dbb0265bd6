"""cash that is to be settled by a day, and what came or went"""

from __future__ import annotations

import sqlalchemy as sa

from alembic import op

revision = '0021'
down_revision = '0020'


def upgrade() -> None:
    """Lock and statement timeouts are set in env.py; keep each statement short."""
    op.create_table(
        'cash_plans',
        sa.Column('id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column('account_id', sa.Text(), nullable=False),
        sa.Column('amount', sa.Numeric(), nullable=False),
        sa.Column('by', sa.Date(), nullable=False),
        sa.Column('sells_at', sa.DateTime(timezone=True), nullable=False),
        sa.Column('keeps_until', sa.DateTime(timezone=True), nullable=False),
        sa.Column('event_id', sa.Uuid(), nullable=True),
        sa.Column('request_no', sa.BigInteger(), nullable=True),
        sa.Column('created_by', sa.Text(), nullable=False),
        sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
        sa.Column('ended_at', sa.DateTime(timezone=True), nullable=True),
        sa.Column('ended_by', sa.Text(), nullable=True),
        sa.CheckConstraint('amount > 0', name=op.f('ck_cash_plans_amount')),
        sa.CheckConstraint('(event_id IS NULL) = (request_no IS NULL)', name=op.f('ck_cash_plans_request')),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_cash_plans')),
    )
    op.create_index(
        'ix_cash_plans_open', 'cash_plans', ['account_id'], postgresql_where=sa.text('ended_at IS NULL')
    )
    op.add_column('account_snapshots', sa.Column('flow_kind', sa.Text(), nullable=True))
    op.add_column('account_snapshots', sa.Column('accrued_dividends', sa.Numeric(), nullable=True))


def downgrade() -> None:
    """Undo."""
    op.drop_column('account_snapshots', 'accrued_dividends')
    op.drop_column('account_snapshots', 'flow_kind')
    op.drop_table('cash_plans')
