"""Whatever arrives can be stored, and only the exact payload trades."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from listener.json_safe import storable
from listener.messages import arrival, from_history
from rebalancer.domain.commands import Command

NOW = datetime(2026, 6, 24, 15, tzinfo=UTC)
DAY = timedelta(days=1)

leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary()
anything = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4), max_leaves=12
)
encodings = st.none() | st.sampled_from(["json", "utf-8", "base64", "json/utf-8/base64", "cipher", "//", "json/json"])
items = anything | st.fixed_dictionaries(
    {},
    optional={
        "id": st.text(max_size=8) | anything,
        "data": anything | st.sampled_from(['{"exec": "rebalance"}', "eyJleGVjIjogInJlYmFsYW5jZSJ9"]),
        "encoding": encodings | anything,
        "timestamp": st.integers(0, 2**45) | anything,
        "name": st.text(max_size=8) | anything,
        "action": st.integers(0, 5) | anything,
    },
)


@given(anything)
def test_whatever_arrives_is_stored_as_json_without_nul(value: Any) -> None:
    text = json.dumps(storable(value), allow_nan=False)
    assert "\\u0000" not in text
    assert json.loads(text) == storable(value)


@given(items)
def test_any_message_becomes_a_row_and_is_the_same_each_time(item: Any) -> None:
    first, again = (arrival(from_history("blend", item), NOW, DAY) for _ in range(2))
    assert first == again
    assert first.message_id
    json.dumps(first.payload, allow_nan=False)


@given(items)
def test_only_the_exact_payload_trades(item: Any) -> None:
    made = arrival(from_history("blend", item), NOW, DAY)
    if made.command is Command.REBALANCE:
        assert isinstance(item, dict)
        assert made.remark is None
        payload = json.loads(made.payload) if isinstance(made.payload, str) else made.payload
        assert payload["exec"] == "rebalance"


@given(st.integers(0, 10 * 86_400))
def test_an_old_signal_never_trades(age_s: int) -> None:
    at_ms = int((NOW - timedelta(seconds=age_s)).timestamp() * 1000)
    item = {"id": "a:0", "timestamp": at_ms, "data": '{"exec": "rebalance"}'}
    made = arrival(from_history("blend", item), NOW, DAY)
    assert made.command is (Command.PRINT_REBALANCE if age_s > 86_400 else Command.REBALANCE)
