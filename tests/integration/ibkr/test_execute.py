"""Orders on the wire: complete only by fills or by the broker's own word, and never silently unknown."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from decimal import Decimal

import pytest

from rebalancer.domain.errors import GatewayUnavailable, LeaseLost, OutcomeUnknown, Refused
from rebalancer.domain.order_states import OrderStatus
from rebalancer.domain.orders import CommissionReport, Fill, OrderRequest, OrderUpdate, SentOrder, StatusUpdate
from rebalancer.domain.portfolio import OrderType, Side
from rebalancer.ibkr import BrokerOptions
from sandbox.gateway.behaviour import Delivery, Incoming
from sandbox.gateway.checks import Refusal
from sandbox.gateway.exchange_events import SystemNotice
from sandbox.gateway.wire import Message
from tests.integration.ibkr.serving import (
    SYMBOLS,
    Script,
    ServedGateway,
    burst,
    connected,
    executing,
    limit,
    order,
    serving,
    until,
)

PLACE, STATUS, ERROR, OPEN_ORDER, EXECUTION, COMMISSION = 3, 3, 4, 5, 11, 59
QUICK = BrokerOptions(commission_grace_s=0.1, verify_after_s=0.1)


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
def served(script: Script) -> Iterator[ServedGateway]:
    with serving(script) as served:
        yield served


def fills(updates: list[OrderUpdate]) -> list[Fill]:
    return [update for update in updates if isinstance(update, Fill)]


def commissions(updates: list[OrderUpdate]) -> list[CommissionReport]:
    return [update for update in updates if isinstance(update, CommissionReport)]


def statuses(updates: list[OrderUpdate], *, confirmed: bool = True) -> list[OrderStatus]:
    return [u.status for u in updates if isinstance(u, StatusUpdate) and u.confirmed == confirmed]


def last_status(updates: list[OrderUpdate]) -> StatusUpdate:
    return [update for update in updates if isinstance(update, StatusUpdate)][-1]


def passing(message: Message) -> tuple[Delivery, ...]:
    return (Delivery(message),)


# -- the good path -------------------------------------------------------------------------------------------------


def test_market_order_is_followed_from_the_socket_to_the_commission(served: ServedGateway) -> None:
    with connected(served) as broker:
        updates = list(executing(broker, [order("ref-1", "SPY", Side.SELL, 10)], 5))
    assert statuses(updates, confirmed=False) == [OrderStatus.PENDING_SUBMIT]
    assert statuses(updates) == [OrderStatus.PRE_SUBMITTED, OrderStatus.SUBMITTED, OrderStatus.FILLED]
    (fill,) = fills(updates)
    assert (fill.order_ref, fill.account_id, fill.symbol, fill.side) == ("ref-1", "DU1", "SPY", Side.SELL)
    assert (fill.quantity, fill.price, fill.cumulative_quantity) == (Decimal(10), Decimal("99.99"), Decimal(10))
    assert fill.perm_id == last_status(updates).perm_id > 0
    assert commissions(updates) == [CommissionReport(fill.execution_id, Decimal(1), "USD", Decimal("-1.1"))]


def test_order_says_everything_explicitly(served: ServedGateway) -> None:
    with connected(served) as broker:
        list(executing(broker, [order("ref-1", quantity=3)], 5))
    ticket = served.do(lambda gateway: gateway.orders[0].ticket)
    assert (ticket.order_ref, ticket.account, ticket.time_in_force) == ("ref-1", "DU1", "DAY")
    assert (ticket.order_type, ticket.quantity, ticket.contract.exchange) == ("MKT", Decimal(3), "SMART")


def test_limit_price_arrives_exactly(served: ServedGateway) -> None:
    with connected(served) as broker:
        list(executing(broker, [limit("ref-1", "100.07")], 5))
    assert served.do(lambda gateway: gateway.orders[0].ticket.limit_price) == Decimal("100.07")


def test_batch_is_sent_at_once_and_all_commissions_are_awaited() -> None:
    with serving(orders={"commission_delay_ms": 100}) as served, connected(served) as broker:
        updates = list(executing(broker, [order(f"r-{symbol}", symbol) for symbol in SYMBOLS], 5))
        assert {fill.order_ref for fill in fills(updates)} == {f"r-{symbol}" for symbol in SYMBOLS}
        charged = served.do(lambda gateway: sum(done.commission for done in gateway.executions))
        assert sum(report.commission for report in commissions(updates)) == charged == len(SYMBOLS)


def test_partial_fills_add_up() -> None:
    fills_in_parts = {"mode": "partial", "slices": 4, "delay_ms": 5, "interval_ms": 5}
    with serving(fills=fills_in_parts) as served, connected(served) as broker:
        updates = list(executing(broker, [order("r", quantity=10)], 5))
    assert sum(fill.quantity for fill in fills(updates)) == 10
    assert [fill.cumulative_quantity for fill in fills(updates)][-1] == 10
    assert len(fills(updates)) == len(commissions(updates)) == 4


def test_updates_arrive_while_the_order_works() -> None:
    slow = {"mode": "delayed", "delay_ms": 150}
    with serving(fills=slow) as served, connected(served) as broker:
        updates = executing(broker, [order("r")], 5)
        assert isinstance(next(updates), StatusUpdate)
        assert served.do(lambda gateway: gateway.executions) == []
        assert fills(list(updates))


def test_nothing_is_sent_before_the_first_update_is_asked_for(served: ServedGateway) -> None:
    with connected(served) as broker:
        executing(broker, [order("r")], 5)
        broker.snapshot("DU1")
        assert served.do(lambda gateway: gateway.orders) == []


def test_no_order_needs_no_gateway() -> None:
    with serving() as served, connected(served) as broker:
        assert list(executing(broker, [], 5)) == []
        assert served.do(lambda gateway: gateway.connections) == []


@pytest.mark.parametrize(
    "batch",
    [
        [order("a"), order("a")],
        [order("a"), order("b", quantity=0)],
        [order("a"), order("b", order_type=OrderType.LIMIT)],
    ],
)
def test_senseless_batch_sends_nothing(served: ServedGateway, batch: list[OrderRequest]) -> None:
    with connected(served) as broker:
        with pytest.raises(ValueError, match="order"):
            list(executing(broker, batch, 5))
        assert served.do(lambda gateway: gateway.orders) == []


def test_two_accounts_in_one_batch(served: ServedGateway) -> None:
    with connected(served) as broker:
        updates = list(executing(broker, [order("a"), order("b", account_id="DU2")], 5))
    assert {(fill.order_ref, fill.account_id) for fill in fills(updates)} == {("a", "DU1"), ("b", "DU2")}


def test_account_of_another_login_sends_nothing(served: ServedGateway) -> None:
    with connected(served) as broker:
        with pytest.raises(Refused, match="U999"):
            list(executing(broker, [order("a"), order("b", account_id="U999")], 5))
        assert served.do(lambda gateway: gateway.orders) == []


# -- the last word before each order -------------------------------------------------------------------------------


def objecting_at(number: int, calls: list[int], error: Exception) -> Callable[[], None]:
    """Objects to the order of that number, counted from 1."""

    def before_each() -> None:
        calls.append(threading.get_ident())
        if len(calls) == number:
            raise error

    return before_each


def test_every_order_is_asked_about_in_the_callers_thread(served: ServedGateway) -> None:
    calls: list[int] = []
    with connected(served) as broker:
        list(broker.execute([order("a"), order("b")], 5, objecting_at(9, calls, LeaseLost())))
    assert calls == [threading.get_ident()] * 2


def test_objection_to_the_first_order_sends_nothing(served: ServedGateway) -> None:
    with connected(served) as broker:
        with pytest.raises(LeaseLost):
            list(broker.execute([order("a"), order("b")], 5, objecting_at(1, [], LeaseLost())))
        assert served.do(lambda gateway: gateway.orders) == []


def test_after_an_objection_the_orders_already_sent_are_followed_to_their_end() -> None:
    seen: list[OrderUpdate] = []
    with serving(fills={"mode": "delayed", "delay_ms": 50}) as served, connected(served) as broker:
        batches = broker.execute([order(ref) for ref in "abc"], 5, objecting_at(3, [], LeaseLost()))
        with pytest.raises(LeaseLost):
            seen.extend(update for batch in batches for update in batch)
        assert [o.ticket.order_ref for o in served.do(lambda gateway: gateway.orders)] == ["a", "b"]
    assert {fill.order_ref for fill in fills(seen)} == {"a", "b"}
    assert len(commissions(seen)) == 2


def test_interrupt_between_two_orders_sends_no_more(served: ServedGateway) -> None:
    """A task's time limit strikes anywhere in its thread."""
    with connected(served) as broker:
        with pytest.raises(InterruptedError):
            list(broker.execute([order("a"), order("b")], 5, objecting_at(2, [], InterruptedError())))
        broker.snapshot("DU1")
        assert [o.ticket.order_ref for o in served.do(lambda gateway: gateway.orders)] == ["a"]


