"""What a worker makes sure of before an account's first orders."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal
from uuid import UUID

import pytest

from rebalancer.domain.commands import Command
from sandbox.gateway import messages
from sandbox.gateway.behaviour import Delivery
from sandbox.gateway.server import Gateway
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


def put_on_margin(gateway: Gateway) -> None:
    accounts = gateway.exchange.book.accounts
    accounts["DU1000001"] = replace(accounts["DU1000001"], margin=True)


def refused(world: World, account: str, text: str) -> UUID:
    """Its rebalance, which is retried for that reason; nothing was sent."""
    event_id = world.submit(account, Command.REBALANCE)
    until(lambda: world.event(event_id).state == "retrying", 30, lambda: str(world.event(event_id)))
    assert text in (world.event(event_id).last_error or "")
    assert world.gateway.do(lambda gateway: list(gateway.orders)) == []
    return event_id


def test_a_missing_answer_is_on_record_and_stops_nothing(asking: World, script: Script) -> None:
    script.change = answering(lambda _message: iter(()))
    asking.finish(asking.submit("DU1000001", Command.REBALANCE), 30)
    assert held(asking, "DU1000001")
    assert "what_if_unanswered" in asking.logs()


def test_what_the_broker_would_refuse_is_not_sent_until_it_would_take_it(asking: World, script: Script) -> None:
    def refuse(message: Message) -> Iterator[Delivery]:
        yield Delivery(messages.error(VERSION, int(message[1]), 201, "Order rejected - reason: no permission"))

    script.change = answering(refuse)
    event_id = refused(asking, "DU1000001", "what_if_refused: the broker would refuse BUY")
    script.change = answering(lambda message: iter((Delivery(message),)))
    asking.start_beat()
    asking.finish(event_id, 30)
    assert held(asking, "DU1000001")


def test_buys_that_need_more_margin_than_there_is_are_refused(asking: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sandbox.gateway.order_messages.MARGIN_RATE", Decimal(2))  # as for leveraged funds
    asking.gateway.do(put_on_margin)
    refused(asking, "DU1000001", "what_if_margin: the buys would raise the initial margin by")
