"""cash of a statement in other currencies than dollars"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from alembic import op

revision = '0027'
down_revision = '0025'


def upgrade() -> None:
    """Lock and statement timeouts are set in env.py; keep each statement short."""
    op.add_column('statements', sa.Column('other_cash', postgresql.JSONB(), nullable=True))


def downgrade() -> None:
    """Undo."""
    op.drop_column('statements', 'other_cash')