def test_slow_check_does_not_end_the_batch_before_its_last_order(served: ServedGateway) -> None:
    quick = BrokerOptions(commission_grace_s=0.02)
    with connected(served, options=quick) as broker:
        batches = broker.execute([order("a"), order("b")], 5, lambda: until_passed(0.1))
        seen = [update for batch in batches for update in batch]
    assert {fill.order_ref for fill in fills(seen)} == {"a", "b"}


def until_passed(seconds: float) -> None:
    end = time.monotonic() + seconds
    until(lambda: time.monotonic() >= end)


def test_connection_lost_between_two_orders_is_an_unknown_outcome(served: ServedGateway) -> None:
    calls: list[int] = []
    with connected(served) as broker:

        def before_each() -> None:
            calls.append(1)
            if len(calls) == 2:
                until(lambda: bool(served.do(lambda gateway: gateway.orders)))
                served.do(lambda gateway: gateway.disconnect_all())
                until(lambda: not broker._connection.status().connected)

        with pytest.raises(OutcomeUnknown, match="perhaps sent"):
            list(broker.execute([order("a"), order("b")], 5, before_each))
        assert [o.ticket.order_ref for o in served.do(lambda gateway: gateway.orders)] == ["a"]


# -- what the broker may leave out, repeat or reorder --------------------------------------------------------------


