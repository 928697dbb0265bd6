"""accounts in other currencies, and conversions"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from alembic import op

revision = '0019'
down_revision = '0018'


def upgrade() -> None:
    """Lock and statement timeouts are set in env.py; keep each statement short."""
    op.add_column('account_snapshots', sa.Column('base', postgresql.JSONB(), nullable=True))
    op.add_column('orders', sa.Column('security_type', sa.Text(), server_default='STK', nullable=False))
    op.add_column('fills', sa.Column('security_type', sa.Text(), server_default='STK', nullable=False))


def downgrade() -> None:
    """Undo."""
    op.drop_column('fills', 'security_type')
    op.drop_column('orders', 'security_type')
    op.drop_column('account_snapshots', 'base')
