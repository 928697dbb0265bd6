"""Reading a channel message: only the exact payload trades."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from listener.messages import DRY
from rebalancer.domain.commands import Command, read_payload
from rebalancer.usecases import use_case_of


@pytest.mark.parametrize("payload", [{"exec": "rebalance"}, '{"exec": "rebalance"}', b'{"exec": "rebalance"}'])
def test_the_exact_payload_trades(payload: object) -> None:
    assert read_payload(payload).command is Command.REBALANCE
    assert read_payload(payload).remark is None


@pytest.mark.parametrize("command", list(Command))
def test_every_command_has_a_use_case(command: Command) -> None:
    assert callable(use_case_of(command))


def test_what_touches_orders_and_comes_too_late_becomes_something_that_does_not() -> None:
    assert set(DRY) == {command for command in Command if command.touches_orders}
    assert not any(instead.touches_orders for instead in DRY.values())


@pytest.mark.parametrize("command", list(Command))
def test_every_command_means_itself(command: Command) -> None:
    assert read_payload({"exec": str(command)}).command is command


@pytest.mark.parametrize(
    ("payload", "remark"),
    [
        (None, "payload is NoneType, not an object"),
        ({}, "payload has no exec"),
        ({"execution": "rebalance"}, "payload has no exec"),
        ([{"exec": "rebalance"}], "payload is list, not an object"),
        ("rebalance", "payload is not JSON"),
        ('["rebalance"]', "payload is list, not an object"),
        (b"\xff\xfe", "payload is not JSON"),
        ("[" * 100_000, "payload is not JSON"),
        ({"exec": "Rebalance"}, "unknown exec 'Rebalance'"),
        ({"exec": " rebalance"}, "unknown exec ' rebalance'"),
        ({"exec": ["rebalance"]}, "unknown exec \"['rebalance']\""),
        ({"exec": True}, "unknown exec 'True'"),
        ({"exec": "dry_run"}, "unknown exec 'dry_run'"),
    ],
)
def test_anything_doubtful_is_a_dry_run_and_says_why(payload: object, remark: str) -> None:
    reading = read_payload(payload)
    assert (reading.command, reading.remark) == (Command.PRINT_REBALANCE, remark)


JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(JSON | st.binary() | st.builds(json.dumps, JSON))
def test_no_other_payload_ever_trades(payload: object) -> None:
    assert read_payload(payload).command is Command.PRINT_REBALANCE
