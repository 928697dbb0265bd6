"""Snapshots that show our own fills: the broker's books lag behind them, and a plan made in between trades twice."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from rebalancer.domain.errors import GatewayUnavailable
from rebalancer.domain.portfolio import AccountSnapshot
from rebalancer.planning.expected_books import Books, books_after
from rebalancer.usecases.context import RunContext

LAG = timedelta(minutes=5)
"""IBKR renews account values every three minutes. After longer than this the broker is right, whatever we expected."""


def known_books(context: RunContext) -> Books | None:
    """What the newest run on the account, this one included, must have left; ``None`` if it began too long ago."""
    last = context.run.last_run(LAG)
    if last is None or not last.fills:
        return None
    fee, before = context.rules.fees.minimum, last.turnover_before
    return books_after(last.snapshot, last.fills, last.commissions, fee, turnover_before=before)


def _whatever(_snapshot: AccountSnapshot) -> bool:
    return True


def snapshot_showing(
    context: RunContext,
    books: Books | None,
    awaited: Callable[[AccountSnapshot], bool] = _whatever,
    *,
    pushed: bool = False,
) -> AccountSnapshot:
    """A fresh snapshot that shows everything we know to have happened.

    Args:
        awaited: what it should show besides; after a while it is taken without.
        pushed: no order is sized from it, so that what the broker has pushed will do, if it shows our fills.

    Raises:
        GatewayUnavailable: the broker's books lag behind; nothing may be planned from them.
    """

    def booked(seen: AccountSnapshot) -> bool:
        return (books is None or books.lacking(seen) is None) and awaited(seen)

    snapshot = context.broker.snapshot(context.account.account_id, booked, pushed=pushed and books is not None)
    lacking = books and books.lacking(snapshot)
    if lacking:
        raise GatewayUnavailable(f"the broker does not show our fills yet: {lacking}")
    return snapshot
