"""Every message once, in order, whatever way it comes in."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from rebalancer.ledger.models import Channel
from tests.integration.listener.harness import CHANNEL, QUICK, REBALANCE, Here, Play, account, wire


def test_a_signal_is_recorded_once_with_one_event_per_account(play: Play) -> None:
    async def scenario(here: Here) -> None:
        async with here.listening():
            ids = here.publish(REBALANCE)
            await here.recorded(*ids)
        found = [(row.message_id, row.state, row.command, row.remark) for row in here.signals()]
        assert found == [(ids[0], "accepted", "rebalance", None)]
        events = [(row.account_id, row.command, row.requested_generation) for row in here.events()]
        assert events == [("DU1", "rebalance", 1), ("DU2", "rebalance", 1)]

    play(scenario)


def test_its_events_are_published_at_once_and_not_left_to_beat(play: Play) -> None:
    async def scenario(here: Here) -> None:
        async with here.listening():
            here.publish(REBALANCE)
            await here.until(lambda: [row.dispatch_no for row in here.events()] == [1, 1])

    play(scenario)


def test_the_checkpoint_moves_with_the_messages(play: Play) -> None:
    async def scenario(here: Here) -> None:
        async with here.listening():
            await here.recorded(*here.publish(REBALANCE, REBALANCE))
        assert here.channel().checkpoint_at == here.signals()[-1].published_at

    play(scenario)


def test_several_missed_signals_have_a_row_each_and_one_run(play: Play) -> None:
    async def scenario(here: Here) -> None:
        async with here.listening():
            pass
        ids = here.publish(*[REBALANCE] * 5)
        async with here.listening():
            await here.recorded(*ids)
        assert here.ids() == ids
        assert [row.requested_generation for row in here.events()] == [5, 5]

    play(scenario)


def test_the_first_start_does_not_trade_the_past(play: Play) -> None:
    async def scenario(here: Here) -> None:
        here.publish(REBALANCE)
        await asyncio.sleep(0.01)  # history is read from a millisecond on, inclusively
        async with here.listening():
            ids = here.publish(REBALANCE)
            await here.recorded(*ids)
            assert here.ids() == ids

    play(scenario)


def test_the_baseline_is_on_record_before_the_first_attach(play: Play) -> None:
    async def scenario(here: Here) -> None:
        here.server.swallow_attach(times=1000)
        async with here.listening(wait=False):
            await here.server.log.wait_for("attach")
            assert here.channel().baseline_at <= datetime.now(UTC)

    play(scenario)


def test_what_was_published_while_nobody_listened_comes_first_and_in_order(play: Play) -> None:
    async def scenario(here: Here) -> None:
        async with here.listening():
            before = here.publish(REBALANCE)
            await here.recorded(*before)
        missed = here.publish(*({"exec": "print-equity", "n": n} for n in range(250)))  # three pages of history
        async with here.listening(wait=False):
            await here.server.log.wait_for("attached", 2)
            live = here.publish(*({"exec": "print-equity", "n": n} for n in range(5)))
            await here.recorded(*live)
            assert here.ids() == before + missed + live

    play(scenario)


def test_the_sweep_finds_what_nobody_delivered_nor_announced(play: Play) -> None:
    async def scenario(here: Here) -> None:
        async with here.listening():
            here.server.gap(CHANNEL)
            await here.recorded(*here.publish(REBALANCE))

    play(scenario, history_sweep_s=1)


def test_a_message_that_comes_twice_counts_once(play: Play) -> None:
    async def scenario(here: Here) -> None:
        async with here.listening():
            await here.recorded(*here.publish(REBALANCE))
            here.server.duplicate(CHANNEL)
            marker = here.publish({"exec": "print-equity"})
            await here.recorded(*marker)
            assert len(here.signals()) == 2
            assert {row.requested_generation for row in here.events() if row.command == "rebalance"} == {1}

    play(scenario)


def test_an_id_that_comes_again_with_another_payload_changes_nothing_and_is_told(
    play: Play, capsys: pytest.CaptureFixture[str]
) -> None:
    async def scenario(here: Here) -> None:
        async with here.listening():
            here.server.publish_raw(CHANNEL, [{**wire({"exec": "print-equity"}), "id": "mine:0"}])
            await here.recorded("mine:0")
            here.server.advance_clock(121)  # the server forgets ids after two minutes
            here.server.publish_raw(CHANNEL, [{**wire(REBALANCE), "id": "mine:0"}])
            await here.recorded(*here.publish({"exec": "print-positions"}))
        assert here.signal("mine:0").command == "print-equity"
        assert all(row.command != "rebalance" for row in here.events())

    play(scenario)
    assert "same_id_other_payload" in capsys.readouterr().out


def test_two_listeners_at_once_record_each_signal_once(play: Play) -> None:
    async def scenario(here: Here) -> None:
        async with here.listening(), here.listening(wait=False):
            await here.server.log.wait_for("attached", 2)
            ids = here.publish(*[REBALANCE] * 30)
            await here.recorded(*ids)
            await here.server.log.wait_for("deliver", 60)
        assert sorted(here.ids()) == sorted(ids)
        assert [row.requested_generation for row in here.events()] == [30, 30]

    play(scenario)


def test_signals_of_other_strategies_reach_other_accounts_only(play: Play) -> None:
    async def scenario(here: Here) -> None:
        here.write_accounts(account(1), account(2, "other"), account(3, enabled=False), account(4, "blend x"[:5]))
        async with here.listening():
            await here.until(lambda: here.hears(CHANNEL, "other"))
            here.publish(REBALANCE, channel="other")
            await here.until(lambda: here.signals("other"))
            assert [row.account_id for row in here.events()] == ["DU2"]

    play(scenario)


def test_a_name_that_needs_quoting_is_one_channel_live_and_in_history(play: Play) -> None:
    name = "growth/2:é&x"

    async def scenario(here: Here) -> None:
        here.write_accounts(account(1, name))
        async with here.listening(wait=False):
            await here.until(lambda: here.hears(name))
            here.publish(REBALANCE, channel=name)
            await here.until(lambda: len(here.signals(name)) == 1)
        here.publish(REBALANCE, channel=name)
        async with here.listening(wait=False):
            await here.until(lambda: len(here.signals(name)) == 2)

    play(scenario)


def test_a_signal_that_is_too_old_becomes_a_dry_run(play: Play) -> None:
    async def scenario(here: Here) -> None:
        async with here.listening():
            pass
        two_hours_ago = datetime.now(UTC) - timedelta(hours=2)
        with here.ledger.begin() as session:
            session.execute(update(Channel).values(baseline_at=two_hours_ago, complete_at=two_hours_ago))
        old_ms = int((datetime.now(UTC) - timedelta(minutes=90)).timestamp() * 1000)
        here.server.publish_raw(CHANNEL, [{**wire(REBALANCE), "id": "old:0", "timestamp": old_ms}])
        async with here.listening():
            await here.recorded("old:0")
        row = here.signal("old:0")
        assert (row.state, row.command, row.payload) == ("accepted", "print-rebalance", REBALANCE)
        assert row.remark == "asked for rebalance, but was 1.5 h old: dry run instead"
        assert {event.command for event in here.events()} == {"print-rebalance"}

    play(scenario, signal_max_age_s=3600)


def test_live_messages_wait_for_history_but_not_for_ever(play: Play) -> None:
    async def scenario(here: Here) -> None:
        here.server.http_status(500, times=100_000, path_contains="/messages")
        async with here.listening(wait=False):
            await here.server.log.wait_for("attached")
            live = here.publish(REBALANCE)
            await here.server.log.wait_for("rest_error", 2)
            assert here.ids() == []
            await here.recorded(*live)

    play(scenario, timing=replace(QUICK, gate=1.0))


def test_a_short_trouble_with_history_does_not_cost_the_order(play: Play) -> None:
    async def scenario(here: Here) -> None:
        async with here.listening():
            pass
        missed = here.publish(*[{"exec": "print-equity"}] * 3)
        here.server.http_status(500, times=3, path_contains="/messages")
        async with here.listening(wait=False):
            await here.server.log.wait_for("attached", 2)
            live = here.publish(REBALANCE)
            await here.recorded(*missed, *live)
            assert here.ids() == missed + live

    play(scenario)
