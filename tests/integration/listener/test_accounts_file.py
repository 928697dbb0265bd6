"""accounts.yaml is followed without a restart; a bad one changes nothing."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from rebalancer.ledger.models import Channel
from tests.integration.listener.harness import CHANNEL, REBALANCE, Here, Play, account


def test_a_new_strategy_is_subscribed_and_a_dropped_one_is_left(play: Play) -> None:
    async def scenario(here: Here) -> None:
        async with here.listening():
            here.write_accounts(account(1), account(2, "second"))
            await here.until(lambda: here.hears(CHANNEL, "second"))
            here.publish(REBALANCE, channel="second")
            await here.until(lambda: here.signals("second"))
            assert [row.account_id for row in here.events()] == ["DU2"]
            here.write_accounts(account(1))
            await here.until(lambda: here.channel("second").left_at)
            await here.server.log.wait_for("detach")
            await here.recorded(*here.publish(REBALANCE))
            assert here.server.log.count("connected") == 1

    play(scenario)


def test_a_strategy_that_comes_back_starts_from_then(play: Play) -> None:
    async def scenario(here: Here) -> None:
        async with here.listening():
            here.write_accounts(account(1, "second"))
            await here.until(lambda: here.channel().left_at and here.hears("second"))
            here.publish(REBALANCE)
            await asyncio.sleep(0.01)  # history is read from a millisecond on, inclusively
            here.write_accounts(account(1))
            await here.until(here.hears)
            ids = here.publish(REBALANCE)
            await here.recorded(*ids)
            assert here.ids() == ids
            assert here.gaps() == []

    play(scenario)


def test_a_strategy_that_was_dropped_while_nobody_listened_starts_anew_when_it_comes_back(play: Play) -> None:
    async def scenario(here: Here) -> None:
        async with here.listening():
            pass
        here.write_accounts(account(1, "second"))
        async with here.listening(wait=False):
            await here.until(lambda: here.channel().left_at and here.hears("second"))
            here.publish(REBALANCE)
            await asyncio.sleep(0.01)
            here.write_accounts(account(1))
            await here.until(here.hears)
            ids = here.publish({"exec": "print-equity"})
            await here.recorded(*ids)
        assert here.ids() == ids
        assert [(row.account_id, row.command) for row in here.events()] == [("DU1", "print-equity")]
        assert here.gaps() == []

    play(scenario)


def test_a_strategy_that_is_added_again_brings_nothing_from_before(play: Play) -> None:
    """Its channel is attached with the rewind that it had: two minutes, which reach behind the new baseline."""

    async def scenario(here: Here) -> None:
        async with here.listening():
            pass
        with here.ledger.begin() as session:
            session.execute(update(Channel).values(baseline_at=datetime.now(UTC) - timedelta(hours=1)))
        here.write_accounts(account(1), account(2, "second"))
        async with here.listening():
            await here.until(lambda: here.hears(CHANNEL, "second"))
            here.write_accounts(account(2, "second"))
            await here.until(lambda: here.channel().left_at)
            await here.server.log.wait_for("detach")
            here.publish(REBALANCE)
            here.write_accounts(account(1), account(2, "second"))
            await here.until(here.hears)
            ids = here.publish({"exec": "print-equity"})
            await here.recorded(*ids)
        assert here.ids() == ids
        assert [(row.account_id, row.command) for row in here.events()] == [("DU1", "print-equity")]

    play(scenario)


def test_an_account_that_joins_a_strategy_gets_its_next_signal(play: Play) -> None:
    async def scenario(here: Here) -> None:
        async with here.listening() as listener:
            here.write_accounts(account(1), account(2), account(3))
            await here.until(lambda: len(listener._roster.followers(CHANNEL)) == 3)
            await here.recorded(*here.publish(REBALANCE))
            assert [row.account_id for row in here.events()] == ["DU1", "DU2", "DU3"]

    play(scenario)


def test_a_signal_right_after_an_edit_is_for_the_accounts_of_the_edit(play: Play) -> None:
    """Case: an account that was enabled again got no part of the signal a moment later."""

    async def scenario(here: Here) -> None:
        here.timing = replace(here.timing, files_every=3600)
        async with here.listening():
            here.write_accounts(account(1), account(2))
            await here.recorded(*here.publish(REBALANCE))
            (here.folder / "accounts.yaml").write_text("accounts: [")
            await here.recorded(*here.publish({"exec": "print-equity"}))
        asked = sorted((row.account_id, row.command) for row in here.events())
        assert asked == [(one, what) for one in ("DU1", "DU2") for what in ("print-equity", "rebalance")]

    play(scenario)


@pytest.mark.parametrize("content", ["accounts: [", "", "accounts:\n  - account_id: DU1\n    typo: x\n"])
def test_a_file_that_cannot_be_trusted_keeps_the_old_accounts_and_is_told(
    play: Play, content: str, capsys: pytest.CaptureFixture[str]
) -> None:
    told = ""

    async def scenario(here: Here) -> None:
        def complained() -> bool:
            nonlocal told
            told += capsys.readouterr().out
            return "accounts_refused" in told

        async with here.listening():
            (here.folder / "accounts.yaml").write_text(content)
            await here.until(complained)
            await here.recorded(*here.publish(REBALANCE))
            assert [row.account_id for row in here.events()] == ["DU1", "DU2"]
            (here.folder / "accounts.yaml").unlink()
            await here.recorded(*here.publish({"exec": "print-equity"}))

    play(scenario)


def test_no_enabled_account_at_all_is_waited_out(play: Play) -> None:
    async def scenario(here: Here) -> None:
        here.write_accounts(account(1, enabled=False))
        async with here.listening(wait=False):
            await here.server.log.wait_for("connected")
            here.write_accounts(account(1))
            await here.until(here.hears)
            await here.recorded(*here.publish(REBALANCE))

    play(scenario)
