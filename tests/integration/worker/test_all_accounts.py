"""The day's limit of all accounts together holds, also across runs that are under way at the same moment."""

from __future__ import annotations

from decimal import Decimal
from uuid import UUID

import pytest
from sqlalchemy import func, select

from rebalancer.domain.commands import Command
from rebalancer.ledger.models import FillRow
from rebalancer.operations import halts_and_approvals
from rebalancer.services import Services
from tests.world import World, until

LIMIT = 400_000


@pytest.fixture
def limited(slow: World) -> World:
    """Two accounts trade about 250,000 and 320,000 USD: each alone is below the limit, both together are beyond it."""
    slow.environment["MAX_DAY_USD_ALL_ACCOUNTS"] = str(LIMIT)
    slow.start_worker(WORKER_CONCURRENCY="2")
    return slow


def traded(world: World) -> Decimal:
    with world.ledger.begin() as session:
        return session.scalar(select(func.sum(FillRow.quantity * FillRow.price))) or Decimal(0)


def approve(world: World, event_id: UUID) -> None:
    assert "the day's trades of all accounts are" in world.event(event_id).reason
    halts_and_approvals.approve(Services.of(world.settings), event_id, "Ada")


def test_what_other_runs_are_about_to_trade_counts(limited: World) -> None:
    first, second = (limited.submit(account, Command.REBALANCE) for account in ("DU1000001", "DU1000002"))

    def states() -> set[str]:
        return {limited.event(event_id).state for event_id in (first, second)}

    until(lambda: "held" in states() <= {"held", "succeeded"}, 60, lambda: str(states()))
    assert traded(limited) <= LIMIT
    for event_id in (first, second):
        if limited.event(event_id).state == "held":
            approve(limited, event_id)
        limited.finish(event_id)
    assert traded(limited) > LIMIT

    third = limited.submit("DU1000005", Command.REBALANCE)
    until(lambda: limited.event(third).state == "held", 30, lambda: str(limited.event(third)))
    approve(limited, third)
    limited.finish(third)