def test_fills_complete_an_order_without_any_status(served: ServedGateway, script: Script) -> None:
    """IBKR guarantees no status for every change."""
    script.change = lambda message: () if message[0] == STATUS else (Delivery(message),)
    with connected(served) as broker:
        updates = list(executing(broker, [order("r")], 5))
    assert sum(fill.quantity for fill in fills(updates)) == 10


def test_every_message_twice_changes_nothing(served: ServedGateway, script: Script) -> None:
    script.change = lambda message: (Delivery(message), Delivery(message))
    with connected(served) as broker:
        updates = list(executing(broker, [order("r")], 5))
    assert len(fills(updates)) == len(commissions(updates)) == 1
    assert statuses(updates) == [OrderStatus.PRE_SUBMITTED, OrderStatus.SUBMITTED, OrderStatus.FILLED]


@pytest.mark.parametrize("late", [EXECUTION, COMMISSION, STATUS, OPEN_ORDER])
def test_any_order_of_messages_ends_the_same(served: ServedGateway, script: Script, late: int) -> None:
    script.change = lambda message: (Delivery(message, 0.05 if message[0] == late else 0.0),)
    with connected(served) as broker:
        updates = list(executing(broker, [order("r")], 5))
    assert sum(fill.quantity for fill in fills(updates)) == 10
    assert sum(report.commission for report in commissions(updates)) == 1


def test_correction_replaces_the_execution_that_it_corrects(served: ServedGateway, script: Script) -> None:
    """ib_async counts both: 20 filled of 10."""

    def change(message: Message) -> tuple[Delivery, ...]:
        if message[0] != EXECUTION:
            return (Delivery(message),)
        corrected = [str(field).replace(".01.01", ".01.02") for field in message]
        corrected[20] = "99.5"
        return Delivery(message), Delivery(tuple(corrected))

    script.change = change
    with connected(served) as broker:
        updates = list(executing(broker, [order("r")], 5))
    assert [fill.quantity for fill in fills(updates)] == [10, 10]
    assert [fill.execution_id.rpartition(".")[2] for fill in fills(updates)] == ["01", "02"]
    assert last_status(updates).filled == 10


