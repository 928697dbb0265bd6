"""day limits"""

from __future__ import annotations

from alembic import op

revision = '0007'
down_revision = '0006'


def upgrade() -> None:
    """Lock and statement timeouts are set in env.py; keep each statement short."""
    op.create_index(op.f('ix_orders_account_id_orders_created_at'), 'orders', ['account_id', 'created_at'], unique=False)
    op.create_index(op.f('ix_orders_created_at'), 'orders', ['created_at'], unique=False)
    op.create_index(op.f('ix_fills_at'), 'fills', ['at'], unique=False)


def downgrade() -> None:
    """Undo."""
    op.drop_index(op.f('ix_fills_at'), table_name='fills')
    op.drop_index(op.f('ix_orders_created_at'), table_name='orders')
    op.drop_index(op.f('ix_orders_account_id_orders_created_at'), table_name='orders')
