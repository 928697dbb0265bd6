"""Cancelling: whoever placed them, each as its owner, verified gone, and nobody else's."""

from __future__ import annotations

import time
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest

from rebalancer.domain.errors import GatewayUnavailable, OutcomeUnknown
from rebalancer.domain.order_states import OrderStatus
from rebalancer.domain.orders import StatusUpdate
from rebalancer.ibkr import BrokerOptions, IbkrBroker
from sandbox.gateway.checks import Refusal
from sandbox.gateway.exchange_events import Order
from sandbox.gateway.fault_settings import Faults
from sandbox.gateway.scenario import OpenOrder
from tests.integration.ibkr.serving import CON_IDS, Script, ServedGateway, connected, executing, limit, serving, until

GLOBAL_CANCEL, CANCEL, ALL_OPEN_ORDERS = 58, 4, 16


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
def served(script: Script) -> Iterator[ServedGateway]:
    with serving(script, fills={"mode": "never"}) as served:
        yield served


def enter(served: ServedGateway, symbol: str, client_id: int, order_id: int, account: str = "DU1") -> Order:
    """An order that is already working."""
    wish = OpenOrder(
        symbol=symbol,
        side="BUY",
        quantity=Decimal(5),
        limit_price=Decimal(50),
        client_id=client_id,
        order_id=order_id,
    )
    return served.do(lambda gateway: gateway.exchange.enter(account, wish))


def place(served: ServedGateway, broker: IbkrBroker, ref: str, **fields: Any) -> None:
    """Leave an order of the broker's own working."""
    next(executing(broker, [limit(ref, **fields)], 5))
    until(lambda: any(o.ticket.order_ref == ref for o in served.do(lambda gateway: gateway.orders)))


def open_symbols(served: ServedGateway) -> set[tuple[str, str]]:
    return {(o.account, o.symbol) for o in served.do(lambda gateway: gateway.orders) if o.open}


def test_nothing_open_is_one_question(served: ServedGateway) -> None:
    with connected(served) as broker:
        assert broker.cancel_open_orders("DU1") == ()
        assert served.do(lambda gateway: gateway.message_counts[ALL_OPEN_ORDERS]) == 1


@pytest.mark.alone
def test_own_orders_are_cancelled_and_verified_gone(served: ServedGateway) -> None:
    with connected(served) as broker:
        place(served, broker, "a")
        place(served, broker, "b", symbol="GLD", contract_id=CON_IDS["GLD"])
        started = time.monotonic()
        cancelled = broker.cancel_open_orders("DU1")
        assert time.monotonic() - started < 0.5
        assert {(o.order_ref, o.status) for o in cancelled} == {
            ("a", OrderStatus.SUBMITTED),
            ("b", OrderStatus.SUBMITTED),
        }
        assert broker.open_orders("DU1") == ()
    assert open_symbols(served) == set()


def test_orders_of_another_account_are_left_alone(served: ServedGateway) -> None:
    enter(served, "VXX", 0, 0, "DU2")
    enter(served, "TLT", 3, 9, "DU2")
    with connected(served) as broker:
        place(served, broker, "mine")
        place(served, broker, "other", account_id="DU2")
        assert [o.order_ref for o in broker.cancel_open_orders("DU1")] == ["mine"]
    assert open_symbols(served) == {("DU2", "VXX"), ("DU2", "TLT"), ("DU2", "SPY")}


def test_orders_of_other_clients_and_of_people_are_cancelled_as_their_owners(served: ServedGateway) -> None:
    enter(served, "SPY", 0, 0)
    enter(served, "GLD", 3, 40)
    enter(served, "TLT", 3, 41)
    enter(served, "QQQ", 12, 1)
    with connected(served) as broker:
        place(served, broker, "mine", symbol="VXX", contract_id=CON_IDS["VXX"])
        cancelled = broker.cancel_open_orders("DU1")
        assert {o.symbol for o in cancelled} == {"SPY", "GLD", "TLT", "QQQ", "VXX"}
        assert set(served.do(lambda gateway: gateway.client_ids)) == {7, 0, 3, 12}
        assert broker.snapshot("DU1").cash == 100_000, "the own connection is kept"
    assert open_symbols(served) == set()


def test_never_a_global_cancel(served: ServedGateway) -> None:
    enter(served, "SPY", 0, 0)
    with connected(served) as broker:
        broker.cancel_open_orders("DU1")
    assert served.do(lambda gateway: gateway.message_counts[GLOBAL_CANCEL]) == 0