def test_missing_execution_is_asked_for(served: ServedGateway, script: Script) -> None:
    """The status says filled, the execution was not pushed."""
    script.change = lambda message: () if message[0] == EXECUTION and message[1] == -1 else (Delivery(message),)
    with connected(served, options=QUICK) as broker:
        updates = list(executing(broker, [order("r")], 5))
    assert sum(fill.quantity for fill in fills(updates)) == 10
    assert sum(report.commission for report in commissions(updates)) == 1


def test_fills_whose_executions_are_never_told_are_stated_by_the_status(served: ServedGateway, script: Script) -> None:
    script.change = lambda message: () if message[0] == EXECUTION else (Delivery(message),)
    with connected(served, options=QUICK) as broker:
        updates = list(executing(broker, [order("r")], 5))
    assert fills(updates) == []
    assert (last_status(updates).status, last_status(updates).filled) == (OrderStatus.FILLED, 10)


@pytest.mark.parametrize("length", [15, 19, 20, 25])
def test_an_execution_that_breaks_off_loses_no_fill(served: ServedGateway, script: Script, length: int) -> None:
    script.change = lambda message: (Delivery(message[:length] if message[0] == EXECUTION else message),)
    with connected(served, options=QUICK) as broker:
        updates = list(executing(broker, [order("r")], 5))
    assert last_status(updates).filled == 10


@pytest.mark.parametrize("message_id", [STATUS, OPEN_ORDER])
def test_a_filled_order_is_heard_in_an_unreadable_message(
    served: ServedGateway, script: Script, message_id: int
) -> None:
    """Neither executions nor the other kind of message come; this one has a field that no decoder can read."""

    def change(message: Message) -> tuple[Delivery, ...]:
        if message[0] != message_id:
            return () if message[0] in {STATUS, OPEN_ORDER, EXECUTION} else (Delivery(message),)
        odd = 5 if message_id == STATUS else 16  # average price, limit price
        return (Delivery((*message[:odd], "?", *message[odd + 1 :])),)

    script.change = change
    with connected(served, options=QUICK) as broker:
        updates = list(executing(broker, [order("r")], 5))
    assert (last_status(updates).status, last_status(updates).filled) == (OrderStatus.FILLED, 10)


@pytest.mark.alone
def test_missing_commission_is_waited_for_a_short_while_only(served: ServedGateway, script: Script) -> None:
    script.change = lambda message: () if message[0] == COMMISSION else (Delivery(message),)
    with connected(served, options=QUICK) as broker:
        started = time.monotonic()
        updates = list(executing(broker, [order("r")], 5))
        assert time.monotonic() - started < 1
    assert len(fills(updates)) == 1
    assert commissions(updates) == []


def test_commission_of_minus_one_is_not_yet_known(served: ServedGateway, script: Script) -> None:
    def change(message: Message) -> tuple[Delivery, ...]:
        if message[0] != COMMISSION:
            return (Delivery(message),)
        return Delivery((*message[:3], "-1", *message[4:])), Delivery(message, 0.05)

    script.change = change
    with connected(served) as broker:
        updates = list(executing(broker, [order("r")], 5))
    assert [report.commission for report in commissions(updates)] == [1]


# -- errors: remarks, refusals, and those that say nothing certain -------------------------------------------------


@pytest.mark.parametrize("code", [10349, 399, 2109, 404, 10318])
def test_remark_on_a_live_order_does_not_end_it(served: ServedGateway, script: Script, code: int) -> None:
    """ib_async calls the order cancelled (10349, unknown codes) or invalid (399); it lives and fills."""
    script.remarks = [Refusal(code, "a remark")]
    with connected(served, options=QUICK) as broker:
        updates = list(executing(broker, [order("r")], 5))
    assert OrderStatus.CANCELLED not in statuses(updates) + statuses(updates, confirmed=False)
    assert sum(fill.quantity for fill in fills(updates)) == 10
    assert [u.text for u in updates if isinstance(u, StatusUpdate) and u.code == code and not u.confirmed]


