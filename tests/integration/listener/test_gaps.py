"""A silence longer than history reaches back: raised, and answered once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import update

from listener.gaps import is_behind
from rebalancer.ledger.channel_log import LastRebalance
from rebalancer.ledger.models import Attempt, Channel, Event
from rebalancer.ledger.queries.gaps import find_gaps
from sandbox.allocations.server import AllocationsServer
from tests.integration.listener.harness import CHANNEL, Here, Play, account

LONG_AGO = timedelta(hours=5)


@pytest.fixture
def allocations() -> Iterator[AllocationsServer]:
    with AllocationsServer() as server:
        server.publish(CHANNEL, {"EEM": 1.0})  # rebalanced today
        yield server


async def silent_for(here: Here, span: timedelta = LONG_AGO, channels: tuple[str, ...] = (CHANNEL,)) -> None:
    """A listener that ran, and then did not for so long."""
    async with here.listening(wait=False):
        await here.until(lambda: here.hears(*channels))
    then = datetime.now(UTC) - span
    with here.ledger.begin() as session:
        session.execute(update(Channel).values(baseline_at=then, complete_at=then, heard_until=then))


def has_rebalanced(here: Here, account_id: str, targets_of: date, strategy: str = CHANNEL) -> None:
    """A successful rebalance on record."""
    event_id, now = uuid4(), datetime.now(UTC)
    with here.ledger.begin() as session:
        session.add(
            Event(
                id=event_id,
                account_id=account_id,
                command="rebalance",
                exclusive=True,
                strategy=strategy,
                state="succeeded",
                reason="done",
                data={},
                due_at=now,
            )
        )
        session.flush()
        inputs = {"targets": {"last_rebalance_on": targets_of.isoformat()}}
        session.add(
            Attempt(
                event_id=event_id,
                number=1,
                observed_generation=1,
                worker="w",
                started_at=now,
                finished_at=now,
                outcome="succeeded",
                inputs=inputs,
            )
        )


def test_a_long_silence_is_on_record_and_answered_by_one_dry_run_per_account(
    play: Play, allocations: AllocationsServer, capsys: pytest.CaptureFixture[str]
) -> None:
    async def scenario(here: Here) -> None:
        await silent_for(here)
        async with here.listening():
            await here.until(lambda: [gap.answered_at for gap in here.gaps()] != [None] and here.events())
        (gap,) = here.gaps()
        assert gap.until - gap.since >= LONG_AGO
        assert [(row.account_id, row.command) for row in here.events()] == [
            ("DU1", "print-rebalance"),
            ("DU2", "print-rebalance"),
        ]
        (signal,) = here.signals()
        assert (signal.id, signal.command) == (gap.signal_id, "print-rebalance")
        assert "signals may have been missed" in (signal.remark or "")

    play(scenario, allocations_base_url=allocations.url)
    assert "signals_may_have_been_missed" in capsys.readouterr().out


def test_what_history_still_had_of_a_gap_is_counted(play: Play, allocations: AllocationsServer) -> None:
    async def scenario(here: Here) -> None:
        await silent_for(here)
        here.publish({"exec": "print-equity"})
        async with here.listening():
            await here.until(lambda: [gap.answered_at for gap in here.gaps()] not in ([], [None]))
        with here.ledger.begin() as session:
            (gap,) = find_gaps(session, 10)
        assert (gap.channel, gap.fetched, gap.command) == (CHANNEL, 1, "print-rebalance")
        assert [event.account_id for event in gap.events] == ["DU1", "DU2"]

    play(scenario, allocations_base_url=allocations.url)


def test_only_accounts_that_are_behind_are_asked_and_may_trade_if_so_set(
    play: Play, allocations: AllocationsServer
) -> None:
    async def scenario(here: Here) -> None:
        await silent_for(here)
        has_rebalanced(here, "DU1", datetime.now(UTC).date() + timedelta(days=1))
        has_rebalanced(here, "DU2", date(2020, 1, 1))
        async with here.listening():
            await here.until(lambda: [gap.answered_at for gap in here.gaps()] not in ([], [None]))
        opened = [row.account_id for row in here.events() if row.state == "queued"]
        assert opened == ["DU2"]
        assert here.signals()[0].command == "rebalance"

    play(scenario, allocations_base_url=allocations.url, catch_up_after_gap="rebalance")


def test_nobody_is_asked_when_all_have_followed(play: Play, allocations: AllocationsServer) -> None:
    async def scenario(here: Here) -> None:
        await silent_for(here)
        for account_id in ("DU1", "DU2"):
            has_rebalanced(here, account_id, datetime.now(UTC).date() + timedelta(days=1))
        async with here.listening():
            await here.until(lambda: [gap.answered_at for gap in here.gaps()] not in ([], [None]))
        assert "every account has followed" in (here.gaps()[0].remark or "")
        assert here.signals() == []

    play(scenario, allocations_base_url=allocations.url)


def test_switched_off_it_is_recorded_only(play: Play) -> None:
    async def scenario(here: Here) -> None:
        await silent_for(here)
        async with here.listening():
            await here.until(lambda: [gap.answered_at for gap in here.gaps()] not in ([], [None]))
        assert here.signals() == []

    play(scenario, catch_up_after_gap="off", allocations_api_key=None)


def test_an_allocations_api_that_is_away_delays_the_answer_and_nothing_else(
    play: Play, allocations: AllocationsServer
) -> None:
    async def scenario(here: Here) -> None:
        await silent_for(here)
        allocations.stop()
        async with here.listening():
            await here.recorded(*here.publish({"exec": "print-equity"}))
            assert [gap.answered_at for gap in here.gaps()] == [None]
        port = int(allocations.url.rpartition(":")[2])
        with AllocationsServer(port=port) as back:
            back.publish(CHANNEL, {"EEM": 1.0})
            async with here.listening():
                await here.until(lambda: here.gaps()[0].answered_at)

    play(scenario, allocations_base_url=allocations.url)


def test_a_gap_that_cannot_be_answered_keeps_no_other_waiting(play: Play, allocations: AllocationsServer) -> None:
    """The strategy was retired or renamed: its provider knows nothing of it, and never will."""

    async def scenario(here: Here) -> None:
        here.write_accounts(account(1, "retired"), account(2))
        await silent_for(here, channels=("retired", CHANNEL))

        def answered() -> list[str]:
            return [gap.channel for gap in here.gaps() if gap.answered_at]

        async with here.listening(wait=False):
            await here.until(lambda: CHANNEL in answered() and len(here.gaps()) == 2)
        assert [(row.account_id, row.command) for row in here.events()] == [("DU2", "rebalance")]
        (open_one,) = [gap for gap in here.gaps() if gap.answered_at is None]
        assert open_one.channel == "retired"

        here.write_accounts(account(2))
        async with here.listening(wait=False):
            await here.until(lambda: len(answered()) == 2)
        (closed,) = [gap for gap in here.gaps() if gap.channel == "retired"]
        assert "no enabled account follows" in (closed.remark or "")
        assert len(here.events()) == 1

    play(scenario, allocations_base_url=allocations.url, catch_up_after_gap="rebalance")


def test_two_listeners_answer_a_gap_once(play: Play, allocations: AllocationsServer) -> None:
    async def scenario(here: Here) -> None:
        await silent_for(here)
        async with here.listening(wait=False), here.listening(wait=False):
            await here.until(lambda: [gap.answered_at for gap in here.gaps()] not in ([], [None]))
            await here.until(here.hears)
        assert len(here.gaps()) == len(here.signals()) == 1
        assert [row.requested_generation for row in here.events()] == [1, 1]

    play(scenario, allocations_base_url=allocations.url)


@pytest.mark.parametrize(("silence", "window"), [(timedelta(seconds=100), 120), (LONG_AGO, 86_400)])
def test_a_silence_within_the_window_is_none(play: Play, silence: timedelta, window: float) -> None:
    async def scenario(here: Here) -> None:
        await silent_for(here, silence)
        async with here.listening():
            await here.recorded(*here.publish({"exec": "print-equity"}))
        assert here.gaps() == []

    play(scenario, history_window_s=window)


def test_lost_continuity_without_history_is_made_up_for_by_a_rewind(play: Play) -> None:
    async def scenario(here: Here) -> None:
        here.server.set_capability({"*": ["subscribe"]})
        async with here.listening(wait=False):
            await here.until(lambda: "may not be read" in ((here.channels() and here.channel().trouble) or ""))
            await asyncio.sleep(1)  # a rewind reaches back whole seconds
            here.server.gap(CHANNEL)
            missed = here.publish({"exec": "print-equity"})
            here.server.discontinuity(CHANNEL)
            await here.recorded(*missed)
            assert here.gaps() == []

    play(scenario, catch_up_after_gap="off")


def test_lost_continuity_is_a_gap_however_short_when_history_turns_out_to_be_denied(play: Play) -> None:
    async def scenario(here: Here) -> None:
        async with here.listening():
            here.server.set_capability({"*": ["subscribe"]})
            await asyncio.sleep(0.01)
            here.server.discontinuity(CHANNEL)
            await here.until(here.gaps)

    play(scenario, catch_up_after_gap="off")


DAY = date(2026, 6, 24)


@pytest.mark.parametrize(
    ("strategy_day", "last", "expected"),
    [
        (DAY, None, True),
        (None, LastRebalance(datetime.now(UTC), DAY), True),
        (DAY, LastRebalance(datetime.now(UTC), None), True),
        (DAY, LastRebalance(datetime.now(UTC), DAY), False),
        (DAY, LastRebalance(datetime.now(UTC), DAY - timedelta(days=1)), True),
        (DAY, LastRebalance(datetime.now(UTC), DAY + timedelta(days=1)), False),
    ],
)
def test_an_account_is_behind_unless_it_is_known_not_to_be(
    strategy_day: date | None, last: LastRebalance | None, expected: bool
) -> None:
    assert is_behind(strategy_day, last) is expected
