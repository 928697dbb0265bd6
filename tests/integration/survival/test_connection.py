"""The gateway refuses, is silent, freezes, restarts or loses IBKR: nothing is sent blindly, what was sent is found."""

from __future__ import annotations

import pytest

from rebalancer.ledger.states import EventState
from sandbox.gateway.behaviour import Behaviour, Delivery, Incoming
from sandbox.gateway.messages import EXECUTION
from sandbox.gateway.requests import PLACE_ORDER
from sandbox.gateway.server import Gateway
from tests.integration.ibkr.serving import Script, connected
from tests.integration.survival.conftest import MakeBench
from tests.integration.survival.harness import (
    Bench,
    change_faults,
    ends_on_target,
    fails_without_an_order,
    soon,
    when_orders_arrive,
)

SLOW = {"mode": "delayed", "delay_ms": 150}


def test_f01_a_client_id_in_use_is_refused_by_name_and_tried_again(here: Bench) -> None:
    here.reconnect()
    here.fault(taken_client_ids=[here.client_id])
    fails_without_an_order(here, "client id 7 in use", "326")
    here.fault()
    ends_on_target(here)


def test_f02_a_gateway_that_accepts_and_says_nothing_costs_one_attempt(here: Bench) -> None:
    here.fault(connections="silence")
    here.reconnect(connect_timeout_s=0.3)
    fails_without_an_order(here, "GatewayUnavailable")
    here.fault()
    here.reconnect(connect_timeout_s=5)
    ends_on_target(here)


def test_f03_a_33rd_client_is_told_so(benches: MakeBench) -> None:
    with benches(gateway={"max_clients": 2}) as here:
        with connected(here.served, client_id=900) as other, connected(here.served, client_id=901) as another:
            other.managed_accounts()
            another.managed_accounts()
            fails_without_an_order(here, "502", "maximum API connection threshold")
        here.aim()
        ends_on_target(here)


@pytest.mark.parametrize("request_id", [74, 5, 16, 76], ids=["positions", "open orders", "all open orders", "values"])
def test_f04_an_unanswered_question_ends_the_attempt_before_any_order(here: Bench, request_id: int) -> None:
    here.reconnect(connect_timeout_s=0.3, request_timeout_s=0.3)
    here.fault(ignored_requests=[request_id])
    fails_without_an_order(here, "GatewayUnavailable")
    here.fault()
    here.reconnect(connect_timeout_s=5, request_timeout_s=1.5)
    ends_on_target(here)


@pytest.mark.parametrize("request_id", [99, 7], ids=["completed orders", "executions"])
def test_f04_without_its_lists_the_broker_proves_nothing_and_nothing_is_resent(
    benches: MakeBench, request_id: int
) -> None:
    lists = ListsLost(request_id)
    with benches(lists) as here:
        here.aim()
        here.reconnect(request_timeout_s=0.3)
        event_id = here.request()
        outcome = here.attempt(event_id)
        assert outcome.state is EventState.RETRYING
        assert len(here.refs) == 1, "only the order before the reset"
        lists.lost = False
        here.finish(event_id)
        assert here.positions == here.wanted
        here.prove_books()


@pytest.mark.parametrize("request_id", [99, 7], ids=["completed orders", "executions"])
def test_f04_without_its_lists_nobody_knows_who_else_trades_and_nothing_is_sent(here: Bench, request_id: int) -> None:
    here.reconnect(request_timeout_s=0.3)
    here.fault(ignored_requests=[request_id])
    fails_without_an_order(here, "GatewayUnavailable")
    here.fault()
    ends_on_target(here)


class ListsLost(Behaviour):
    """From its first order on, which ends the connection, a gateway answers one question no more."""

    def __init__(self, request_id: int) -> None:
        self.lost = True
        self._request_id = request_id
        self._ordered = False

    def incoming(self, client_id: int, message_id: int) -> Incoming:
        del client_id
        if message_id == PLACE_ORDER and not self._ordered:
            self._ordered = True
            return Incoming.RESET_AFTER
        return Incoming.IGNORE if self._ordered and self.lost and message_id == self._request_id else Incoming.HANDLE


@pytest.mark.parametrize("when", ["before", "after"])
def test_f05_a_reset_around_an_order_is_reconciled_in_the_same_attempt(here: Bench, when: str) -> None:
    here.fault(order_reset={"when": when})
    outcome = here.rebalance()
    assert outcome.state is EventState.SUCCEEDED, outcome
    assert here.positions == here.wanted
    here.prove_books()


def test_f05_resets_at_every_order_end_on_target_over_several_attempts(here: Bench) -> None:
    here.fault(order_reset={"when": "after", "times": 8})
    ends_on_target(here, 8)


def test_f06_a_frozen_gateway_is_noticed_and_nothing_is_sent_twice(benches: MakeBench) -> None:
    with benches(fills=SLOW) as here:
        here.aim()
        here.reconnect(heartbeat_s=0.1, heartbeat_timeout_s=0.2)

        def freeze(gateway: Gateway) -> None:
            change_faults(gateway, muted=True)
            soon(0.6, lambda: change_faults(gateway, muted=False))

        when_orders_arrive(here, 1, freeze)
        outcome = here.rebalance()
        assert outcome.state is EventState.SUCCEEDED, outcome
        assert here.positions == here.wanted
        here.prove_books()


