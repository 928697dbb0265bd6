"""ended events in the order of their age, and the newest success of each account and command"""

from __future__ import annotations

import sqlalchemy as sa

from alembic import op

revision = '0013'
down_revision = '0009'

FORGET = """
CREATE FUNCTION public.forget_audit(age interval, most integer) RETURNS integer
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  WITH old AS (
    SELECT id FROM public.audit WHERE at < now() - greatest(age, interval '30 days')
    ORDER BY at LIMIT most FOR UPDATE SKIP LOCKED
  ), gone AS (DELETE FROM public.audit WHERE id IN (SELECT id FROM old) RETURNING 1)
  SELECT count(*)::integer FROM gone
$$
"""
"""The application's role may only add to the audit; this lets it forget what is old, never what is young."""


def upgrade() -> None:
    """Lock and statement timeouts are set in env.py; keep each statement short."""
    op.create_index(op.f('ix_events_finished_at'), 'events', ['finished_at'])
    op.create_index(
        'ix_events_succeeded',
        'events',
        ['account_id', 'command', 'finished_at'],
        postgresql_where=sa.text("state = 'succeeded'"),
    )
    op.execute(FORGET)


def downgrade() -> None:
    """Undo."""
    op.execute('DROP FUNCTION public.forget_audit(interval, integer)')
    op.drop_index('ix_events_succeeded', table_name='events')
    op.drop_index(op.f('ix_events_finished_at'), table_name='events')
