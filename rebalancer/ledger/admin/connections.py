"""The connections of all programs to the ledger."""

from __future__ import annotations

from sqlalchemy import text

from rebalancer.ledger.session import Session


def end_all_others(session: Session) -> int:
    """Cut every connection but our own, as an administrator does before maintenance.

    Returns:
        How many.
    """
    end = text(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND datname IS NOT NULL"
    )
    return len(session.scalars(end).all())


def count(session: Session) -> int:
    """Of all programs, our own included."""
    open_ones = text("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()")
    return int(session.scalars(open_ones).one())
