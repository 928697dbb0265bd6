"""What the small values of the domain say: addresses, scopes, errors, amounts, idle orders."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from rebalancer.domain.commands import Command
from rebalancer.domain.errors import OrderRejected, OrdersUnacknowledged
from rebalancer.domain.money import cents, optional_text
from rebalancer.domain.order_states import OrderStatus, advance
from rebalancer.domain.orders import Fill, OpenOrder, OrderTrace, split_execution_id
from rebalancer.domain.page_addresses import address, entrance
from rebalancer.domain.portfolio import Side
from rebalancer.domain.scopes import Scope, needed_for, with_reading


@pytest.mark.parametrize(
    ("host", "shown"),
    [
        ("0.0.0.0", "http://127.0.0.1:8000"),
        ("::", "http://127.0.0.1:8000"),
        ("", "http://127.0.0.1:8000"),
        ("192.168.1.5", "http://192.168.1.5:8000"),
        ("fd00::5", "http://[fd00::5]:8000"),
    ],
)
def test_a_browser_is_sent_where_the_page_answers(host: str, shown: str) -> None:
    assert address(host, 8000) == shown


@pytest.mark.parametrize("page", ["https://here.example", "https://here.example/"])
def test_the_one_time_link_keeps_its_secret_from_every_server(page: str) -> None:
    assert entrance(page, "t0ken") == "https://here.example/enter#t0ken"


def test_only_who_may_trade_asks_for_what_touches_orders() -> None:
    trading = {command for command in Command if needed_for(command) is Scope.TRADE}
    assert trading == {Command.REBALANCE, Command.CANCEL_ORDERS}
    assert {needed_for(command) for command in set(Command) - trading} == {Scope.OPERATE}


def test_whoever_may_do_anything_may_read() -> None:
    assert with_reading(frozenset({Scope.APPROVE})) == {Scope.APPROVE, Scope.READ}


def test_errors_say_which_order_and_what_the_broker_said() -> None:
    refused = OrderRejected("ref-7", 201, "Order rejected - reason: no margin")
    assert str(refused) == "order ref-7 was rejected by the broker with code 201: Order rejected - reason: no margin"
    silent = OrdersUnacknowledged(("ref-7",), "the buy of 5 SPY")
    assert str(silent) == "the gateway took the buy of 5 SPY and has not said a word of it"


def test_amounts_for_records() -> None:
    assert (optional_text(Decimal("1.50")), optional_text(None)) == ("1.50", None)
    assert [cents(Decimal(text)) for text in ("1.005", "1.015")] == [Decimal("1.00"), Decimal("1.02")]


@pytest.mark.parametrize(
    ("status", "filled", "idle"),
    [(OrderStatus.INACTIVE, 0, True), (OrderStatus.INACTIVE, 1, False), (OrderStatus.SUBMITTED, 0, False)],
)
def test_an_open_order_lies_idle_while_inactive_and_unfilled(status: OrderStatus, filled: int, idle: bool) -> None:
    order = OpenOrder("DU1", 1, 7, 99, "ref", "SPY", Side.BUY, Decimal(5), Decimal(filled), "MKT", status)
    assert order.lies_idle is idle


def test_a_traced_order_lies_idle_only_if_nothing_says_that_it_filled() -> None:
    idle = OrderTrace("ref", OrderStatus.INACTIVE, open=True, perm_id=1, fills=(), commissions=())
    now = datetime(2026, 1, 5, tzinfo=UTC)
    fill = Fill("ref", "e.1.01", now, "DU1", "SPY", Side.BUY, Decimal(1), Decimal(100), Decimal(1), 1)
    assert idle.lies_idle
    others = [{"open": False}, {"status": OrderStatus.SUBMITTED}, {"stated": Decimal(1)}, {"fills": (fill,)}]
    assert [replace(idle, **other).lies_idle for other in others] == [False] * 4


@pytest.mark.parametrize(
    ("told", "parts"),
    [
        ("0000e0d5.00000001.01.02", ("0000e0d5.00000001.01", 2)),
        ("e.1", ("e", 1)),
        ("e", ("e", 0)),
        (".1", (".1", 0)),
        ("e.x1", ("e.x1", 0)),
        ("", ("", 0)),
    ],
)
def test_a_correction_is_told_by_the_last_part_of_its_execution(told: str, parts: tuple[str, int]) -> None:
    assert split_execution_id(told) == parts


FOLLOWS = {
    OrderStatus.CANCELLED: {OrderStatus.FILLED},
    OrderStatus.API_CANCELLED: {OrderStatus.CANCELLED, OrderStatus.FILLED},
    OrderStatus.FILLED: set[OrderStatus](),
}
BEGINNINGS = {OrderStatus.API_PENDING, OrderStatus.PENDING_SUBMIT}


@pytest.mark.parametrize("current", OrderStatus)
def test_what_may_follow_each_status(current: OrderStatus) -> None:
    """A working order becomes anything but unsent again; only what was not even passed on may be submitted yet."""
    expected = FOLLOWS.get(current, set(OrderStatus) - BEGINNINGS)
    if current is OrderStatus.API_PENDING:
        expected |= {OrderStatus.PENDING_SUBMIT}
    assert {status for status in OrderStatus if status is not current and advance(current, status) is status} == (
        expected - {current}
    )
