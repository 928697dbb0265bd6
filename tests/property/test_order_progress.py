"""Whatever order and number an order's reports arrive in, it ends the same, and for all who follow it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import reduce

from hypothesis import given
from hypothesis import strategies as st

from rebalancer.domain.order_progress import OrderProgress
from rebalancer.domain.order_states import OrderStatus
from rebalancer.domain.orders import CommissionReport, Fill, OrderRequest, OrderUpdate, StatusUpdate
from rebalancer.domain.portfolio import OrderType, Side, TimeInForce
from rebalancer.ibkr.messages import ExecutionMessage, Message, StatusMessage
from rebalancer.ibkr.watch import OrderWatch

NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
CLIENT, ORDER_ID, PERM_ID = 7, 11, 4711
WORKING = st.sampled_from([OrderStatus.PRE_SUBMITTED, OrderStatus.SUBMITTED, OrderStatus.PENDING_CANCEL])
FINAL = st.sampled_from([OrderStatus.CANCELLED, OrderStatus.FILLED])


@dataclass(frozen=True, slots=True)
class Life:
    """All that a broker says of an order, in the order in which it happens.

    Attributes:
        shares: of each execution in its latest revision, by execution.
    """

    reports: tuple[OrderUpdate, ...]
    shares: dict[str, Decimal]

    @property
    def quantity(self) -> Decimal:
        return sum(self.shares.values(), Decimal(0))


def status(name: OrderStatus, filled: Decimal) -> StatusUpdate:
    return StatusUpdate("ref", NOW, name, filled, Decimal(0), ORDER_ID, CLIENT, PERM_ID)


@st.composite
def lives(draw: st.DrawFn, *, taken_back: bool = False) -> Life:
    """An order that fills in pieces, some of which are corrected, and ends."""
    reports: list[OrderUpdate] = [status(draw(WORKING), Decimal(0))]
    shares: dict[str, Decimal] = {}

    def execute(number: int, revision: int, quantity: int) -> None:
        shares[f"e.{number:02}"] = Decimal(quantity)
        total, execution_id = sum(shares.values(), Decimal(0)), f"e.{number:02}.{revision:02}"
        price = Decimal(100 + revision)
        told = Fill("ref", execution_id, NOW, "DU1", "SPY", Side.BUY, Decimal(quantity), price, total, PERM_ID)
        reports.extend([told, CommissionReport(execution_id, Decimal(revision), "USD")])
        if draw(st.booleans()):
            reports.append(status(draw(WORKING), total))

    for number, quantity in enumerate(draw(st.lists(st.integers(2, 9), max_size=4)), 1):
        execute(number, 1, quantity)
    for number in draw(st.sets(st.integers(1, len(shares)))) if shares else ():
        less = draw(st.integers(0, 1)) if taken_back else 0
        execute(number, 2, int(shares[f"e.{number:02}"]) - less)
    reports.append(status(draw(FINAL), sum(shares.values(), Decimal(0))))
    return Life(tuple(reports), shares)


def folded(reports: Iterable[OrderUpdate]) -> OrderProgress:
    return reduce(OrderProgress.after, reports, OrderProgress())


@st.composite
def as_it_may_arrive(draw: st.DrawFn, life: Life) -> list[OrderUpdate]:
    """Everything at least once, in any order."""
    again = draw(st.lists(st.sampled_from(life.reports), max_size=8))
    return draw(st.permutations([*life.reports, *again]))


@given(st.data(), lives())
def test_neither_order_nor_repetition_of_the_reports_changes_what_an_order_came_to(
    data: st.DataObject, life: Life
) -> None:
    arrived = data.draw(as_it_may_arrive(life))
    assert folded(arrived) == folded(life.reports)


@given(st.data(), lives(taken_back=True))
def test_shares_that_were_taken_back_are_never_told_and_never_too_few_count(data: st.DataObject, life: Life) -> None:
    arrived = folded(data.draw(as_it_may_arrive(life)))
    assert {execution: fill.quantity for execution, fill in arrived.fills.items()} == life.shares
    assert arrived.commissions == folded(life.reports).commissions
    assert arrived.filled >= life.quantity
    assert folded(life.reports).filled == life.quantity, "told as it happens it is exact"


@given(st.data(), lives(taken_back=True))
def test_what_is_known_of_an_order_never_shrinks_but_by_a_correction(data: st.DataObject, life: Life) -> None:
    progress = OrderProgress()
    for report in data.draw(as_it_may_arrive(life)):
        after = progress.after(report)
        corrects = isinstance(report, Fill) and report.execution_id.endswith(".02")
        assert after.filled >= progress.filled or corrects
        assert after.fills.keys() >= progress.fills.keys()
        assert after.status.final or not progress.status.final
        progress = after


@given(st.data(), lives(taken_back=True))
def test_who_follows_the_orders_and_who_hears_of_it_come_to_the_same(data: st.DataObject, life: Life) -> None:
    """The gateway's messages go through the watch, what it tells goes to the run and on record."""
    watch = OrderWatch(CLIENT)
    request = OrderRequest("ref", "DU1", "SPY", 1, Side.BUY, 40, OrderType.MARKET, TimeInForce.DAY)
    told = list(watch.place(ORDER_ID, request, NOW))
    for report in data.draw(as_it_may_arrive(life)):
        told += watch.feed(_message(report))
    heard, known = folded(told), watch._by_ref["ref"].progress
    own = {execution: heard.commissions[execution] for execution in heard.fills}
    assert (heard.status, heard.filled, heard.fills) == (known.status, known.filled, known.fills)
    assert own == {execution: known.commissions[execution] for execution in known.fills}


def _message(report: OrderUpdate) -> Message:
    if isinstance(report, StatusUpdate):
        return StatusMessage(NOW, ORDER_ID, CLIENT, PERM_ID, report.status, report.filled, report.remaining)
    if isinstance(report, Fill):
        return ExecutionMessage(-1, ORDER_ID, CLIENT, replace(report, account_id=""))
    return report
