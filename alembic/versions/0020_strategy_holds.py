"""what holds all accounts of a strategy"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from alembic import op

revision = '0020'
down_revision = '0019'


def upgrade() -> None:
    """Lock and statement timeouts are set in env.py; keep each statement short."""
    op.create_table(
        'strategy_holds',
        sa.Column('id', sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column('kind', sa.Text(), nullable=False),
        sa.Column('strategy', sa.Text(), nullable=False),
        sa.Column('signal_id', sa.BigInteger(), nullable=False),
        sa.Column('event_id', sa.Uuid(), nullable=False),
        sa.Column('account_id', sa.Text(), nullable=False),
        sa.Column('request_no', sa.BigInteger(), nullable=False),
        sa.Column('state', sa.Text(), nullable=False),
        sa.Column('reasons', postgresql.JSONB(), server_default=sa.text("'[]'"), nullable=False),
        sa.Column('since', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
        sa.Column('judge_by', sa.DateTime(timezone=True), nullable=True),
        sa.Column('asked_at', sa.DateTime(timezone=True), nullable=True),
        sa.Column('decided_at', sa.DateTime(timezone=True), nullable=True),
        sa.Column('decided_by', sa.Text(), nullable=True),
        sa.CheckConstraint("kind IN ('canary', 'breaker')", name=op.f('ck_strategy_holds_kind')),
        sa.CheckConstraint(
            "state IN ('trading', 'asked', 'passed', 'released', 'withdrawn', 'superseded')",
            name=op.f('ck_strategy_holds_state'),
        ),
        sa.ForeignKeyConstraint(['event_id'], ['events.id'], name=op.f('fk_strategy_holds_event_id')),
        sa.ForeignKeyConstraint(['signal_id'], ['signals.id'], name=op.f('fk_strategy_holds_signal_id')),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_strategy_holds')),
    )
    op.create_index(
        'uq_strategy_holds_open',
        'strategy_holds',
        ['strategy', 'kind'],
        unique=True,
        postgresql_where=sa.text("state IN ('trading', 'asked')"),
    )
    op.create_index(op.f('ix_strategy_holds_event_id'), 'strategy_holds', ['event_id'])
    op.create_index(op.f('ix_strategy_holds_signal_id'), 'strategy_holds', ['signal_id'])
    op.add_column('attempts', sa.Column('refused', sa.Boolean(), server_default=sa.text('false'), nullable=False))


def downgrade() -> None:
    """Undo."""
    op.drop_column('attempts', 'refused')
    op.drop_table('strategy_holds')