def test_equal_order_number_of_another_client_is_not_hit(served: ServedGateway) -> None:
    """A bare number under our client id would cancel our own order of the other account."""
    with connected(served) as broker:
        place(served, broker, "keep", account_id="DU2")
        number = served.do(lambda gateway: gateway.orders[0].order_id)
        enter(served, "GLD", 3, number)
        assert [o.symbol for o in broker.cancel_open_orders("DU1")] == ["GLD"]
    assert open_symbols(served) == {("DU2", "SPY")}


def test_owner_that_is_connected_is_named(served: ServedGateway) -> None:
    with connected(served, 3) as other, connected(served) as broker:
        place(served, other, "theirs")
        with pytest.raises(GatewayUnavailable, match=r"client id 3 in use"):
            broker.cancel_open_orders("DU1")
        assert other.cancel_open_orders("DU1")
        assert broker.cancel_open_orders("DU1") == ()


def test_slow_cancel_is_waited_for_without_asking_in_a_loop() -> None:
    with serving(fills={"mode": "never"}, orders={"cancel_delay_ms": 700}) as served, connected(served) as broker:
        place(served, broker, "slow")
        enter(served, "GLD", 3, 40)
        assert len(broker.cancel_open_orders("DU1")) == 2
        assert served.do(lambda gateway: gateway.message_counts[ALL_OPEN_ORDERS]) <= 4
        assert served.do(lambda gateway: gateway.message_counts[CANCEL]) == 2
        assert open_symbols(served) == set()


def test_order_that_stays_is_an_unknown_outcome(served: ServedGateway, script: Script) -> None:
    script.refuse_cancel = Refusal(10148, "cannot be cancelled")
    with connected(served, options=BrokerOptions(cancel_timeout_s=0.5)) as broker:
        place(served, broker, "stays")
        with pytest.raises(OutcomeUnknown, match=r"still open 0.5 s after the cancel: BUY 10 SPY"):
            broker.cancel_open_orders("DU1")
        assert served.do(lambda gateway: gateway.message_counts[ALL_OPEN_ORDERS]) <= 5


def test_order_that_fills_meanwhile_is_gone_too(served: ServedGateway, script: Script) -> None:
    script.refuse_cancel = Refusal(10148, "cannot be cancelled, state: Filled")
    with serving(script, fills={"mode": "delayed", "delay_ms": 200}) as filling, connected(filling) as broker:
        place(filling, broker, "races", price="101")
        assert [o.order_ref for o in broker.cancel_open_orders("DU1")] == ["races"]
        assert filling.do(lambda gateway: gateway.orders[0].status) is OrderStatus.FILLED


def idle(served: ServedGateway, broker: IbkrBroker, ref: str) -> None:
    """An order that is refused, stays listed as Inactive, and whose cancel is not answered."""
    rejection = {"code": 201, "text": "Order rejected - reason:margin", "stays": "listed"}
    faults = Faults.model_validate({"rejections": {"*": rejection}, "ignored_cancels": ["SPY"]})
    served.do(lambda gateway: gateway.set_faults(faults))
    updates = executing(broker, [limit(ref)], 30)
    assert [one.refused for one in updates if isinstance(one, StatusUpdate)][-1]


def test_an_idle_order_may_stay_and_the_others_are_gone() -> None:
    options = BrokerOptions(cancel_timeout_s=20, verify_after_s=0.05, ack_timeout_s=0.1)
    with serving(fills={"mode": "never"}) as served, connected(served, options=options) as broker:
        idle(served, broker, "idle")
        enter(served, "GLD", 3, 40)
        cancelled = broker.cancel_open_orders("DU1", hopeless=lambda order: order.order_ref == "idle")
        assert [one.symbol for one in cancelled] == ["GLD"]
        assert [(one.order_ref, one.lies_idle) for one in broker.open_orders("DU1")] == [("idle", True)]


def test_an_idle_order_of_a_busy_client_is_in_nobodys_way() -> None:
    options = BrokerOptions(cancel_timeout_s=20, verify_after_s=0.05, ack_timeout_s=0.1)
    with serving() as served, connected(served, 3, options) as other, connected(served) as broker:
        idle(served, other, "idle")
        assert broker.cancel_open_orders("DU1", hopeless=lambda order: order.order_ref == "idle") == ()
