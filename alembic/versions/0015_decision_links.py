"""links that are sent with a message and decide on the one plan that it tells of"""

from __future__ import annotations

from alembic import op

revision = '0015'
down_revision = '0014'


def upgrade() -> None:
    _allow("'key', 'link', 'session', 'decision'")


def downgrade() -> None:
    op.execute("DELETE FROM credentials WHERE kind = 'decision'")
    _allow("'key', 'link', 'session'")


def _allow(kinds: str) -> None:
    op.drop_constraint(op.f('ck_credentials_kind'), 'credentials', type_='check')
    op.create_check_constraint(op.f('ck_credentials_kind'), 'credentials', f'kind IN ({kinds})')