@pytest.mark.parametrize("code", [201, 203, 435, 10243])
@pytest.mark.alone
def test_rejection_ends_with_the_brokers_status_and_carries_code_and_text(
    served: ServedGateway, script: Script, code: int
) -> None:
    script.reject = Refusal(code, "no")
    with connected(served) as broker:
        started = time.monotonic()
        updates = list(executing(broker, [order("r")], 5))
        assert time.monotonic() - started < 0.5
    end = last_status(updates)
    assert (end.status, end.confirmed, end.code, end.text) == (OrderStatus.CANCELLED, True, code, "no")
    assert end.filled == 0


def test_reason_that_follows_the_status_is_waited_for(served: ServedGateway, script: Script) -> None:
    script.reject = Refusal(201, "no money")
    script.change = lambda message: (Delivery(message, 0.05 if message[0] == ERROR else 0.0),)
    with connected(served) as broker:
        updates = list(executing(broker, [order("r")], 5))
    assert (last_status(updates).code, last_status(updates).text) == (201, "no money")


@pytest.mark.parametrize("code", [103, 110, 200, 321, 434])
def test_refusal_without_a_status_is_looked_up(served: ServedGateway, script: Script, code: int) -> None:
    """These never reach the book and no status follows; ib_async keeps two of them alive for ever."""
    script.requests[PLACE] = Incoming.IGNORE
    with connected(served, options=QUICK) as broker:
        updates = executing(broker, [order("r")], 5)
        first = next(updates)
        assert isinstance(first, StatusUpdate)
        served.do(lambda gateway: refuse(gateway, first.order_id, code))
        end = last_status(list(updates))
    assert (end.status, end.confirmed, end.code) == (OrderStatus.CANCELLED, True, code)


def refuse(gateway: object, order_id: int, code: int) -> None:
    for session in gateway._sessions:  # type: ignore[attr-defined]
        session._error(order_id, code, "no")


def test_unknown_code_without_a_status_is_never_taken_for_an_end(served: ServedGateway, script: Script) -> None:
    script.requests[PLACE] = Incoming.IGNORE
    with connected(served, options=QUICK) as broker:
        updates = executing(broker, [order("r")], 0.6)
        first = next(updates)
        assert isinstance(first, StatusUpdate)
        served.do(lambda gateway: refuse(gateway, first.order_id, 10999))
        with pytest.raises(OutcomeUnknown, match="10999"):
            list(updates)


def test_refused_order_that_is_kept_inactive_is_cancelled(served: ServedGateway, script: Script) -> None:
    """IBKR may revive an Inactive order; a refused one must not wait for that."""

    def change(message: Message) -> tuple[Delivery, ...]:
        inactive = tuple("Inactive" if field == "Submitted" else field for field in message)
        return (Delivery(inactive if message[0] in (STATUS, OPEN_ORDER) else message),)

    script.remarks = [Refusal(201, "held")]
    script.change = change
    with serving(script, fills={"mode": "never"}) as never, connected(never, options=QUICK) as broker:
        end = last_status(list(executing(broker, [order("r")], 5)))
        assert (end.status, end.confirmed, end.code) == (OrderStatus.CANCELLED, True, 201)
        assert never.do(lambda gateway: gateway.orders[0].status) is OrderStatus.CANCELLED


def test_partial_fill_before_a_cancel_counts() -> None:
    part = {"mode": "partial", "slices": 1, "fraction": "0.4", "delay_ms": 0}
    with serving(fills=part) as served, connected(served) as broker:
        updates = executing(broker, [order("r", quantity=10)], 5)
        seen: list[OrderUpdate] = []
        while not fills(seen):
            seen.append(next(updates))
        served.do(lambda gateway: gateway.exchange.cancel(7, gateway.orders[0].order_id))
        seen += updates
    end = last_status(seen)
    assert (end.status, end.filled, end.remaining) == (OrderStatus.CANCELLED, Decimal(4), Decimal(6))
    assert sum(fill.quantity for fill in fills(seen)) == 4


# -- losing the broker ---------------------------------------------------------------------------------------------


