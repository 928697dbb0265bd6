"""stated fills"""

from __future__ import annotations

import sqlalchemy as sa

from alembic import op

revision = '0008'
down_revision = '0007'


def upgrade() -> None:
    """Lock and statement timeouts are set in env.py; keep each statement short."""
    op.add_column('orders', sa.Column('stated', sa.Numeric(), server_default=sa.text('0'), nullable=False))
    op.execute("UPDATE orders SET stated = filled WHERE settled_at IS NULL OR created_at > now() - interval '1 day'")


def downgrade() -> None:
    """Undo."""
    op.drop_column('orders', 'stated')
