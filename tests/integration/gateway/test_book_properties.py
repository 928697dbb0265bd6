"""Whatever is placed, filled and cancelled in whatever order: no cent and no share appears or vanishes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from rebalancer.domain.order_states import OrderStatus
from rebalancer.domain.portfolio import FeeSchedule, Side
from sandbox.gateway.exchange_accounts import AccountState, Holding
from sandbox.gateway.exchange_books import Book
from sandbox.gateway.exchange_events import Commissioned, Executed
from sandbox.gateway.fill_rules import Fills
from sandbox.gateway.memory import Memory
from sandbox.gateway.tickets import ContractQuery, Ticket

NOW = datetime(2026, 11, 23, 15, tzinfo=UTC)
SYMBOLS = ("AAA", "BBB")
START = Decimal(100_000)
FRACTION = Decimal("10.5")

prices = st.decimals("0.01", "2000", places=2)
quantities = st.integers(1, 5000).map(Decimal)


def ticket(symbol: str, side: Side, quantity: Decimal) -> Ticket:
    return Ticket(
        contract=ContractQuery(0, symbol, "STK", "SMART", "", "USD"),
        action=side,
        quantity=quantity,
        order_type="MKT",
        limit_price=None,
        aux_price=None,
        time_in_force="DAY",
        account="A",
        order_ref="",
        transmit=True,
        outside_hours=False,
        what_if=False,
    )


class BookMachine(RuleBasedStateMachine):
    """Random traffic on a book with one account."""

    @initialize()
    def open_book(self) -> None:
        holdings = {symbol: Holding(FRACTION, Decimal(1)) for symbol in SYMBOLS}
        self.book = Book(Memory((AccountState("A", "INDIVIDUAL", False, START, holdings=holdings),)), FeeSchedule())
        self.now = NOW
        self.number = 0
        self.reported: list[Executed] = []
        self.commissions: list[Commissioned] = []

    @rule(symbol=st.sampled_from(SYMBOLS), side=st.sampled_from(Side), quantity=quantities, price=prices)
    def place(self, symbol: str, side: Side, quantity: Decimal, price: Decimal) -> None:
        self.number += 1
        order = self.book.add((1, self.number), ticket(symbol, side, quantity), symbol, price, self.now)
        self.book.report(order.perm_id, OrderStatus.SUBMITTED)

    @rule(data=st.data(), quantity=quantities, price=prices)
    def fill(self, data: st.DataObject, quantity: Decimal, price: Decimal) -> None:
        if not self.book.orders:
            return
        events = self.book.fill(data.draw(st.sampled_from(sorted(self.book.orders))), quantity, price, self.now)
        self.reported += [event for event in events if isinstance(event, Executed)]
        self.commissions += [event for event in events if isinstance(event, Commissioned)]

    @rule(data=st.data(), status=st.sampled_from([OrderStatus.PENDING_CANCEL, OrderStatus.CANCELLED]))
    def cancel(self, data: st.DataObject, status: OrderStatus) -> None:
        if not self.book.orders:
            return
        perm_id = data.draw(st.sampled_from(sorted(self.book.orders)))
        if status is OrderStatus.CANCELLED:
            self.book.end(perm_id, status, self.now, "")
        else:
            self.book.report(perm_id, status)

    @rule(hours=st.integers(1, 48))
    def wait(self, hours: int) -> None:
        self.now += timedelta(hours=hours)
        before = self.book.accounts["A"].cash
        self.book.settle(self.now)
        assert self.book.accounts["A"].cash == before

    @invariant()
    def cash_changes_by_notional_and_commission_only(self) -> None:
        flow = sum(
            (e.notional if e.order.side is Side.SELL else -e.notional) - e.commission for e in self.book.executions
        )
        assert self.book.accounts["A"].cash == START + flow

    @invariant()
    def shares_change_by_fills_only(self) -> None:
        for symbol in SYMBOLS:
            moved = sum(
                e.quantity if e.order.side is Side.BUY else -e.quantity
                for e in self.book.executions
                if e.order.symbol == symbol
            )
            assert self.book.accounts["A"].held(symbol) == FRACTION + moved

    @invariant()
    def orders_fill_no_further_than_they_ask_and_know_their_fills(self) -> None:
        for order in self.book.orders.values():
            fills = [e for e in self.book.executions if e.order.perm_id == order.perm_id]
            assert order.filled == sum(e.quantity for e in fills) <= order.ticket.quantity
            assert (order.status is OrderStatus.FILLED) == (order.filled == order.ticket.quantity)
            assert order.notional == sum(e.notional for e in fills)

    @invariant()
    def every_fill_is_reported_once_with_its_commission(self) -> None:
        ids = [execution.execution_id for execution in self.book.executions]
        assert len(set(ids)) == len(ids)
        assert [event.execution.execution_id for event in self.reported] == ids
        assert [event.execution.execution_id for event in self.commissions] == ids

    @invariant()
    def an_order_in_pieces_costs_what_it_would_have_cost_at_once(self) -> None:
        for order in self.book.orders.values():
            if order.filled:
                assert order.commission == sum(
                    e.commission for e in self.book.executions if e.order.perm_id == order.perm_id
                )
                assert order.commission >= self.book.fee(order.filled, order.average_price)


TestBook = BookMachine.TestCase


@given(
    mode=st.sampled_from(["instant", "delayed", "partial", "never"]),
    quantity=quantities,
    count=st.integers(1, 100),
    fraction=st.decimals("0.01", "1", places=2),
)
def test_a_fill_plan_never_exceeds_the_order(mode: str, quantity: Decimal, count: int, fraction: Decimal) -> None:
    rule = Fills.model_validate({"mode": mode, "slices": count, "fraction": fraction})
    plan = rule.plan(quantity)
    total = sum(size for _, size in plan)
    assert all(size > 0 for _, size in plan)
    assert total <= quantity
    if mode in ("instant", "delayed"):
        assert total == quantity
    if mode == "partial":
        assert total == int(quantity * fraction)
