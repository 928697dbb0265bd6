"""A run that has its turn hears what the broker pushes: what that shows needs no question, anything else is asked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from rebalancer.domain.portfolio import AccountSnapshot
from rebalancer.ibkr import BrokerOptions, IbkrBroker
from sandbox.gateway.behaviour import Delivery, Incoming
from sandbox.gateway.wire import Message
from tests.integration.ibkr.serving import Script, ServedGateway, connected, executing, limit, serving, until

POSITIONS, VALUES, CANCEL_POSITIONS, CANCEL_VALUES = 74, 76, 75, 77
POSITIONS_OF_LOGIN, CANCEL_POSITIONS_OF_LOGIN = 61, 64
POSITION_ROW, VALUE_ROW = 71, 73


def asked(served: ServedGateway) -> tuple[int, ...]:
    """How often the account was asked about, and how often that was cancelled."""
    kinds = (POSITIONS, VALUES, CANCEL_POSITIONS, CANCEL_VALUES)
    return served.do(lambda gateway: tuple(gateway.message_counts[one] for one in kinds))


def shares(snapshot: AccountSnapshot) -> int:
    """Of SPY."""
    return int(next(one.quantity for one in snapshot.positions if one.symbol == "SPY"))


def shows_sixty(snapshot: AccountSnapshot) -> bool:
    """Fifty were held, ten are bought for about a thousand dollars."""
    return shares(snapshot) == 60 and 98_900 < snapshot.cash < 99_100


@contextmanager
def buying(
    script: Script | None = None, options: BrokerOptions | None = None, **setup: Any
) -> Iterator[tuple[ServedGateway, IbkrBroker]]:
    """In the account's turn, which has looked and then bought ten shares of SPY."""
    with serving(script, **setup) as served, connected(served, options=options) as broker, broker.turn("DU1"):
        broker.look_ahead("DU1", first=True)
        assert shares(broker.snapshot("DU1")) == 50
        assert len(list(executing(broker, [limit("a", "500", quantity=10)], 5))) > 1
        yield served, broker


def test_what_the_broker_has_pushed_is_not_asked_for() -> None:
    with buying() as (served, broker):
        before = asked(served)
        assert shows_sixty(broker.snapshot("DU1", shows_sixty, pushed=True))
        assert asked(served) == before
        assert before[2:] == (0, 0), "all ends with the connection of the turn"


def test_a_push_that_is_heard_a_moment_after_the_fill_is_not_asked_for() -> None:
    """They come over two connections."""
    script = Script()
    with serving(script) as served, connected(served) as broker, broker.turn("DU1"):
        broker.look_ahead("DU1", first=True)
        broker.snapshot("DU1")
        script.change = lambda message: (Delivery(message, 0.02 if message[0] == POSITION_ROW else 0),)
        assert len(list(executing(broker, [limit("a", "500", quantity=10)], 5))) > 1
        before = asked(served)
        assert shows_sixty(broker.snapshot("DU1", shows_sixty, pushed=True))
        assert asked(served) == before


def test_what_orders_are_sized_from_is_asked_for() -> None:
    with buying() as (served, broker):
        before = asked(served)
        assert shows_sixty(broker.snapshot("DU1", shows_sixty))
        assert [after - earlier for earlier, after in zip(before, asked(served), strict=True)] == [1, 1, 0, 0]


def test_between_sells_and_buys_the_values_are_asked_for_and_the_positions_known() -> None:
    with buying() as (served, broker):
        before = asked(served)
        broker.look_ahead("DU1")
        assert shows_sixty(broker.snapshot("DU1", shows_sixty))
        assert [after - earlier for earlier, after in zip(before, asked(served), strict=True)] == [0, 1, 0, 0]


@pytest.mark.parametrize("lag", ["positions_lag_ms", "values_lag_ms"])
def test_what_is_not_pushed_yet_is_asked_for_until_it_shows(lag: str) -> None:
    accounts = {"DU1": {"cash": 100_000, "positions": {"SPY": 50}, lag: 700}}
    with buying(accounts=accounts) as (served, broker):
        before = asked(served)
        assert shows_sixty(broker.snapshot("DU1", shows_sixty, pushed=True))
        assert asked(served)[0] > before[0]


