"""Connecting, subscribing, publishing: the protocol without faults."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from ably import AblyException
from ably.types.channelmode import ChannelMode
from ably.types.channeloptions import ChannelOptions

from sandbox.ably.server import AblyServer
from tests.integration.ably.harness import Clients, Ear, both_formats, connection_of, publish, run

PAYLOADS = ['{"exec": "rebalance"}', {"exec": "rebalance"}, ["a", 1], bytearray(b"\x00\xff"), "Zürich ✓", None]


@both_formats
def test_every_kind_of_payload_arrives_as_it_was_sent_and_in_order(binary: bool) -> None:
    async def scenario(_: AblyServer, clients: Clients) -> None:
        ear = await clients.listening("strategy", use_binary_protocol=binary)
        for payload in PAYLOADS:
            await ear.channel.publish("signal", payload)
        await ear.heard(len(PAYLOADS))
        assert ear.data == PAYLOADS
        assert [message.name for message in ear.messages] == ["signal"] * len(PAYLOADS)

    run(scenario)


@pytest.mark.parametrize("publishes_binary", [True, False])
def test_readers_of_both_formats_hear_the_same(publishes_binary: bool) -> None:
    async def scenario(_: AblyServer, clients: Clients) -> None:
        ears = [await clients.listening("strategy", use_binary_protocol=binary) for binary in (True, False)]
        rest = clients.rest(use_binary_protocol=publishes_binary)
        await rest.channels.get("strategy").publish("signal", bytearray(b"\x00\xff"))
        for ear in ears:
            await ear.heard(1)
            assert ear.data == [bytearray(b"\x00\xff")]
        assert ears[0].ids == ears[1].ids

    run(scenario)


@both_formats
def test_a_message_has_the_same_id_and_time_live_and_in_history(binary: bool) -> None:
    async def scenario(_: AblyServer, clients: Clients) -> None:
        ear = await clients.listening("strategy", use_binary_protocol=binary)
        rest = clients.rest(use_binary_protocol=binary).channels.get("strategy")
        await ear.channel.publish("over-realtime", "a")
        await rest.publish("over-rest", "b")
        await ear.heard(2)
        past = (await rest.history(direction="forwards")).items
        keys = [(message.id, message.timestamp, message.serial, message.data) for message in ear.messages]
        assert keys == [(message.id, message.timestamp, message.serial, message.data) for message in past]

    run(scenario)


def test_an_acknowledged_publish_tells_the_serials() -> None:
    async def scenario(_: AblyServer, clients: Clients) -> None:
        ear = await clients.listening("strategy")
        over_realtime = await ear.channel.publish([{"data": "a"}, {"data": "b"}])
        over_rest = await clients.rest().channels.get("strategy").publish("name", "c")
        await ear.heard(3)
        assert [message.serial for message in ear.messages] == over_realtime.serials + over_rest.serials
        assert sorted(over_realtime.serials + over_rest.serials) == over_realtime.serials + over_rest.serials

    run(scenario)


def test_many_messages_from_concurrent_publishers_arrive_once_and_in_the_order_of_history() -> None:
    async def scenario(_: AblyServer, clients: Clients) -> None:
        ear = await clients.listening("strategy")
        publishers = [(await clients.listening("another")).channel.ably.channels.get("strategy") for _ in range(3)]
        await asyncio.gather(*(each.publish("n", f"{n}") for each in publishers for n in range(50)))
        await ear.heard(150)
        history = (await clients.rest().channels.get("strategy").history(direction="forwards", limit=1000)).items
        assert ear.ids == [message.id for message in history]
        assert len(set(ear.ids)) == 150

    run(scenario)


def test_a_refused_publish_is_told_to_the_publisher() -> None:
    async def scenario(server: AblyServer, clients: Clients) -> None:
        ear = await clients.listening("strategy")
        server.set_capability({"*": ["subscribe"]})
        for channel in (ear.channel, clients.rest().channels.get("strategy")):
            with pytest.raises(AblyException) as refused:
                await channel.publish("name", "data")
            assert refused.value.code == 40160

    run(scenario)


def test_an_attach_without_the_capability_fails_the_channel_only() -> None:
    async def scenario(server: AblyServer, clients: Clients) -> None:
        server.set_capability({"other:*": ["*"]})
        ear = await clients.listening("other:strategy")
        refused = connection_of(ear)
        with pytest.raises(AblyException, match="40160"):
            await ear.channel.ably.channels.get("strategy").attach()
        assert refused.state == "connected"

    run(scenario)


def test_ping_is_answered_with_its_own_id() -> None:
    async def scenario(server: AblyServer, clients: Clients) -> None:
        connection = connection_of(await clients.listening("strategy"))
        assert all(ms < 5_000 for ms in await asyncio.gather(*(connection.ping() for _ in range(3))))
        assert server.log.count("ping") == 3

    run(scenario)


def test_nothing_is_delivered_after_detach_and_the_next_attach_starts_anew() -> None:
    async def scenario(server: AblyServer, clients: Clients) -> None:
        ear = await clients.listening("strategy")
        await ear.channel.detach()
        await publish(server, "strategy", "unheard")
        await ear.channel.attach()
        await publish(server, "strategy", "heard")
        await ear.heard(1)
        assert ear.data == ["heard"]
        assert not (await ear.attached(2)).resumed

    run(scenario)


def test_with_echo_off_a_client_does_not_hear_itself() -> None:
    async def scenario(server: AblyServer, clients: Clients) -> None:
        ear = await clients.listening("strategy", transport_params={"echo": "false"})
        await ear.channel.publish("own", "own")
        await publish(server, "strategy", "other")
        await ear.heard(1)
        assert ear.data == ["other"]

    run(scenario)


def test_a_client_that_may_only_publish_hears_nothing() -> None:
    async def scenario(server: AblyServer, clients: Clients) -> None:
        modes = ChannelOptions(modes=[ChannelMode.PUBLISH])
        deaf = Ear(clients.realtime().channels.get("strategy", options=modes))
        await deaf.channel.subscribe(deaf.on_message)
        await deaf.channel.publish("name", "data")
        assert deaf.channel.modes == [ChannelMode.PUBLISH]
        assert server.log.count("deliver") == 0

    run(scenario)


@pytest.mark.parametrize("name", ["a/b", "with space", "plus+and%percent", "colon:äöü", "query?x=1&y#z"])
def test_channel_names_survive_the_way_through_urls(name: str) -> None:
    async def scenario(_: AblyServer, clients: Clients) -> None:
        ear = await clients.listening(name)
        channel = clients.rest().channels.get(name)
        await channel.publish("n", "one")
        await channel.publish("n", "two")
        await ear.heard(2)
        first = await channel.history(direction="forwards", limit=1)
        second = await first.next()
        assert [first.items[0].data, second.items[0].data] == ear.data == ["one", "two"]

    run(scenario)


@pytest.mark.parametrize("name", ["", ":reserved", "[meta]"])
def test_invalid_channel_names_are_refused(name: str) -> None:
    async def scenario(_: AblyServer, clients: Clients) -> None:
        response = await clients.rest().request("GET", f"/channels/{name}/messages", "5")
        assert response.status_code in (400, 404)
        assert response.error_code in ("40010", "40400")

    run(scenario)


def test_close_ends_the_connection_for_good() -> None:
    async def scenario(server: AblyServer, clients: Clients) -> None:
        client: Any = clients.realtime()
        await client.connection.once_async("connected")
        await client.close()
        await server.log.wait_for("gone")
        assert server.log.count("close") == 1
        assert server.sessions == ()

    run(scenario)


def test_client_ids_are_stamped_on_messages_and_cannot_be_borrowed() -> None:
    async def scenario(_: AblyServer, clients: Clients) -> None:
        ear = await clients.listening("strategy", client_id="provider")
        await ear.channel.publish("name", "over realtime")
        await clients.rest(client_id="provider").channels.get("strategy").publish("name", "over rest")
        await ear.heard(2)
        assert [message.client_id for message in ear.messages] == ["provider", "provider"]
        borrowed = {"data": "x", "clientId": "somebody"}
        response = await clients.rest(client_id="provider").request(
            "POST", "/channels/strategy/messages", "5", body=borrowed
        )
        assert response.error_code == "40012"

    run(scenario)
