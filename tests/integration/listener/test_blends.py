"""Accounts that follow several strategies: a message of any of them reaches them, once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import update

from rebalancer.ledger.models import Attempt, Channel
from sandbox.allocations.server import AllocationsServer
from tests.integration.listener.harness import REBALANCE, Here, Play, account
from tests.integration.listener.test_gaps import has_rebalanced

BLEND = {
    "account_id": "DU3",
    "type": "paper",
    "strategies": [{"name": "a", "weight": 60}, {"name": "b", "weight": 40}],
}
NAME = "a 60 + b 40"


@pytest.fixture
def allocations() -> Iterator[AllocationsServer]:
    with AllocationsServer() as server:
        for strategy in "ab":
            server.publish(strategy, {"EEM": 1.0})  # rebalanced today
        yield server


def test_a_message_of_any_member_reaches_the_account_once(play: Play) -> None:
    async def scenario(here: Here) -> None:
        here.write_accounts(account(1, "a"), account(2, "c"), BLEND)
        async with here.listening(wait=False):
            await here.until(lambda: here.hears("a", "b", "c"))
            (first,) = here.publish(REBALANCE, channel="a")
            (second,) = here.publish(REBALANCE, channel="b")
            await here.until(lambda: here.ids("a") == [first] and here.ids("b") == [second])
        events = {row.account_id: (row.strategy, row.requested_generation) for row in here.events()}
        assert events == {"DU1": ("a", 1), "DU3": (NAME, 2)}

    play(scenario)


def test_a_gap_is_answered_for_the_member_whose_rebalance_the_account_has_not_followed(
    play: Play, allocations: AllocationsServer
) -> None:
    async def scenario(here: Here) -> None:
        here.write_accounts(BLEND)
        async with here.listening(wait=False):
            await here.until(lambda: here.hears("a", "b"))
        then = datetime.now(UTC) - timedelta(hours=5)
        tomorrow = datetime.now(UTC).date() + timedelta(days=1)
        members = {"a": {"last_rebalance_on": tomorrow.isoformat()}, "b": {"last_rebalance_on": "2020-01-01"}}
        has_rebalanced(here, "DU3", date(2020, 1, 1), NAME)
        with here.ledger.begin() as session:
            session.execute(update(Channel).values(baseline_at=then, complete_at=then, heard_until=then))
            session.execute(update(Attempt).values(inputs={"targets": {"members": members}}))
        async with here.listening(wait=False):
            await here.until(lambda: len([gap for gap in here.gaps() if gap.answered_at]) == 2)
        remarks = {gap.channel: gap.remark or "" for gap in here.gaps()}
        assert "every account has followed" in remarks["a"]
        assert "print-rebalance for 1 accounts" in remarks["b"]
        assert [(row.account_id, row.state) for row in here.events() if row.state == "queued"] == [("DU3", "queued")]

    play(scenario, allocations_base_url=allocations.url)
