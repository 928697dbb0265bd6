"""Whose a row of the broker's lists is."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from rebalancer.domain.order_states import OrderStatus
from rebalancer.domain.orders import Fill, OpenOrder, SentOrder
from rebalancer.domain.portfolio import Side
from rebalancer.ibkr.evidence import Evidence, Found
from rebalancer.ibkr.messages import CompletedOrderMessage, ExecutionMessage, StatusMessage

NOW = datetime(2026, 11, 26, 14, 30, tzinfo=UTC)
OURS = SentOrder("ref-1", "GLD", Side.BUY, 198, NOW, perm_id=9, client_id=7)
SILENT = replace(OURS, perm_id=0, client_id=None)
DONE = CompletedOrderMessage(
    "DU1", "ref-1", 9, OrderStatus.FILLED, Decimal(198), "GLD", Side.BUY, Decimal(0), NOW + timedelta(seconds=1)
)
FILL = Fill("ref-1", "e.01", NOW, "DU1", "GLD", Side.BUY, Decimal(100), Decimal(100), Decimal(198), perm_id=9)
EXECUTED = ExecutionMessage(5, 4, 7, FILL)


def found(
    order: SentOrder,
    *,
    completed: tuple[CompletedOrderMessage, ...] = (),
    executions: tuple[ExecutionMessage, ...] = (),
    listed: tuple[OpenOrder, ...] = (),
    endings: dict[int, StatusMessage] | None = None,
) -> Found | None:
    return Evidence("DU1", listed, completed, executions, endings or {}).of([order]).get(order.order_ref)


@pytest.mark.parametrize("account", ["DU1", ""])
@pytest.mark.parametrize("ref", ["ref-1", ""])
@pytest.mark.parametrize("filled", [Decimal(198), None])
def test_a_completed_order_is_found_by_ref_or_perm_id_whatever_else_it_lacks(
    account: str, ref: str, filled: Decimal | None
) -> None:
    rows = found(OURS, completed=(replace(DONE, account_id=account, order_ref=ref, filled=filled),))
    assert rows is not None
    assert (rows.stated(OURS), rows.status, rows.by_likeness) == (198, OrderStatus.FILLED, False)


def test_another_accounts_row_is_not_ours() -> None:
    assert found(OURS, completed=(replace(DONE, account_id="DU2"),)) is None


def test_a_partial_list_of_executions_states_the_cumulative_quantity() -> None:
    rows = found(OURS, executions=(EXECUTED,))
    assert rows is not None
    assert (sum(fill.quantity for fill in rows.fills), rows.stated(OURS)) == (100, 198)


def test_the_perm_id_of_one_row_finds_the_others() -> None:
    unnamed = replace(EXECUTED, fill=replace(FILL, order_ref=""))
    rows = found(SILENT, completed=(DONE,), executions=(unnamed,))
    assert rows is not None
    assert len(rows.fills) == 1


NAMELESS = replace(DONE, account_id="", order_ref="", perm_id=77)


@pytest.mark.parametrize("filled", [Decimal(198), None])
def test_an_order_that_nobody_names_is_found_by_what_it_was(filled: Decimal | None) -> None:
    rows = found(SILENT, completed=(replace(NAMELESS, filled=filled),))
    assert rows is not None
    assert (rows.by_likeness, rows.stated(SILENT), rows.perm_id) == (True, 198, 77)


@pytest.mark.parametrize(
    "change",
    [
        {"symbol": "SPY"},
        {"side": Side.SELL},
        {"filled": Decimal(10)},
        {"quantity": Decimal(10)},
        {"order_ref": "another"},
        {"ended_at": NOW - timedelta(minutes=1)},
        {"status": OrderStatus.CANCELLED, "filled": Decimal(0), "quantity": Decimal(198)},
    ],
)
def test_a_row_that_differs_is_none_of_ours(change: dict[str, object]) -> None:
    assert found(SILENT, completed=(replace(NAMELESS, **change),)) is None


def test_one_row_is_evidence_for_one_order_only() -> None:
    orders = [SILENT, replace(SILENT, order_ref="ref-2")]
    assert list(Evidence("DU1", (), (NAMELESS,), (), {}).of(orders)) == ["ref-1"]


def test_a_row_that_belongs_to_a_known_perm_id_is_no_likeness() -> None:
    orders = [replace(OURS, perm_id=77), replace(SILENT, order_ref="ref-2")]
    assert list(Evidence("DU1", (), (NAMELESS,), (), {}).of(orders)) == ["ref-1"]


def test_an_execution_without_ref_is_evidence_unless_it_is_by_hand_or_of_another_client() -> None:
    unnamed = replace(EXECUTED, fill=replace(FILL, order_ref="", perm_id=77))
    assert found(SILENT, executions=(unnamed,)) is not None
    assert found(SILENT, executions=(replace(unnamed, client_id=0, order_id=-1),)) is None
    assert found(replace(SILENT, client_id=8), executions=(unnamed,)) is None


@pytest.mark.parametrize(("status", "filled"), [(OrderStatus.FILLED, 198), (OrderStatus.CANCELLED, 3)])
def test_an_end_that_was_pushed_counts_where_no_list_has_the_order(status: OrderStatus, filled: int) -> None:
    ending = StatusMessage(NOW, 4, 7, 9, status, Decimal(filled), Decimal(198 - filled))
    rows = found(OURS, endings={9: ending})
    assert rows is not None
    assert (rows.status, rows.stated(OURS)) == (status, filled)
    assert found(SILENT, endings={9: ending, 0: ending}) is None