@pytest.mark.parametrize("restored", [1101, 1102])
def test_f07_fills_missed_while_ibkr_was_away_are_looked_up(benches: MakeBench, restored: int) -> None:
    with benches(fills=SLOW) as here:
        here.aim()

        def lose(gateway: Gateway) -> None:
            gateway.announce(1100, "Connectivity between IB and Trader Workstation has been lost.")
            change_faults(gateway, dropped_messages=frozenset({3, 5, 11, 59}))
            soon(0.4, lambda: back(gateway))

        def back(gateway: Gateway) -> None:
            change_faults(gateway, dropped_messages=frozenset())
            gateway.announce(restored, "Connectivity between IB and Trader Workstation has been restored.")

        when_orders_arrive(here, 1, lose)
        outcome = here.rebalance()
        assert outcome.state is EventState.SUCCEEDED, outcome
        assert here.positions == here.wanted
        here.prove_books()


def test_f07_without_ibkr_no_order_is_sent(here: Bench) -> None:
    here.served.do(lambda gateway: gateway.announce(1100, "Connectivity lost"))
    fails_without_an_order(here, "lost IBKR", "1100")
    here.served.do(lambda gateway: gateway.announce(1102, "Connectivity restored"))
    ends_on_target(here)


@pytest.mark.parametrize("forgotten", [0, 4], ids=["ids kept", "ids rolled back"])
def test_f08_a_nightly_restart_in_the_midst_of_orders(benches: MakeBench, forgotten: int) -> None:
    with benches(fills=SLOW) as here:
        here.aim()
        restarting: list[object] = []

        def restart(gateway: Gateway) -> None:
            restarting.append(here.served.loop.create_task(gateway.restart(0.3, forgotten)))

        when_orders_arrive(here, 3, restart)
        outcome = here.rebalance()
        assert outcome.state is EventState.SUCCEEDED, outcome
        assert here.positions == here.wanted
        here.prove_books()


def test_f08_a_new_worker_with_rolled_back_order_ids_never_touches_earlier_orders(here: Bench) -> None:
    here.rebalance()
    before = here.served.do(lambda gateway: list(gateway.orders))
    here.served.do(lambda gateway: gateway.exchange.book.forget_ids(4))
    here.reconnect()
    here.served.do(lambda gateway: gateway.exchange.set_price("GLD", 125))
    here.finish(here.request())
    assert here.served.do(lambda gateway: gateway.orders)[: len(before)] == before
    here.prove_books()


def test_f08_a_client_id_that_sticks_after_the_restart_is_waited_for(benches: MakeBench) -> None:
    with benches(fills=SLOW) as here:
        here.aim()

        def restart(gateway: Gateway) -> None:
            change_faults(gateway, taken_client_ids=frozenset({here.client_id}))
            gateway.disconnect_all()
            soon(0.4, lambda: change_faults(gateway, taken_client_ids=frozenset()))

        when_orders_arrive(here, 1, restart)
        outcome = here.rebalance()
        assert outcome.state is EventState.SUCCEEDED, outcome
        assert here.positions == here.wanted
        here.prove_books()


def test_f16_an_order_dropped_for_the_rate_limit_is_found_missing_and_planned_again(benches: MakeBench) -> None:
    script = Script()
    with benches(script) as here:
        here.aim()

        def drop_the_second(gateway: Gateway) -> None:
            script.requests = {PLACE_ORDER: Incoming.IGNORE}
            soon(0.05, lambda: gateway.announce(100, "Max rate of messages per second has been exceeded"))
            soon(0.05, script.requests.clear)

        when_orders_arrive(here, 1, drop_the_second)
        ends_on_target(here, 1)


def test_f16_the_products_own_pace_never_exceeds_the_limit(benches: MakeBench) -> None:
    with benches(gateway={"messages_per_window": 20, "message_window_s": "0.9"}) as here:
        here.reconnect(messages_per_s=19, request_timeout_s=10)
        here.patience(quote_timeout_s=10, request_timeout_s=10)
        here.served.do(lambda gateway: gateway.announce(0, "Warning: Approaching max rate of 50 messages per second"))
        outcome = here.rebalance()
        assert outcome.state is EventState.SUCCEEDED, outcome
        assert sum(here.served.do(lambda gateway: gateway.message_counts).values()) > 20
        here.prove_books()


@pytest.mark.parametrize("size", [1, 7])
def test_f25_frames_in_pieces_mean_the_same(here: Bench, size: int) -> None:
    here.fault(split_frames=size)
    ends_on_target(here, 1)


def test_f25_unreadable_executions_are_asked_for_again(benches: MakeBench) -> None:
    script = Script(change=lambda message: (Delivery(message[:6] if message[:2] == (EXECUTION, -1) else message),))
    with benches(script) as here:
        here.aim()
        ends_on_target(here, 1)