@pytest.mark.alone
def test_disconnect_with_an_order_open_is_an_unknown_outcome_at_once() -> None:
    with serving(fills={"mode": "never"}) as served, connected(served) as broker:
        updates = executing(broker, [order("ref-9")], 60)
        next(updates)
        until(lambda: bool(served.do(lambda gateway: gateway.orders)))
        started = time.monotonic()
        served.do(lambda gateway: gateway.disconnect_all())
        with pytest.raises(OutcomeUnknown, match=r"ref-9 \(BUY 10 SPY\)"):
            list(updates)
        assert time.monotonic() - started < 1


@pytest.mark.parametrize("verdict", [Incoming.RESET_BEFORE, Incoming.RESET_AFTER])
def test_reset_around_the_order_is_unknown_and_the_trace_tells(
    served: ServedGateway, script: Script, verdict: Incoming
) -> None:
    script.requests[PLACE] = verdict
    with connected(served) as broker:
        with pytest.raises(OutcomeUnknown, match="ref-9"):
            list(executing(broker, [order("ref-9")], 60))
        script.requests.clear()
        found = broker.trace("DU1", [SentOrder("ref-9")])
    if verdict is Incoming.RESET_BEFORE:
        assert found == {}
    else:
        assert [fill.quantity for fill in found["ref-9"].fills] == [10]
        assert (found["ref-9"].status, found["ref-9"].open) == (OrderStatus.FILLED, False)


@pytest.mark.alone
def test_deadline_with_an_order_open_is_an_unknown_outcome() -> None:
    with serving(fills={"mode": "never"}) as served, connected(served) as broker:
        started = time.monotonic()
        with pytest.raises(OutcomeUnknown, match=r"not finished within 0.2 s: r \(BUY 10 SPY\): Submitted, 0 filled"):
            list(executing(broker, [order("r")], 0.2))
        assert time.monotonic() - started < 1


def test_no_order_is_sent_while_ibkr_is_away(served: ServedGateway) -> None:
    with connected(served) as broker:
        broker.managed_accounts()
        served.do(lambda gateway: gateway._broadcast(SystemNotice(1100, "Connectivity has been lost.")))
        until(lambda: broker._connection.status().trouble is not None)
        with pytest.raises(GatewayUnavailable, match="1100"):
            list(executing(broker, [order("r")], 5))
        assert served.do(lambda gateway: gateway.orders) == []


def test_fills_of_an_outage_are_fetched_when_ibkr_is_back(served: ServedGateway, script: Script) -> None:
    """1102 promises that data were kept; fills have been lost all the same."""
    with connected(served, options=QUICK) as broker:
        script.change = lambda message: () if message[0] in (STATUS, OPEN_ORDER, EXECUTION) else (Delivery(message),)
        updates = executing(broker, [order("r")], 5)
        next(updates)
        until(lambda: bool(served.do(lambda gateway: gateway.executions)))
        script.change = passing
        served.do(lambda gateway: gateway._broadcast(SystemNotice(1102, "Connectivity has been restored.")))
        assert sum(fill.quantity for fill in fills(list(updates))) == 10


def test_gateway_that_is_away_sends_nothing() -> None:
    with serving() as served:
        port_free_again = connected(served)
        broker = port_free_again.__enter__()
    with pytest.raises(GatewayUnavailable):
        list(executing(broker, [order("r")], 5))
    port_free_again.__exit__(None, None, None)


def test_another_order_with_our_number_is_noticed(served: ServedGateway, script: Script) -> None:
    """A gateway restart can give order ids out again; the order ref is what counts."""
    script.change = lambda message: (
        Delivery(tuple("someone-else" if field == "mine" else field for field in message)),
    )
    with connected(served) as broker, pytest.raises(OutcomeUnknown, match="someone-else"):
        list(executing(broker, [order("mine")], 5))


@pytest.mark.alone
def test_orders_overtake_other_requests() -> None:
    """The message budget of the second is used up; orders go first all the same."""
    with serving() as served, connected(served, messages_per_s=20) as broker:
        broker.managed_accounts()
        broker.quotes(broker.instruments(SYMBOLS))
        broker._connection.post(lambda: burst(broker, 30))
        started = time.monotonic()
        updates = executing(broker, [order(f"r-{symbol}", symbol) for symbol in SYMBOLS[:2]], 10)
        assert fills(list(updates))
        assert time.monotonic() - started < 0.9
