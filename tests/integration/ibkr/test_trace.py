"""After an uncertain send: what the broker knows of our order refs."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from rebalancer.domain.errors import GatewayUnavailable
from rebalancer.domain.order_states import OrderStatus
from rebalancer.domain.orders import Fill, SentOrder
from rebalancer.domain.portfolio import Side
from rebalancer.ibkr import BrokerOptions
from sandbox.gateway.behaviour import Delivery, Incoming
from sandbox.gateway.checks import Refusal
from sandbox.gateway.wire import Message
from tests.integration.ibkr.serving import CON_IDS, Script, connected, executing, limit, order, serving, until

EXECUTIONS, COMPLETED_ORDERS, EXECUTION, COMMISSION, POSITION = 7, 99, 11, 59, 71


def test_ref_that_the_broker_never_saw_is_missing() -> None:
    with serving() as served, connected(served) as broker:
        assert broker.trace("DU1", [SentOrder("never-sent")]) == {}


def test_filled_order_is_found_with_fills_and_commissions_by_another_client() -> None:
    with serving(fills={"mode": "partial", "slices": 2, "delay_ms": 0, "interval_ms": 1}) as served:
        with connected(served) as broker:
            list(executing(broker, [order("r"), order("other", "GLD")], 5))
        with connected(served, 8) as later:
            found = later.trace("DU1", [SentOrder("r"), SentOrder("never-sent")])
    assert set(found) == {"r"}
    assert (found["r"].status, found["r"].open) == (OrderStatus.FILLED, False)
    assert [fill.quantity for fill in found["r"].fills] == [5, 5]
    assert sum(report.commission for report in found["r"].commissions) == 1
    assert found["r"].perm_id == found["r"].fills[0].perm_id


def test_open_order_is_found_open() -> None:
    with serving(fills={"mode": "never"}) as served:
        with connected(served) as broker:
            next(executing(broker, [limit("r")], 5))
            until(lambda: bool(served.do(lambda gateway: gateway.orders)))
        with connected(served, 8) as later:
            found = later.trace("DU1", [SentOrder("r")])["r"]
    assert (found.status, found.open, found.fills) == (OrderStatus.SUBMITTED, True, ())


def test_cancelled_order_is_found_with_its_partial_fill() -> None:
    part = {"mode": "partial", "slices": 1, "fraction": "0.4", "delay_ms": 0}
    with serving(fills=part) as served, connected(served) as broker:
        updates = executing(broker, [order("r")], 5)
        next(updates)
        until(lambda: bool(served.do(lambda gateway: gateway.executions)))
        broker.cancel_open_orders("DU1")
        found = broker.trace("DU1", [SentOrder("r")])["r"]
    assert (found.status, found.open) == (OrderStatus.CANCELLED, False)
    assert [fill.quantity for fill in found.fills] == [4]


def test_rejected_order_is_found_as_ended() -> None:
    script = Script(reject=Refusal(201, "no"))
    with serving(script) as served, connected(served) as broker:
        list(executing(broker, [order("r")], 5))
        found = broker.trace("DU1", [SentOrder("r")])["r"]
    assert (found.status, found.open, found.fills) == (OrderStatus.CANCELLED, False, ())


def test_same_ref_in_another_account_is_not_taken_for_ours() -> None:
    with serving() as served, connected(served) as broker:
        list(executing(broker, [order("r", account_id="DU2", contract_id=CON_IDS["SPY"])], 5))
        assert broker.trace("DU1", [SentOrder("r")]) == {}


@pytest.mark.parametrize("omits", [["account"], ["order_ref"], ["filled"], ["account", "order_ref", "filled"]])
def test_a_filled_order_is_found_by_its_perm_id_in_a_row_that_names_nothing(omits: list[str]) -> None:
    gateway = {"completed_order_omits": ["quantity", *omits]}
    with serving(gateway=gateway, faults={"executions": "empty"}) as served, connected(served) as broker:
        perm_id = next(u.perm_id for u in executing(broker, [order("r")], 5) if isinstance(u, Fill))
        found = broker.trace("DU1", [SentOrder("r", "SPY", Side.BUY, 10, perm_id=perm_id)])["r"]
    assert (found.status, found.stated, found.fills, found.by_likeness) == (OrderStatus.FILLED, 10, (), False)


def test_a_filled_order_that_nobody_acknowledged_is_found_by_what_it_was() -> None:
    gateway = {"completed_order_omits": ["quantity", "account", "order_ref"]}
    with serving(gateway=gateway, faults={"executions": "empty"}) as served:
        begun = datetime.now(UTC)
        with connected(served) as broker:
            list(executing(broker, [order("r")], 5))
        sought = SentOrder("r", "SPY", Side.BUY, 10, begun)
        with connected(served, 8) as later:
            found = later.trace("DU1", [sought])["r"]
            assert (found.stated, found.by_likeness) == (10, True)
            assert later.trace("DU1", [replace(sought, quantity=11)]) == {}
            assert later.trace("DU1", [replace(sought, intended_at=begun + timedelta(hours=1))]) == {}


def test_a_partial_list_of_executions_states_the_whole_fill() -> None:
    fills = {"mode": "partial", "slices": 2, "delay_ms": 0, "interval_ms": 1}
    with serving(fills=fills, faults={"executions": "partial"}) as served, connected(served) as broker:
        list(executing(broker, [order("r")], 5))
        found = broker.trace("DU1", [SentOrder("r")])["r"]
    assert ([fill.quantity for fill in found.fills], found.stated) == ([5], 10)


def test_an_unreadable_position_is_no_answer() -> None:
    script = Script(change=lambda message: (Delivery(message[:8] if message[0] == POSITION else message),))
    with (
        serving(script) as served,
        connected(served) as broker,
        pytest.raises(GatewayUnavailable, match="row of the positions"),
    ):
        broker.snapshot("DU1")


def test_correction_counts_once() -> None:
    def change(message: Message) -> tuple[Delivery, ...]:
        if message[0] != EXECUTION:
            return (Delivery(message),)
        return Delivery(message), Delivery(tuple(str(field).replace(".01.01", ".01.02") for field in message))

    with serving(Script(change=change)) as served, connected(served) as broker:
        list(executing(broker, [order("r")], 5))
        found = broker.trace("DU1", [SentOrder("r")])["r"]
    assert [fill.quantity for fill in found.fills] == [10]
    assert found.fills[0].execution_id.endswith(".02")
    assert [report.commission for report in found.commissions] == [Decimal(1)]


def test_commission_that_follows_the_list_is_waited_for() -> None:
    script = Script()
    with serving(script) as served:
        with connected(served) as broker:
            list(executing(broker, [order("r")], 5))
        script.change = lambda message: (Delivery(message, 0.1 if message[0] == COMMISSION else 0.0),)
        with connected(served, 8) as later:
            assert len(later.trace("DU1", [SentOrder("r")])["r"].commissions) == 1


@pytest.mark.parametrize("request_id", [EXECUTIONS, COMPLETED_ORDERS])
def test_list_that_does_not_come_is_an_error_not_an_absence(request_id: int) -> None:
    script = Script(requests={request_id: Incoming.IGNORE})
    with (
        serving(script) as served,
        connected(served, options=BrokerOptions(commission_grace_s=0.1), request_timeout_s=0.2) as broker,
        pytest.raises(GatewayUnavailable),
    ):
        broker.trace("DU1", [SentOrder("r")])
