"""tables that strategies' targets come from"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from alembic import op

revision = '0017'
down_revision = '0016'


def upgrade() -> None:
    """Lock and statement timeouts are set in env.py; keep each statement short."""
    op.create_table(
        'sources',
        sa.Column('strategy', sa.Text(), nullable=False),
        sa.Column('definition', sa.Text(), nullable=False),
        sa.Column('version', sa.BigInteger(), server_default=sa.text('0'), nullable=False),
        sa.Column('digest', sa.Text(), nullable=True),
        sa.Column('as_of', sa.Date(), nullable=True),
        sa.Column('weights', postgresql.JSONB(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column('validators', postgresql.JSONB(), server_default=sa.text("'{}'"), nullable=False),
        sa.Column('changed_at', sa.DateTime(timezone=True), nullable=True),
        sa.Column('read_at', sa.DateTime(timezone=True), nullable=True),
        sa.Column('failures', sa.BigInteger(), server_default=sa.text('0'), nullable=False),
        sa.Column('rule', sa.Text(), nullable=True),
        sa.Column('problem', sa.Text(), nullable=True),
        sa.Column('problem_since', sa.DateTime(timezone=True), nullable=True),
        sa.Column('told', sa.Boolean(), server_default=sa.text('false'), nullable=False),
        sa.Column('held', postgresql.JSONB(), nullable=True),
        sa.Column('asked_at', sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint('strategy', name=op.f('pk_sources')),
    )


def downgrade() -> None:
    """Undo."""
    op.drop_table('sources')
