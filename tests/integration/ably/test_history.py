"""History, idempotent publishing and the errors of the REST half."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest
from ably import AblyException
from ably.types.message import Message

from sandbox.ably.server import AblyServer
from tests.integration.ably.harness import FAST, Clients, both_formats, publish, run

DAY_S = 24 * 3600


async def all_pages(channel: Any, **query: Any) -> list[list[str]]:
    page, found = await channel.history(**query), []
    while page is not None:
        found.append([message.data for message in page.items])
        page = await page.next()
    return found


@both_formats
@pytest.mark.parametrize(
    ("direction", "expected"),
    [("forwards", ["ab", "cd", "e"]), ("backwards", ["ed", "cb", "a"]), (None, ["ed", "cb", "a"])],
)
def test_pages_hold_every_message_once(binary: bool, direction: str | None, expected: list[str]) -> None:
    async def scenario(server: AblyServer, clients: Clients) -> None:
        server.publish_raw("strategy", [{"data": text} for text in "abc"])  # a page's end may cut a batch
        await publish(server, "strategy", "d", "e")
        await publish(server, "another", "x")
        channel = clients.rest(use_binary_protocol=binary).channels.get("strategy")
        pages = await all_pages(channel, limit=2, direction=direction)
        assert ["".join(page) for page in pages] == expected

    run(scenario)


def test_a_full_last_page_has_no_successor() -> None:
    async def scenario(server: AblyServer, clients: Clients) -> None:
        await publish(server, "strategy", "a", "b")
        page = await clients.rest().channels.get("strategy").history(limit=2)
        assert not page.has_next()
        assert [message.data for message in (await page.first()).items] == ["b", "a"]

    run(scenario)


def test_start_and_end_are_inclusive() -> None:
    async def scenario(server: AblyServer, clients: Clients) -> None:
        for text in "abc":
            await publish(server, "strategy", text)
            server.advance_clock(10)
        channel = clients.rest().channels.get("strategy")
        times = [message.timestamp for message in (await channel.history(direction="forwards")).items]
        assert await all_pages(channel, start=times[1], limit=1) == [["c"], ["b"]]
        assert await all_pages(channel, end=times[1]) == [["b", "a"]]
        assert await all_pages(channel, start=times[1], end=times[1]) == [["b"]]
        assert await all_pages(channel, start=times[2] + 1) == [[]]

    run(scenario)


def test_messages_older_than_the_window_are_gone() -> None:
    async def scenario(server: AblyServer, clients: Clients) -> None:
        await publish(server, "strategy", "old")
        server.advance_clock(DAY_S / 2)
        await publish(server, "strategy", "young")
        server.advance_clock(DAY_S / 2 + 1)
        channel = clients.rest().channels.get("strategy")
        assert await all_pages(channel) == [["young"]]
        await publish(server, "strategy", "new")
        assert await all_pages(channel) == [["new", "young"]]

    run(scenario, replace(FAST, history_window_s=DAY_S))


@both_formats
def test_a_repeated_publish_gets_the_same_answer_and_is_delivered_once(binary: bool) -> None:
    async def scenario(_: AblyServer, clients: Clients) -> None:
        ear = await clients.listening("strategy", use_binary_protocol=binary)
        channel = clients.rest(use_binary_protocol=binary).channels.get("strategy")
        batch = [Message("n", "a", id="base:0"), Message("n", "b", id="base:1")]
        answers = [await channel.publish(batch) for _ in range(2)]
        answers += [await channel.publish(Message("n", "c", id="own")) for _ in range(2)]
        await channel.publish("n", "last")
        await ear.heard(4)
        assert ear.ids[:3] == ["base:0", "base:1", "own"]
        assert ear.data == ["a", "b", "c", "last"]
        assert answers[0].serials == answers[1].serials
        assert answers[2].serials == answers[3].serials

    run(scenario)


def test_after_two_minutes_the_same_id_is_a_second_message() -> None:
    async def scenario(server: AblyServer, clients: Clients) -> None:
        ear = await clients.listening("strategy", transport_params={"heartbeats": "true"})
        channel = clients.rest().channels.get("strategy")
        await channel.publish(Message("n", "a", id="own"))
        server.advance_clock(FAST.idempotency_window_s + 1)
        await channel.publish(Message("n", "a", id="own"))
        await ear.heard(2)
        assert ear.ids == ["own", "own"]

    run(scenario)


def test_the_same_id_on_another_channel_is_another_message() -> None:
    async def scenario(_: AblyServer, clients: Clients) -> None:
        rest = clients.rest()
        for name in ("one", "two"):
            await rest.channels.get(name).publish(Message("n", name, id="own"))
        assert await all_pages(rest.channels.get("two")) == [["two"]]

    run(scenario)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ([{"id": "a:0"}, {"id": "b:1"}], "40031"),
        ([{"id": "a:0"}, {"data": "no id"}], "40031"),
        ({"data": "x" * 65_537}, "40009"),
        ({"data": 5}, "40013"),
        ({"name": 5}, "40000"),
        ("text", "40000"),
    ],
)
def test_bad_publishes_are_refused(body: Any, code: str) -> None:
    async def scenario(_: AblyServer, clients: Clients) -> None:
        response = await clients.rest().request("POST", "/channels/strategy/messages", "5", body=body)
        assert (response.success, response.error_code) == (False, code)

    run(scenario)


@pytest.mark.parametrize("query", [{"limit": 1001}, {"limit": 0}, {"direction": "sideways"}, {"start": "x"}])
def test_bad_history_parameters_are_refused(query: dict[str, Any]) -> None:
    async def scenario(_: AblyServer, clients: Clients) -> None:
        response = await clients.rest().request("GET", "/channels/strategy/messages", "5", params=query)
        assert (response.status_code, response.error_code) == (400, "40003")

    run(scenario)


@both_formats
def test_errors_have_the_services_shape(binary: bool) -> None:
    async def scenario(_: AblyServer, clients: Clients) -> None:
        rest = clients.rest(use_binary_protocol=binary)
        response = await rest.request("GET", "/nowhere", "5")
        assert (response.status_code, response.error_code) == (404, "40400")
        assert response.items[0]["error"]["code"] == 40400
        with pytest.raises(AblyException) as raised:
            await rest.http.get("/nowhere")
        assert (raised.value.status_code, raised.value.code) == (404, 40400)

    run(scenario)


def test_history_needs_its_capability() -> None:
    async def scenario(server: AblyServer, clients: Clients) -> None:
        server.set_capability({"*": ["subscribe", "publish"]})
        with pytest.raises(AblyException) as refused:
            await clients.rest().channels.get("strategy").history()
        assert (refused.value.status_code, refused.value.code) == (401, 40160)

    run(scenario)


def test_calls_fail_as_often_as_they_were_told_to() -> None:
    async def scenario(server: AblyServer, clients: Clients) -> None:
        rest = clients.rest()
        await rest.auth.authorize()
        server.http_status(503, times=2, path_contains="/channels/")
        server.http_status(429, code=42910, path_contains="/channels/")
        responses = [await rest.request("GET", "/channels/strategy/messages", "5") for _ in range(4)]
        assert [each.status_code for each in responses] == [503, 503, 429, 200]
        assert [each.error_code for each in responses] == ["50300", "50300", "42910", None]

    run(scenario)


@both_formats
def test_the_time_is_told_without_credentials(binary: bool) -> None:
    async def scenario(server: AblyServer, clients: Clients) -> None:
        before = time.time_ns() // 1_000_000
        told = await clients.rest(key="wrong.key:secret", use_binary_protocol=binary).time()
        assert before <= told <= time.time_ns() // 1_000_000
        assert server.log.count("rest_error") == 0

    run(scenario)


def test_a_poisoned_page_stops_the_sdks_history_but_not_a_raw_request() -> None:
    async def scenario(server: AblyServer, clients: Clients) -> None:
        server.publish_raw("strategy", [{"data": "{broken", "encoding": "json", "name": "signal"}])
        await publish(server, "strategy", "good")
        rest = clients.rest()
        with pytest.raises(AblyException) as raised:
            await rest.channels.get("strategy").history()
        assert raised.value.code == 50000
        page = await rest.request("GET", "/channels/strategy/messages", "5", params={"limit": 1})
        second = await page.next()
        assert [item["data"] for item in (*page.items, *second.items)] == ["good", "{broken"]
        assert all({"id", "timestamp"} <= item.keys() for item in (*page.items, *second.items))

    run(scenario)
