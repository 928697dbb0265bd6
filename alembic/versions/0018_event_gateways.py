"""the gateway whose workers run an event"""

from __future__ import annotations

import sqlalchemy as sa

from alembic import op

revision = '0018'
down_revision = '0017'


def upgrade() -> None:
    """Lock and statement timeouts are set in env.py; keep each statement short: a constant default writes no row."""
    op.add_column('events', sa.Column('gateway', sa.Text(), server_default=sa.text("'main'"), nullable=False))


def downgrade() -> None:
    """Undo."""
    op.drop_column('events', 'gateway')
