"""keys of programs, one-time links, sessions of browsers"""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from alembic import op

revision = '0010'
down_revision = '0009'


def upgrade() -> None:
    """Lock and statement timeouts are set in env.py; keep each statement short."""
    op.create_table(
        'credentials',
        sa.Column('id', sa.BigInteger(), sa.Identity(), nullable=False),
        sa.Column('kind', sa.Text(), nullable=False),
        sa.Column('name', sa.Text(), nullable=False),
        sa.Column('hash', sa.Text(), nullable=False),
        sa.Column('proof', sa.Text(), nullable=True),
        sa.Column('scopes', postgresql.JSONB(), nullable=False),
        sa.Column('parent', sa.Text(), nullable=True),
        sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('now()'), nullable=False),
        sa.Column('created_by', sa.Text(), nullable=False),
        sa.Column('expires_at', sa.DateTime(timezone=True), nullable=True),
        sa.Column('ended_at', sa.DateTime(timezone=True), nullable=True),
        sa.Column('ended_by', sa.Text(), nullable=True),
        sa.CheckConstraint("kind IN ('key', 'link', 'session')", name=op.f('ck_credentials_kind')),
        sa.CheckConstraint("kind = 'key' OR expires_at IS NOT NULL", name=op.f('ck_credentials_expires')),
        sa.PrimaryKeyConstraint('id', name=op.f('pk_credentials')),
        sa.UniqueConstraint('hash', name=op.f('uq_credentials_hash')),
    )
    op.create_index(
        'uq_credentials_name',
        'credentials',
        ['name'],
        unique=True,
        postgresql_where=sa.text("kind = 'key' AND ended_at IS NULL"),
    )


def downgrade() -> None:
    """Undo."""
    op.drop_table('credentials')
