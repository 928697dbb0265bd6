"""how each order was worked, and why"""

from __future__ import annotations

import sqlalchemy as sa

from alembic import op

revision = '0026'
down_revision = '0025'
COLUMNS = ('style', 'style_why', 'style_instead_of')


def upgrade() -> None:
    """Lock and statement timeouts are set in env.py; keep each statement short."""
    for column in COLUMNS:
        op.add_column('orders', sa.Column(column, sa.Text(), nullable=True))
    op.create_index('ix_orders_styled', 'orders', ['created_at'], postgresql_where=sa.text('style IS NOT NULL'))


def downgrade() -> None:
    """Undo."""
    op.drop_index('ix_orders_styled', table_name='orders')
    for column in COLUMNS:
        op.drop_column('orders', column)
