"""what the workers know of their gateways"""

from __future__ import annotations

import sqlalchemy as sa

from alembic import op

revision = '0009'
down_revision = '0008'


def upgrade() -> None:
    """Lock and statement timeouts are set in env.py; keep each statement short."""
    op.create_table(
        'gateways',
        sa.Column('address', sa.Text(), nullable=False),
        sa.Column('acknowledged_at', sa.DateTime(timezone=True), nullable=True),
        sa.Column('away_at', sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint('address', name=op.f('pk_gateways')),
    )


def downgrade() -> None:
    """Undo."""
    op.drop_table('gateways')
