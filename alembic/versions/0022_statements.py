"""the broker's statements, and fills that are known from them"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from alembic import op

revision = '0022'
down_revision = '0021'


def upgrade() -> None:
    """Lock and statement timeouts are set in env.py; keep each statement short."""
    op.create_table(
        'flex_queries',
        sa.Column('query_id', sa.Text(), nullable=False),
        sa.Column('due_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
        sa.Column('reference', sa.Text(), nullable=True),
        sa.Column('requested_at', sa.DateTime(timezone=True), nullable=True),
        sa.Column('read_at', sa.DateTime(timezone=True), nullable=True),
        sa.Column('failures', sa.BigInteger(), server_default=sa.text('0'), nullable=False),
        sa.Column('problem', sa.Text(), nullable=True),
        sa.Column('told', sa.Boolean(), server_default=sa.text('false'), nullable=False),
        sa.PrimaryKeyConstraint('query_id', name=op.f('pk_flex_queries')),
    )
    op.create_table(
        'statements',
        sa.Column('account_id', sa.Text(), nullable=False),
        sa.Column('last', sa.Date(), nullable=False),
        sa.Column('query_id', sa.Text(), nullable=False),
        sa.Column('read_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
        sa.Column('digest', sa.Text(), nullable=False),
        sa.Column('compared_since', sa.Date(), nullable=True),
        sa.Column('cash', sa.Numeric(), nullable=True),
        sa.Column('positions', postgresql.JSONB(), nullable=False),
        sa.Column('differences', postgresql.JSONB(), nullable=False),
        sa.Column('unexplained', sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint('account_id', 'last', name=op.f('pk_statements')),
    )
    op.add_column('fills', sa.Column('stated', sa.Boolean(), server_default=sa.text('false'), nullable=False))


def downgrade() -> None:
    """Undo."""
    op.drop_column('fills', 'stated')
    op.drop_table('statements')
    op.drop_table('flex_queries')
