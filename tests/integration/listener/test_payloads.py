"""Bad input: always a row to look at, never a live order, never a deaf listener."""

from __future__ import annotations

import json
import time
from typing import Any

import msgpack
import pytest

from tests.integration.listener.harness import CHANNEL, REBALANCE, Here, Play, wire

DRY = "print-rebalance"
BIG = {"exec": "rebalance", "padding": "x" * 65_000}
DEEP = "[" * 900 + "]" * 900

# Wire message, command (None: quarantined), and a part of the remark.
CASES: dict[str, tuple[dict[str, Any], str | None, str | None]] = {
    "exact": (wire(REBALANCE), "rebalance", None),
    "exact, as text": ({"data": '{"exec": "rebalance"}'}, "rebalance", None),
    "another command": (wire({"exec": "print-equity"}), "print-equity", None),
    "nothing": ({}, DRY, "NoneType"),
    "null": ({"data": "null", "encoding": "json"}, DRY, "NoneType"),
    "empty text": ({"data": ""}, DRY, "not JSON"),
    "no JSON": ({"data": "rebalance"}, DRY, "not JSON"),
    "half JSON": ({"data": '{"exec": "rebal'}, DRY, "not JSON"),
    "a list": (wire(["rebalance"]), DRY, "list"),
    "a list of objects": (wire([REBALANCE]), DRY, "list"),
    "a number": ({"data": 7}, DRY, "int"),
    "true": ({"data": True}, DRY, "bool"),
    "no exec": (wire({"command": "rebalance"}), DRY, "no exec"),
    "unknown exec": (wire({"exec": "sell-everything"}), DRY, "unknown exec"),
    "exec in capitals": (wire({"exec": "REBALANCE"}), DRY, "unknown exec"),
    "exec with a blank": (wire({"exec": "rebalance "}), DRY, "unknown exec"),
    "exec is a list": (wire({"exec": ["rebalance"]}), DRY, "unknown exec"),
    "exec is an object": (wire({"exec": {"rebalance": 1}}), DRY, "unknown exec"),
    "exec is null": (wire({"exec": None}), DRY, "unknown exec"),
    "NUL inside": (wire({"exec": "print-equity", "note": "a\0b"}), "print-equity", None),
    "half a surrogate": ({"data": '{"exec": "print-equity", "note": "\\ud800"}'}, "print-equity", None),
    "not a number": ({"data": '{"exec": "print-equity", "x": NaN, "y": 1e999}'}, "print-equity", None),
    "64 KB": (wire(BIG), None, "payload has"),
    "64 KB of text": ({"data": "x" * 65_536}, None, "payload has 65536 bytes"),
    "deep": ({"data": DEEP}, DRY, "list"),
    "too deep": ({"data": "[" * 5000}, DRY, "not JSON"),
    "binary": ({"data": b"\x00\xff\xfe"}, DRY, "not JSON"),
    "bad JSON under encoding json": ({"data": "{", "encoding": "json"}, None, "data is not json"),
    "bad base64": ({"data": "a", "encoding": "base64"}, None, "data is not base64"),
    "bad UTF-8": ({"data": "//79", "encoding": "utf-8/base64"}, None, "data is not utf-8"),
    "encrypted": ({"data": "AAAA", "encoding": "json/utf-8/cipher+aes-256-cbc/base64"}, None, "is unknown"),
    "unheard-of encoding": ({"data": "x", "encoding": "rot13"}, None, "'rot13' is unknown"),
    "encoding of a wrong type": ({"data": "x", "encoding": 3}, None, "encoding is int"),
    "name of a wrong type": ({**wire(REBALANCE), "name": ["x"]}, None, "name is list"),
    "time of a wrong type": ({**wire(REBALANCE), "timestamp": "now"}, None, "timestamp"),
    "a deletion": ({**wire(REBALANCE), "action": 2}, None, "no publication"),
    "named error": ({**wire(REBALANCE), "name": "error"}, "rebalance", None),
    "named new_listener": ({**wire(REBALANCE), "name": "new_listener"}, "rebalance", None),
    "extras of a wrong type": ({**wire({"exec": "print-equity"}), "extras": 5}, "print-equity", None),
}


@pytest.mark.parametrize("name", CASES)
def test_a_payload_means_what_it_plainly_says_or_nothing(play: Play, name: str) -> None:
    message, command, remark = CASES[name]

    async def scenario(here: Here) -> None:
        async with here.listening():
            here.server.publish_raw(CHANNEL, [{**message, "id": "odd:0"}])
            after = here.publish({"exec": "print-positions"})
            await here.recorded("odd:0", *after)
        row = here.signal("odd:0")
        assert (row.state, row.command) == ("accepted" if command else "quarantined", command)
        assert (row.remark is None) == (remark is None)
        assert (remark or "") in (row.remark or "")
        assert len(json.dumps(row.payload)) < 20_000
        live = [event.account_id for event in here.events() if event.command == "rebalance"]
        assert live == (["DU1", "DU2"] if command == "rebalance" else [])

    # Only the time of the next sweep decides when a message that the SDK drops without a word is found.
    play(scenario, history_sweep_s=1)


def test_the_rest_of_a_bad_messages_batch_is_not_lost(play: Play) -> None:
    async def scenario(here: Here) -> None:
        async with here.listening():
            batch = [
                {**wire({"exec": "print-equity"}), "id": "b:0"},
                {"data": "{", "encoding": "json", "id": "b:1"},
                {**wire({"exec": "print-equity"}), "id": "b:2", "name": "error"},
                {"data": "x", "name": 5, "id": "b:3"},
                {**wire({"exec": "print-equity"}), "id": "b:4"},
            ]
            here.server.publish_raw(CHANNEL, batch)
            await here.recorded(*(item["id"] for item in batch))
        assert here.ids() == [item["id"] for item in batch]
        assert [row.state for row in here.signals()] == [
            "accepted",
            "quarantined",
            "accepted",
            "quarantined",
            "accepted",
        ]

    play(scenario)


def test_what_the_sdk_drops_is_found_at_once_and_not_at_the_next_sweep(play: Play) -> None:
    async def scenario(here: Here) -> None:
        async with here.listening():
            here.server.publish_raw(CHANNEL, [{"data": "{", "encoding": "json", "id": "odd:0"}])
            await here.until(here.signals, deadline_s=3)

    play(scenario, history_sweep_s=3600)


@pytest.mark.parametrize("message_id", ["", "i" * 1000, "nul\0", 7, ["x"], None])
def test_an_unusable_id_is_replaced_by_one_that_is_the_same_each_time(play: Play, message_id: Any) -> None:
    async def scenario(here: Here) -> None:
        async with here.listening():
            pass
        at = here.server.publish_raw(CHANNEL, [{"data": "x", "id": "before:0"}])
        assert at
        position = "99999999999999-000"
        here.server._store._db.execute(  # a server of Ably's would not let it in, so neither does ours
            "UPDATE message SET item = ?, position = ?",
            (_packed({"data": '{"exec": "print-equity"}', "id": message_id}), position),
        )
        for _ in range(2):
            async with here.listening():
                await here.until(here.signals)
        (row,) = here.signals()
        assert row.message_id.startswith("sha256:")

    play(scenario)


def _packed(item: dict[str, Any]) -> bytes:
    packed: bytes = msgpack.packb({**item, "timestamp": int(time.time() * 1000)}, use_bin_type=True)
    return packed
