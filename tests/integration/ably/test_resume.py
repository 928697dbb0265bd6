"""What a client hears after it was away, and what it is told about it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from sandbox.ably.options import AblyOptions
from sandbox.ably.server import AblyServer
from tests.integration.ably.harness import FAST, IMPATIENT, Clients, both_formats, connection_of, publish, run


@both_formats
def test_messages_missed_during_a_drop_are_replayed_once_and_in_order(binary: bool) -> None:
    async def scenario(server: AblyServer, clients: Clients) -> None:
        ear = await clients.listening("strategy", use_binary_protocol=binary)
        first = await publish(server, "strategy", "a")
        await ear.heard(1)
        connection_id = connection_of(ear).connection_manager.connection_id
        server.drop()
        missed = await publish(server, "strategy", "b", "c")
        await ear.heard(3)
        live = await publish(server, "strategy", "d")
        await ear.heard(4)
        assert ear.ids == first + missed + live
        assert (await ear.attached(2)).resumed
        assert connection_of(ear).connection_manager.connection_id == connection_id

    run(scenario)


def test_publishes_while_clients_come_and_go_are_neither_lost_nor_doubled() -> None:
    async def scenario(server: AblyServer, clients: Clients) -> None:
        ear = await clients.listening("strategy")
        ids = []
        for round_ in range(10):
            ids += await publish(server, "strategy", *(f"{round_}-{n}" for n in range(10)))
            server.drop()
            ids += await publish(server, "strategy", f"{round_}-missed")
            await ear.attached(round_ + 2)
        await ear.heard(len(ids))
        assert ear.ids == ids
        assert all(change.resumed for change in ear.attachments[1:])

    run(scenario)


def test_an_unacknowledged_publish_that_is_sent_again_is_published_once() -> None:
    async def scenario(server: AblyServer, clients: Clients) -> None:
        ear = await clients.listening("strategy")
        await ear.channel.publish("name", "once")
        frame = {"action": 15, "channel": "strategy", "msgSerial": 0, "messages": [{"name": "name", "data": "once"}]}
        await connection_of(ear).connection_manager.transport.send(frame)
        await server.log.wait_for("ack", 2)
        await ear.channel.publish("name", "twice")
        await ear.heard(2)
        assert ear.data == ["once", "twice"]
        assert server.log.count("publish_repeated") == 1

    run(scenario)


def test_refused_resume_gives_a_new_connection_and_the_channel_still_continues() -> None:
    async def scenario(server: AblyServer, clients: Clients) -> None:
        ear = await clients.listening("strategy")
        connection = connection_of(ear)
        before = connection.connection_manager.connection_id
        server.refuse_resume()
        server.drop()
        missed = await publish(server, "strategy", "missed")
        await ear.heard(1)
        assert ear.ids == missed
        assert (await ear.attached(2)).resumed
        assert connection.connection_manager.connection_id != before
        assert connection.error_reason.code == 80008

    run(scenario)


def test_a_connection_away_for_longer_than_its_time_to_live_is_a_new_one() -> None:
    async def scenario(server: AblyServer, clients: Clients) -> None:
        ear = await clients.listening("strategy", **IMPATIENT)
        await server.go_down()
        await server.log.wait_for("gone")
        server.advance_clock(FAST.connection_ttl_s + 1)
        await server.come_up()
        assert (await ear.attached(2)).resumed, "nothing was published, so the channel lost nothing"
        assert connection_of(ear).error_reason.code == 80008

    run(scenario)


def test_a_message_older_than_the_resume_window_breaks_the_continuity() -> None:
    async def scenario(server: AblyServer, clients: Clients) -> None:
        ear = await clients.listening("strategy", **IMPATIENT)
        await server.go_down()
        await publish(server, "strategy", "lost")
        server.advance_clock(FAST.resume_window_s + 1)
        await server.come_up()
        assert not (await ear.attached(2)).resumed
        await publish(server, "strategy", "heard")
        await ear.heard(1)
        assert ear.data == ["heard"]

    run(scenario)


def test_refused_continuity_loses_what_was_missed() -> None:
    async def scenario(server: AblyServer, clients: Clients) -> None:
        ear = await clients.listening("strategy")
        server.refuse_continuity("strategy")
        server.drop()
        await publish(server, "strategy", "lost")
        change = await ear.attached(2)
        assert (change.resumed, change.reason) == (False, None), "the SDK drops the reason here"
        await publish(server, "strategy", "heard")
        await ear.heard(1)
        assert ear.data == ["heard"]

    run(scenario)


def test_a_loss_can_be_followed_by_everything_still_held() -> None:
    async def scenario(server: AblyServer, clients: Clients) -> None:
        ear = await clients.listening("strategy")
        first = await publish(server, "strategy", "a")
        await ear.heard(1)
        server.replay_after_loss()
        server.refuse_continuity("strategy")
        server.drop()
        second = await publish(server, "strategy", "b")
        await ear.heard(3)
        assert ear.ids == first + first + second
        assert not (await ear.attached(2)).resumed

    run(scenario)


def test_a_gap_is_silent_until_the_next_attach_says_so() -> None:
    async def scenario(server: AblyServer, clients: Clients) -> None:
        ear = await clients.listening("strategy")
        server.gap("strategy", publishes=2)
        missed = await publish(server, "strategy", "x", "y")
        live = await publish(server, "strategy", "z")
        await ear.heard(1)
        assert ear.ids == live
        server.drop()
        assert not (await ear.attached(2)).resumed
        history = await clients.rest().channels.get("strategy").history(direction="forwards")
        assert [message.id for message in history.items] == missed + live
        server.drop()
        assert (await ear.attached(3)).resumed

    run(scenario)


def test_a_discontinuity_is_an_update_with_its_reason() -> None:
    async def scenario(server: AblyServer, clients: Clients) -> None:
        ear = await clients.listening("strategy")
        server.discontinuity("strategy")
        await publish(server, "strategy", "after")
        await ear.heard(1)
        assert [(update.resumed, update.reason.code) for update in ear.updates] == [(False, 90003)]
        server.drop()
        assert (await ear.attached(2)).resumed

    run(scenario)


def test_a_duplicate_has_the_same_id() -> None:
    async def scenario(server: AblyServer, clients: Clients) -> None:
        ear = await clients.listening("strategy")
        ids = await publish(server, "strategy", "a", "b")
        server.duplicate("strategy")
        server.duplicate("strategy", ids[0])
        await ear.heard(4)
        assert ear.ids == [*ids, ids[1], ids[0]]

    run(scenario)


@pytest.mark.parametrize(
    ("rewind", "expected"),
    [
        ({"rewind": "2"}, ["b", "c"]),
        ({"rewind": "2m"}, ["b", "c"]),
        ({"rewind": "10m"}, ["a", "b", "c"]),
        ({"rewind": "10m", "rewindLimit": "1"}, ["c"]),
        ({"rewind": "30s"}, ["c"]),
    ],
)
def test_rewind_begins_before_the_attachment(rewind: dict[str, str], expected: list[str]) -> None:
    async def scenario(server: AblyServer, clients: Clients) -> None:
        for text in "abc":
            await publish(server, "strategy", text)
            server.advance_clock({"a": 100, "b": 60, "c": 10}[text])
        ear = await clients.listening("strategy", params=rewind)
        await publish(server, "strategy", "live")
        await ear.heard(len(expected) + 1)
        assert ear.data == [*expected, "live"]
        assert ear.channel.params == rewind
        assert not ear.changes[-1].resumed

    run(scenario)


def test_rewind_in_the_channel_name_works_too() -> None:
    async def scenario(server: AblyServer, clients: Clients) -> None:
        await publish(server, "strategy", "a", "b")
        ear = await clients.listening("[?rewind=1]strategy")
        await ear.heard(1)
        await clients.rest().channels.get("strategy").publish("name", "live")
        await ear.heard(2)
        assert ear.data == ["b", "live"]

    run(scenario)


def test_a_reconnect_does_not_rewind_again() -> None:
    async def scenario(server: AblyServer, clients: Clients) -> None:
        await publish(server, "strategy", "a")
        ear = await clients.listening("strategy", params={"rewind": "10"})
        await ear.heard(1)
        server.drop()
        assert (await ear.attached(2)).resumed
        await publish(server, "strategy", "b")
        await ear.heard(2)
        assert ear.data == ["a", "b"]

    run(scenario)


def test_attaching_again_on_the_same_connection_repeats_nothing() -> None:
    async def scenario(server: AblyServer, clients: Clients) -> None:
        ear = await clients.listening("strategy")
        await publish(server, "strategy", "a")
        await ear.channel.history()  # over a realtime client with a token, this re-attaches all channels
        assert (await ear.attached(2)).resumed
        await publish(server, "strategy", "b")
        await ear.heard(2)
        assert ear.data == ["a", "b"]
        assert server.log.count("connected") == 1

    run(scenario)


def test_a_restart_keeps_history_serials_and_the_continuity_of_channels(tmp_path: Path) -> None:
    seen: dict[str, Any] = {}
    options = replace(FAST, data=tmp_path / "ably.sqlite")

    async def before(server: AblyServer, clients: Clients) -> None:
        result = await clients.rest().channels.get("strategy").publish("name", "before")
        server.advance_clock(60)  # a clock that was ahead must not make serials go back after the restart
        await publish(server, "strategy", "ahead")
        seen["serials"] = result.serials
        page = await clients.rest().channels.get("strategy").history()
        seen["ids"] = [message.id for message in page.items]

    async def after(server: AblyServer, clients: Clients) -> None:
        later = await clients.rest().channels.get("strategy").publish("name", "after")
        items = (await clients.rest().channels.get("strategy").history()).items
        assert [message.id for message in items[1:]] == seen["ids"]
        assert later.serials[0] > items[1].serial > seen["serials"][0]
        assert [message.data for message in items] == ["after", "ahead", "before"]

    run(before, options)
    run(after, options)


def test_a_client_lives_through_a_restart_without_losing_a_message(tmp_path: Path) -> None:
    options = replace(FAST, data=tmp_path / "ably.sqlite")

    async def scenario(server: AblyServer, clients: Clients) -> None:
        ear = await clients.listening("strategy", **IMPATIENT)
        await publish(server, "strategy", "a")
        await ear.heard(1)
        await server.stop()
        successor = AblyServer(replace(options, port=server.port))
        missed = await publish(successor, "strategy", "b")
        async with successor:
            await ear.heard(2)
            assert ear.ids[1:] == missed
            assert (await ear.attached(2)).resumed
            assert connection_of(ear).error_reason.code == 80008
            await ear.channel.ably.close()

    run(scenario, options)


def test_messages_in_memory_do_not_survive_and_the_client_is_told() -> None:
    async def scenario(server: AblyServer, clients: Clients) -> None:
        ear = await clients.listening("strategy", **IMPATIENT)
        await server.stop()
        async with AblyServer(AblyOptions(port=server.port)):
            assert not (await ear.attached(2)).resumed
            await ear.channel.ably.close()

    run(scenario)