@pytest.mark.parametrize("row", [POSITION_ROW, VALUE_ROW])
def test_a_push_that_cannot_be_read_makes_the_account_asked_for(row: int) -> None:
    script = Script()

    def garbled(message: Message) -> Iterable[Delivery]:
        if message[0] == row:
            script.change = lambda sent: (Delivery(sent),)
            message = (message[0], "", "x")
        return (Delivery(message),)

    with serving(script) as served, connected(served) as broker, broker.turn("DU1"):
        broker.look_ahead("DU1", first=True)
        broker.snapshot("DU1")
        script.change = garbled
        assert len(list(executing(broker, [limit("a", "500", quantity=10)], 5))) > 1
        before = asked(served)
        assert shows_sixty(broker.snapshot("DU1", shows_sixty, pushed=True))
        assert asked(served)[:2] == (before[0] + 1, before[1] + 1)


def test_without_a_turn_everything_is_asked_for_and_cancelled() -> None:
    with buying(options=BrokerOptions(account_turns=False)) as (served, broker):
        before = asked(served)
        assert shows_sixty(broker.snapshot("DU1", shows_sixty, pushed=True))
        until(lambda: asked(served) == tuple(count + 1 for count in before))


def test_no_worker_is_told_of_another_ones_account() -> None:
    """Two have asked about their accounts; what one of them buys is told once, and not to whoever else is connected."""
    told: list[Message] = []

    def noted(message: Message) -> Iterable[Delivery]:
        told.append(message)
        return (Delivery(message),)

    with buying(Script(change=noted)) as (served, broker), connected(served, 8) as other, other.turn("DU2"):
        other.look_ahead("DU2", first=True)
        assert not other.snapshot("DU2").positions
        del told[:]
        assert len(list(executing(broker, [limit("b", "500", quantity=5)], 5))) > 1
        assert [row[3:6:2] for row in told if row[0] == POSITION_ROW] == [("DU1", "SPY")]
        assert served.do(lambda gateway: gateway.message_counts[POSITIONS_OF_LOGIN]) == 0


def test_what_a_model_holds_is_counted_by_the_list_of_the_login() -> None:
    """IBKR does not say whether a list of one account has what its models hold, or has it once more."""

    def of_a_model(message: Message) -> Iterable[Delivery]:
        return (Delivery((*message[:-1], "Value") if message[0] == POSITION_ROW and message[5] == "GLD" else message),)

    with serving(Script(change=of_a_model)) as served, connected(served) as broker, broker.turn("DU1"):
        broker.look_ahead("DU1", first=True)
        for _ in range(2):
            held = {one.symbol: str(one.quantity) for one in broker.snapshot("DU1", pushed=True).positions}
            assert held == {"SPY": "50", "GLD": "7.5"}
        kinds = (POSITIONS_OF_LOGIN, CANCEL_POSITIONS_OF_LOGIN)
        until(lambda: served.do(lambda gateway: [gateway.message_counts[one] for one in kinds]) == [2, 2])


def test_after_its_turn_a_run_hears_nothing_more() -> None:
    with serving() as served, connected(served) as broker:
        with broker.turn("DU1"):
            broker.look_ahead("DU1", first=True)
            broker.snapshot("DU1")
        before = asked(served)
        broker.snapshot("DU1", pushed=True)
        until(lambda: asked(served) == tuple(count + 1 for count in before))


def test_what_a_turn_has_asked_and_did_not_wait_for_fails_nobody_after_it() -> None:
    """A run that a rule holds back ends before the broker has answered; another of the account follows at once."""
    script = Script(requests={VALUES: Incoming.IGNORE})
    with serving(script) as served, connected(served) as broker:
        with broker.turn("DU1"):
            broker.look_ahead("DU1", first=True)
            until(lambda: asked(served)[1] == 1)
        script.requests.clear()
        assert shares(broker.snapshot("DU1")) == 50
