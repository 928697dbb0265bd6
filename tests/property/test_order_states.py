"""The one table of an order's life: what may follow what, whatever is reported in whatever order."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from functools import reduce

from hypothesis import given
from hypothesis import strategies as st

from rebalancer.domain.order_states import TRANSITIONS, OrderStatus, advance
from rebalancer.domain.portfolio import FeeSchedule
from sandbox.gateway.exchange_accounts import AccountState
from sandbox.gateway.exchange_books import Book
from sandbox.gateway.exchange_events import Event, OrderChanged
from sandbox.gateway.memory import Memory
from sandbox.gateway.tickets import ContractQuery, Ticket

STATUSES = st.sampled_from(OrderStatus)
REPORTS = st.lists(STATUSES, max_size=12)
NOW = datetime(2026, 1, 5, 15, tzinfo=UTC)


def settled(reports: Iterable[OrderStatus]) -> OrderStatus:
    """Status after all reports."""
    return reduce(advance, reports, OrderStatus.API_PENDING)


@given(STATUSES, STATUSES)
def test_a_status_changes_only_along_the_table(current: OrderStatus, reported: OrderStatus) -> None:
    after = advance(current, reported)
    assert after is current or after in TRANSITIONS[current]
    assert after in (current, reported)


@given(REPORTS, REPORTS)
def test_a_fill_is_the_end_whatever_else_is_said(before: list[OrderStatus], after: list[OrderStatus]) -> None:
    assert settled([*before, OrderStatus.FILLED, *after]) is OrderStatus.FILLED


@given(REPORTS, REPORTS)
def test_a_final_status_is_never_taken_back(before: list[OrderStatus], after: list[OrderStatus]) -> None:
    ended = settled([*before, OrderStatus.CANCELLED])
    assert ended.final
    assert settled([*before, OrderStatus.CANCELLED, *after]).final


@given(REPORTS)
def test_reports_that_come_twice_in_a_row_change_nothing(reports: list[OrderStatus]) -> None:
    assert settled(reports) is settled(report for report in reports for _ in range(2))


@given(STATUSES)
def test_an_order_can_fill_exactly_while_it_is_not_final(status: OrderStatus) -> None:
    assert status.can_fill is not status.final
    assert status.final or OrderStatus.FILLED in TRANSITIONS[status]


def test_every_status_has_its_row_and_can_be_reached() -> None:
    assert set(TRANSITIONS) == set(OrderStatus)
    reached = {OrderStatus.API_PENDING}.union(*TRANSITIONS.values())
    assert reached == set(OrderStatus)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("report"), STATUSES.filter(lambda status: not status.final)),
        st.tuples(st.just("fill"), st.integers(1, 12)),
        st.tuples(st.just("end"), st.sampled_from([OrderStatus.CANCELLED, OrderStatus.API_CANCELLED])),
    ),
    max_size=10,
)


@given(STEPS)
def test_the_simulated_gateway_reports_nothing_that_the_table_forbids(steps: list[tuple[str, object]]) -> None:
    book = Book(Memory((AccountState("DU1", "INDIVIDUAL", margin=True, settled=Decimal(10_000)),)), FeeSchedule())
    order = book.add((7, 1), _ticket(), "SPY", Decimal(100), NOW)
    status = order.status
    for kind, value in steps:
        for event in _do(book, order.perm_id, kind, value):
            if isinstance(event, OrderChanged):
                assert event.order.status is status or event.order.status in TRANSITIONS[status]
                status = event.order.status


def _do(book: Book, perm_id: int, kind: str, value: object) -> list[Event]:
    if kind == "report":
        return book.report(perm_id, OrderStatus(value))
    if kind == "fill":
        return book.fill(perm_id, Decimal(str(value)), Decimal(100), NOW)
    return book.end(perm_id, OrderStatus(value), NOW, "")


def _ticket() -> Ticket:
    return Ticket(
        contract=ContractQuery(1, "SPY", "STK", "SMART", "", "USD"),
        action="BUY",
        quantity=Decimal(10),
        order_type="MKT",
        limit_price=None,
        aux_price=None,
        time_in_force="DAY",
        account="DU1",
        order_ref="r",
        transmit=True,
        outside_hours=False,
        what_if=False,
    )
