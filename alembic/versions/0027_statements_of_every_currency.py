"""cash of statements in other currencies than dollars, and the lots that they close"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from alembic import op

revision = '0027'
down_revision = '0026'


def upgrade() -> None:
    """Lock and statement timeouts are set in env.py; keep each statement short."""
    op.add_column('statements', sa.Column('other_cash', postgresql.JSONB(), nullable=True))
    op.create_table(
        'closed_lots',
        sa.Column('id', sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column('account_id', sa.Text(), nullable=False),
        sa.Column('symbol', sa.Text(), nullable=False),
        sa.Column('closed_at', sa.DateTime(timezone=True), nullable=False),
        sa.Column('opened', sa.Date(), nullable=True),
        sa.Column('quantity', sa.Numeric(), nullable=False),
        sa.Column('cost', sa.Numeric(), nullable=False),
        sa.Column('realized', sa.Numeric(), nullable=False),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_closed_lots')),
    )
    op.create_index(op.f('ix_closed_lots_account_id_closed_lots_closed_at'), 'closed_lots', ['account_id', 'closed_at'])


def downgrade() -> None:
    """Undo."""
    op.drop_table('closed_lots')
    op.drop_column('statements', 'other_cash')
