"""What is concluded from the broker's messages, in whatever order and number they arrive."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rebalancer.domain.order_states import OrderStatus
from rebalancer.domain.orders import CommissionReport, Fill, OpenOrder, OrderRequest, OrderUpdate, StatusUpdate
from rebalancer.domain.portfolio import OrderType, Side, TimeInForce
from rebalancer.ibkr.messages import (
    CompletedOrderMessage,
    ErrorMessage,
    ExecutionMessage,
    Message,
    OpenOrderMessage,
    StatusMessage,
)
from rebalancer.ibkr.open_book import OpenBook
from rebalancer.ibkr.watch import OrderWatch

NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
CLIENT, ORDER_ID, PERM_ID = 7, 11, 4711
REQUEST = OrderRequest("ref", "DU1", "SPY", 1, Side.BUY, 10, OrderType.MARKET, TimeInForce.DAY)


def watch() -> OrderWatch:
    """One order of 10 shares, just sent."""
    watch = OrderWatch(CLIENT)
    watch.place(ORDER_ID, REQUEST, NOW)
    return watch


def status(name: OrderStatus, filled: int = 0, **fields: int) -> StatusMessage:
    message = StatusMessage(NOW, ORDER_ID, CLIENT, PERM_ID, name, Decimal(filled), Decimal(10 - filled))
    return replace(message, **fields)  # type: ignore[arg-type]


def execution(number: int, quantity: int, revision: int = 1, ref: str = "ref") -> ExecutionMessage:
    execution_id = f"e.{number:02}.{revision:02}"
    fill = Fill(ref, execution_id, NOW, "DU1", "SPY", Side.BUY, Decimal(quantity), Decimal(100), Decimal(0), PERM_ID)
    return ExecutionMessage(-1, ORDER_ID, CLIENT, fill)


def commission(number: int, revision: int = 1) -> CommissionReport:
    return CommissionReport(f"e.{number:02}.{revision:02}", Decimal(1), "USD")


def error(code: int, order_id: int = ORDER_ID) -> ErrorMessage:
    return ErrorMessage(NOW, order_id, code, "text")


def open_order(name: OrderStatus, ref: str = "ref", client_id: int = CLIENT) -> OpenOrderMessage:
    return OpenOrderMessage(NOW, listed(name, ref, client_id))


def listed(name: OrderStatus, ref: str = "ref", client_id: int = CLIENT, perm_id: int = PERM_ID) -> OpenOrder:
    quantity, filled = Decimal(10), Decimal(0)
    return OpenOrder("DU1", ORDER_ID, client_id, perm_id, ref, "SPY", Side.BUY, quantity, filled, "MKT", name)


def feed(watch: OrderWatch, *messages: Message) -> list[OrderUpdate]:
    return [update for message in messages for update in watch.feed(message)]


LIFE: list[Message] = [
    open_order(OrderStatus.PRE_SUBMITTED),
    status(OrderStatus.PRE_SUBMITTED),
    status(OrderStatus.SUBMITTED),
    execution(1, 4),
    status(OrderStatus.SUBMITTED, 4),
    commission(1),
    execution(2, 6),
    status(OrderStatus.FILLED, 10),
    commission(2),
]


@given(st.permutations(LIFE + LIFE))
def test_any_order_and_repetition_of_a_life_ends_the_same(messages: list[Message]) -> None:
    watched = watch()
    updates = feed(watched, *messages)
    assert watched.final
    assert sum(update.quantity for update in updates if isinstance(update, Fill)) == 10
    assert sum(update.commission for update in updates if isinstance(update, CommissionReport)) == 2
    final = [update for update in updates if isinstance(update, StatusUpdate)][-1]
    assert (final.status, final.filled, final.remaining) == (OrderStatus.FILLED, Decimal(10), Decimal(0))


@given(st.lists(st.sampled_from(LIFE), max_size=20))
def test_nothing_ends_without_the_fills_or_a_final_word(messages: list[Message]) -> None:
    watched = watch()
    feed(watched, *messages)
    filled = {1, 2} <= {int(m.fill.execution_id.split(".")[1]) for m in messages if isinstance(m, ExecutionMessage)}
    final = any(isinstance(m, StatusMessage) and m.status.final for m in messages)
    assert watched.ended == (filled or final)


@pytest.mark.parametrize("code", [200, 201, 202, 161, 10147, 10349, 99999])
def test_error_alone_never_ends_an_order(code: int) -> None:
    watched = watch()
    (update,) = feed(watched, error(code))
    assert isinstance(update, StatusUpdate)
    assert (update.status, update.confirmed, update.code) == (OrderStatus.PENDING_SUBMIT, False, code)
    assert not watched.ended


@pytest.mark.parametrize(("code", "doubtful"), [(201, True), (161, True), (99999, True), (10349, False), (399, False)])
def test_only_errors_that_may_mean_an_end_are_looked_up(code: int, doubtful: bool) -> None:
    watched = watch()
    feed(watched, error(code))
    assert bool(watched.doubtful()) == doubtful


def test_status_after_the_error_settles_the_doubt() -> None:
    watched = watch()
    feed(watched, error(99999), status(OrderStatus.SUBMITTED))
    assert not watched.doubtful()


def test_absent_order_is_final_after_a_refusal_and_undecided_after_anything_else() -> None:
    refused, unclear = watch(), watch()
    feed(refused, error(110))
    feed(unclear, error(99999))
    (update,) = refused.found_nowhere("ref", NOW)
    assert isinstance(update, StatusUpdate)
    assert (update.status, update.confirmed, update.code) == (OrderStatus.CANCELLED, True, 110)
    assert refused.final
    assert unclear.found_nowhere("ref", NOW) == ()
    assert not unclear.ended


def test_completed_order_of_any_name_has_ended() -> None:
    watched = watch()
    feed(watched, error(201))
    row = CompletedOrderMessage("DU1", "ref", PERM_ID, OrderStatus.INACTIVE, None, "SPY", Side.BUY, Decimal(10))
    watched.found_completed("ref", row, NOW)
    assert watched.final


def test_inactive_order_is_cancelled_only_after_a_refusal() -> None:
    held, refused = watch(), watch()
    feed(held, status(OrderStatus.INACTIVE))
    feed(refused, error(201), status(OrderStatus.INACTIVE))
    assert not held.ended
    assert held.found_open("ref") is None
    assert refused.found_open("ref") == ORDER_ID


def test_fill_after_a_cancel_still_counts() -> None:
    watched = watch()
    feed(watched, status(OrderStatus.CANCELLED), status(OrderStatus.FILLED, 10), execution(1, 10), commission(1))
    assert watched.final


def test_step_back_is_ignored() -> None:
    watched = watch()
    feed(watched, status(OrderStatus.FILLED, 10))
    assert feed(watched, status(OrderStatus.SUBMITTED)) == []


def test_cancel_without_reason_waits_for_the_reason() -> None:
    watched = watch()
    feed(watched, status(OrderStatus.CANCELLED))
    assert watched.ended
    assert not watched.final
    feed(watched, error(202))
    assert watched.final


def test_reported_fills_without_executions_are_missing() -> None:
    watched = watch()
    feed(watched, status(OrderStatus.FILLED, 10), execution(1, 4), commission(1))
    assert watched.fills_missing
    assert not watched.final


def test_first_refusal_stays_the_reason() -> None:
    watched = watch()
    updates = feed(watched, error(201), error(202), status(OrderStatus.CANCELLED))
    assert isinstance(updates[-1], StatusUpdate)
    assert updates[-1].code == 201


def test_correction_replaces_and_an_older_revision_does_not() -> None:
    watched = watch()
    feed(watched, execution(1, 10, revision=2))
    assert feed(watched, execution(1, 7, revision=1)) == []
    assert feed(watched, execution(1, 6, revision=3))
    assert not watched.ended


@pytest.mark.parametrize(
    "message",
    [
        status(OrderStatus.FILLED, 10, client_id=8),
        status(OrderStatus.FILLED, 10, order_id=12),
        execution(1, 10, ref="another"),
        open_order(OrderStatus.FILLED, client_id=8),
        error(201, order_id=12),
        commission(9),
    ],
)
def test_messages_of_other_orders_change_nothing(message: Message) -> None:
    watched = watch()
    assert feed(watched, message) == []
    assert not watched.ended


def test_status_of_another_perm_id_is_not_ours() -> None:
    watched = watch()
    feed(watched, status(OrderStatus.SUBMITTED))
    assert feed(watched, status(OrderStatus.FILLED, 10, perm_id=1)) == []


def test_our_number_with_another_ref_is_noticed() -> None:
    watched = watch()
    feed(watched, open_order(OrderStatus.SUBMITTED, ref="old"))
    assert watched.usurped is not None
    assert "'old'" in watched.usurped


def test_order_that_is_open_is_described() -> None:
    watched = watch()
    feed(watched, status(OrderStatus.SUBMITTED, 4), execution(1, 4), error(399))
    assert watched.description() == "ref (BUY 10 SPY): Submitted, 4 filled, code 399: text"


def test_open_book_takes_the_last_word_on_each_order() -> None:
    book = OpenBook()
    book.add(OpenOrderMessage(NOW, listed(OrderStatus.PRE_SUBMITTED)))
    book.add(status(OrderStatus.SUBMITTED, 4))
    book.add(OpenOrderMessage(NOW, listed(OrderStatus.SUBMITTED)))
    (order,) = book.open_orders()
    assert (order.status, order.filled) == (OrderStatus.SUBMITTED, Decimal(4))
    book.add(status(OrderStatus.CANCELLED, 4))
    assert book.open_orders() == ()


def test_open_book_tells_hand_placed_orders_apart() -> None:
    book = OpenBook()
    for perm_id in (1, 2):
        book.add(OpenOrderMessage(NOW, replace(listed(OrderStatus.SUBMITTED, "", 0, perm_id), order_id=0)))
    assert {order.perm_id for order in book.open_orders()} == {1, 2}


def test_open_book_ignores_statuses_of_orders_that_are_not_listed() -> None:
    book = OpenBook()
    book.add(status(OrderStatus.SUBMITTED))
    assert book.open_orders() == ()


# -- orders of which nothing is heard ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "word",
    [
        status(OrderStatus.PENDING_SUBMIT),
        status(OrderStatus.PRE_SUBMITTED),
        open_order(OrderStatus.PRE_SUBMITTED),
        execution(1, 3),
        error(399),
        error(201),
    ],
)
def test_any_word_of_the_broker_ends_the_silence(word: Message) -> None:
    watched = watch()
    assert watched.silent() == {"ref"}
    watched.feed(word)
    assert not watched.silent()


@pytest.mark.parametrize("word", [error(10147), error(135), error(399, ORDER_ID + 1), commission(1)])
def test_the_answer_to_a_cancel_and_words_of_other_orders_do_not(word: Message) -> None:
    watched = watch()
    watched.feed(word)
    assert watched.silent() == {"ref"}


def test_a_silent_order_is_told_once_and_its_late_word_counts() -> None:
    watched = watch()
    (told,) = watched.found_silent(watched.silent(), NOW)
    assert isinstance(told, StatusUpdate)
    assert (told.unacknowledged, told.confirmed) == (True, False)
    assert watched.found_silent(watched.silent(), NOW) == ()
    (late,) = watched.feed(status(OrderStatus.SUBMITTED))
    assert isinstance(late, StatusUpdate)
    assert (late.unacknowledged, late.confirmed) == (False, True)


def test_a_refusal_alone_is_no_acknowledgement() -> None:
    watched = watch()
    watched.feed(error(201))
    watched.feed(status(OrderStatus.CANCELLED))
    assert not watched.accepted
    watched.feed(execution(1, 3))
    assert watched.accepted


# -- refused, and listed all the same --------------------------------------------------------------------------------


def refused_and_idle() -> OrderWatch:
    one = watch()
    one.feed(error(201))
    one.feed(status(OrderStatus.INACTIVE))
    assert one.found_open("ref") == ORDER_ID, "it is to be cancelled"
    assert not one.ended
    return one


def test_a_refused_order_that_stays_inactive_is_given_up_with_its_reason() -> None:
    one = refused_and_idle()
    [told] = one.give_up("ref", NOW)
    assert isinstance(told, StatusUpdate)
    assert (told.status, told.refused, told.code, told.confirmed) == (OrderStatus.INACTIVE, True, 201, False)
    assert one.ended
    assert one.final


def test_an_order_that_comes_alive_after_it_was_given_up_is_followed_again() -> None:
    one = refused_and_idle()
    one.give_up("ref", NOW)
    one.feed(status(OrderStatus.SUBMITTED))
    assert not one.ended
    one.feed(execution(1, 10))
    assert one.ended


@pytest.mark.parametrize("code", [202, 399, 404])
def test_an_order_that_was_not_refused_for_good_is_never_given_up(code: int) -> None:
    one = watch()
    one.feed(error(code))
    one.feed(status(OrderStatus.INACTIVE))
    assert one.give_up("ref", NOW) == ()
    assert not one.ended
