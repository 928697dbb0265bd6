"""Before an account's first orders a worker asks the broker what they would do."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from rebalancer.commands import Command
from sandbox.gateway import messages
from sandbox.gateway.behaviour import Delivery
from sandbox.gateway.wire import Message
from tests.integration.ibkr.serving import Script
from tests.world import World, held, until

OPEN_ORDER = 5
VERSION = 176


def answering(answer: Callable[[Message], Iterator[Delivery]]) -> Callable[[Message], Iterator[Delivery]]:
    """What the gateway sends, with its answers to what-if orders replaced."""

    def change(message: Message) -> Iterator[Delivery]:
        asked = message[0] == OPEN_ORDER and any("-what-if-" in str(part) for part in message)
        return answer(message) if asked else iter((Delivery(message),))

    return change


@pytest.fixture
def asking(here: World) -> World:
    """A world whose worker asks, and waits for an answer for a moment."""
    here.start_worker(WHAT_IF="always", WHAT_IF_TIMEOUT_S="0.3", SLOW_RETRY_DELAY_S="1")
    return here


def test_a_missing_answer_is_on_record_and_stops_nothing(asking: World, script: Script) -> None:
    script.change = answering(lambda _message: iter(()))
    asking.finish(asking.submit("DU1000001", Command.REBALANCE), 30)
    assert held(asking, "DU1000001")
    assert "what_if_unanswered" in asking.logs()


def test_what_the_broker_would_refuse_is_not_sent_until_it_would_take_it(asking: World, script: Script) -> None:
    def refuse(message: Message) -> Iterator[Delivery]:
        yield Delivery(messages.error(VERSION, int(message[1]), 201, "Order rejected - reason: no permission"))

    script.change = answering(refuse)
    event_id = asking.submit("DU1000001", Command.REBALANCE)
    until(lambda: asking.event(event_id).state == "retrying", 30, lambda: str(asking.event(event_id)))
    assert "what_if_refused: the broker would refuse BUY" in (asking.event(event_id).last_error or "")
    assert asking.gateway.do(lambda gateway: list(gateway.orders)) == []

    script.change = answering(lambda message: iter((Delivery(message),)))
    asking.start_beat()
    asking.finish(event_id, 30)
    assert held(asking, "DU1000001")
