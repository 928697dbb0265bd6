"""One order from its reports: what counts as filled, and what late, doubled and corrected reports change."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import reduce

from rebalancer.domain.order_progress import OrderProgress, addressees
from rebalancer.domain.order_states import OrderStatus
from rebalancer.domain.orders import CommissionReport, Fill, OrderUpdate, StatusUpdate
from rebalancer.domain.portfolio import Side

NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)


def status(name: OrderStatus, filled: int = 0) -> StatusUpdate:
    return StatusUpdate("ref", NOW, name, Decimal(filled), Decimal(10 - filled), 11, 7, 4711)


def fill(number: int, quantity: int, total: int, revision: int = 1) -> Fill:
    execution_id, shares = f"e.{number:02}.{revision:02}", Decimal(quantity)
    return Fill("ref", execution_id, NOW, "DU1", "SPY", Side.BUY, shares, Decimal(100), Decimal(total), 4711)


def commission(number: int, usd: str, revision: int = 1) -> CommissionReport:
    return CommissionReport(f"e.{number:02}.{revision:02}", Decimal(usd), "USD")


def after(*reports: OrderUpdate) -> OrderProgress:
    return reduce(OrderProgress.after, reports, OrderProgress())


def test_executions_that_were_told_count_once() -> None:
    progress = after(fill(1, 4, 4), fill(1, 4, 4), fill(2, 6, 10))
    assert (progress.told, progress.filled) == (10, 10)


def test_what_was_stated_counts_though_no_execution_tells_it() -> None:
    progress = after(status(OrderStatus.SUBMITTED, 7), fill(1, 4, 4))
    assert (progress.told, progress.filled) == (4, 7)


def test_an_execution_states_what_came_before_it() -> None:
    assert after(fill(2, 6, 10)).filled == 10


def test_a_lower_statement_that_comes_late_takes_nothing_back() -> None:
    assert after(status(OrderStatus.FILLED, 10), status(OrderStatus.SUBMITTED, 4)).filled == 10


def test_a_correction_takes_shares_back_from_what_was_stated_before_it() -> None:
    progress = after(fill(1, 10, 10), status(OrderStatus.FILLED, 10), fill(1, 7, 7, revision=2))
    assert (progress.told, progress.filled) == (7, 7)


def test_a_correction_that_gives_shares_counts_them() -> None:
    assert after(fill(1, 4, 4), fill(1, 6, 6, revision=2)).filled == 6


def test_a_revision_that_was_corrected_before_it_arrived_says_nothing() -> None:
    late = after(fill(1, 7, 7, revision=2), fill(1, 10, 10))
    assert late == after(fill(1, 7, 7, revision=2))


def test_the_same_execution_told_better_states_more() -> None:
    """Case: a row of the first telling had no total; asked again, it has."""
    assert after(fill(1, 4, 0), fill(1, 4, 9)).filled == 9


def test_an_execution_that_is_told_again_is_kept_as_it_was() -> None:
    assert after(fill(1, 4, 4), fill(1, 4, 9)).fills == {"e.01": fill(1, 4, 4)}


def test_a_correction_takes_back_no_more_than_its_own_shares() -> None:
    assert after(status(OrderStatus.SUBMITTED, 10), fill(1, 5, 5), fill(1, 3, 3, revision=2)).filled == 8


def test_a_perm_id_is_kept_once_it_was_told() -> None:
    assert OrderProgress().reported(OrderStatus.SUBMITTED, Decimal(0)).perm_id == 0
    told = after(status(OrderStatus.SUBMITTED))
    assert told.perm_id == 4711
    assert told.reported(OrderStatus.FILLED, Decimal(10)).perm_id == 4711
    assert told.reported(OrderStatus.FILLED, Decimal(10), 8).perm_id == 8


def test_a_status_that_the_broker_did_not_send_itself_changes_no_status_and_states_all_the_same() -> None:
    inferred = replace(status(OrderStatus.CANCELLED, 3), confirmed=False)
    progress = after(status(OrderStatus.SUBMITTED), inferred)
    assert (progress.status, progress.filled) == (OrderStatus.SUBMITTED, 3)


def test_a_final_status_is_left_for_a_fill_alone() -> None:
    assert after(status(OrderStatus.CANCELLED), status(OrderStatus.SUBMITTED)).status is OrderStatus.CANCELLED
    assert after(status(OrderStatus.CANCELLED), status(OrderStatus.FILLED, 10)).status is OrderStatus.FILLED


def test_a_commission_may_come_before_its_execution() -> None:
    progress = after(commission(1, "1.00"), fill(1, 4, 4))
    assert progress.unpaid == frozenset()
    assert progress.commissions["e.01"].commission == 1


def test_an_execution_without_commission_is_unpaid() -> None:
    assert after(fill(1, 4, 4), fill(2, 6, 10), commission(2, "1.00")).unpaid == {"e.01"}


def test_a_corrected_execution_keeps_its_commission_until_it_has_one_for_itself() -> None:
    corrected = after(fill(1, 4, 4), commission(1, "1.00"), fill(1, 4, 4, revision=2))
    assert corrected.unpaid == frozenset()
    anew = corrected.after(commission(1, "1.20", revision=2))
    assert anew.commissions["e.01"].commission == Decimal("1.20")
    assert anew.after(commission(1, "1.00")) == anew, "the older one comes again"


def test_of_two_commissions_of_one_execution_the_newer_counts() -> None:
    assert after(commission(1, "1.00"), commission(1, "1.10")).commissions["e.01"].commission == Decimal("1.10")


def test_a_commission_may_be_any_orders_and_everything_else_is_its_own() -> None:
    assert list(addressees(commission(1, "1"), ("a", "b"))) == ["a", "b"]
    assert list(addressees(fill(1, 4, 4), ("a", "b"))) == ["ref"]
