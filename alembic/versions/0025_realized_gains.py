"""what the broker books as realized for an execution"""

from __future__ import annotations

import sqlalchemy as sa

from alembic import op

revision = '0025'
down_revision = '0022'


def upgrade() -> None:
    """Lock and statement timeouts are set in env.py; keep each statement short."""
    op.add_column('fills', sa.Column('realized', sa.Numeric(), nullable=True))


def downgrade() -> None:
    """Undo."""
    op.drop_column('fills', 'realized')
