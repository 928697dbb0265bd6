"""What the broker states as filled counts, whether or not it tells the executions."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import reduce
from random import Random

import pytest
from sqlalchemy import select, update

from rebalancer.domain.account_history import Traded
from rebalancer.domain.claims import Claim
from rebalancer.domain.order_progress import OrderProgress
from rebalancer.domain.order_states import OrderStatus
from rebalancer.domain.orders import CommissionReport
from rebalancer.ledger import last_trading_run, orders, sent_orders
from rebalancer.ledger.models import FillRow, Order, SnapshotRow
from rebalancer.ledger.queries import trading_activity
from rebalancer.ledger.session import Session
from rebalancer.planning.expected_books import books_after
from tests.integration.ledger.one_order import (
    LATELY,
    LONG_AGO,
    NOW,
    PRICE,
    QUANTITY,
    REF,
    fill,
    remarks,
    status,
    the_order,
    trace,
)

WITHIN = timedelta(minutes=5)


def expected(session: Session) -> dict[str, tuple[Decimal, bool]]:
    """Quantity and whether it is only stated, of what the books must show, by execution."""
    session.flush()
    last = last_trading_run.last_run(session, "DU1", WITHIN)
    return {} if last is None else {one.execution_id: (one.quantity, one.stated_only) for one in last.fills}


@pytest.mark.parametrize(("plans", "held"), [((), 0), ((0, 265), 265), ((265, 67), 265)], ids=str)
def test_what_the_broker_hid_at_first_is_known_from_the_plan_that_sold_it(
    session: Session, claim: Claim, plans: tuple[int, ...], held: int
) -> None:
    """The run's first look showed no GLD; a later plan did, and sold 198. Chaos, seed 196."""
    orders.record_decision(session, claim, {}, {"lines": []})
    for number in plans:
        lines = [{"symbol": "GLD", "held": str(number)}, {"symbol": "SPY", "held": "400"}]
        orders.record_round(session, claim, "it was hidden", {}, {"lines": lines})
    session.execute(update(Order).where(Order.order_ref == REF).values(side="SELL"))
    orders.record_updates(session, [status(QUANTITY), fill(QUANTITY, QUANTITY)])
    session.flush()
    last = last_trading_run.last_run(session, "DU1", WITHIN)
    assert last is not None
    assert {one.symbol: one.quantity for one in last.snapshot.positions} == {"GLD": held, "SPY": 400}
    books = books_after(last.snapshot, last.fills, last.commissions, Decimal(1))
    assert books.quantities == {"GLD": held - QUANTITY}


def test_what_changed_while_it_was_left_alone_is_known_from_the_plan_that_traded_it(
    session: Session, claim: Claim
) -> None:
    """The run's first look showed 50 GLD without a price; its split was booked before the run bought some. 30 are kept
    apart.
    """
    orders.record_decision(session, claim, {}, {"lines": []})
    row = session.scalars(select(SnapshotRow)).one()
    row.positions = [{"symbol": "GLD", "quantity": "50", "price": None, "contract_id": 1}]
    lines = [{"symbol": "GLD", "held": "70"}]
    orders.record_round(session, claim, "SPY is missing", {}, {"kept": {"GLD": "30"}, "lines": lines})
    orders.record_updates(session, [status(QUANTITY), fill(QUANTITY, QUANTITY)])
    session.flush()
    last = last_trading_run.last_run(session, "DU1", WITHIN)
    assert last is not None
    books = books_after(last.snapshot, last.fills, last.commissions, Decimal(1))
    assert books.quantities == {"GLD": 100 + QUANTITY}


def test_a_status_alone_is_a_fill_and_stands_on_record_as_one_without_execution(session: Session) -> None:
    orders.record_updates(session, [status(QUANTITY)])
    orders.finalize(session, [REF])
    assert (the_order(session).filled, the_order(session).status) == (198, "Filled")
    assert expected(session) == {"ref-1 untold": (Decimal(198), True)}
    assert remarks(session) == ["198 filled, execution of 198 not told"]
    assert [one.order_ref for one in sent_orders.unexplained_orders(session, "DU1")] == [REF], "it is asked for again"
    assert trading_activity.traded_since(session, "DU1", LATELY).notional == 198 * PRICE


def test_part_of_the_executions_never_lowers_what_was_stated(session: Session) -> None:
    orders.record_updates(session, [status(QUANTITY), fill(98, 198)])
    orders.finalize(session, [REF])
    assert the_order(session).filled == 198
    assert expected(session) == {"e.1.1": (Decimal(98), False), "ref-1 untold": (Decimal(100), True)}
    assert trading_activity.traded_since(session, "DU1", LATELY).notional == 98 * 101 + 100 * PRICE


def test_the_execution_replaces_the_statement_when_it_comes(session: Session) -> None:
    orders.record_updates(session, [status(QUANTITY)])
    orders.finalize(session, [REF])
    orders.record_trace(session, trace(198, fill(198, 198)))
    orders.record_updates(session, [CommissionReport("e.1.01", Decimal(1), "USD")])
    assert expected(session) == {"e.1.1": (Decimal(198), False)}
    assert sent_orders.unexplained_orders(session, "DU1") == []
    assert trading_activity.traded_since(session, "DU1", LATELY).notional == 198 * 101


def test_an_execution_without_account_symbol_or_side_is_the_orders(session: Session) -> None:
    orders.record_updates(session, [fill(198, 198)])
    row = session.scalars(select(FillRow)).one()
    assert (row.account_id, row.symbol, row.side) == ("DU1", "GLD", "BUY")


def test_a_correction_takes_shares_back_from_the_statement_too(session: Session) -> None:
    orders.record_updates(session, [status(QUANTITY), fill(198, 198)])
    orders.record_updates(session, [fill(150, 150, "e.1.02")])
    assert the_order(session).filled == 150
    assert expected(session) == {"e.1.2": (Decimal(150), False)}


def test_a_list_that_states_a_fill_counts_and_says_when_it_may_be_anothers(session: Session) -> None:
    orders.record_trace(session, trace(198, likely=True))
    assert expected(session) == {"ref-1 untold": (Decimal(198), True)}
    assert remarks(session) == [
        "found in the broker's lists by symbol, side and quantity, so perhaps another's",
        "198 filled, execution of 198 not told",
    ]
    orders.record_trace(session, trace(198))
    assert remarks(session).count("198 filled, execution of 198 not told") == 1


def test_an_order_that_filled_is_never_called_never_sent(session: Session) -> None:
    orders.record_updates(session, [status(QUANTITY)])
    orders.record_missing(session, [REF], LONG_AGO)
    assert (the_order(session).status, the_order(session).filled) == ("Filled", 198)


def test_an_acknowledged_order_that_vanished_may_have_filled(session: Session) -> None:
    orders.record_updates(session, [status(0, OrderStatus.SUBMITTED)])
    orders.record_missing(session, [REF], LONG_AGO)
    assert (the_order(session).status, the_order(session).filled) == ("Unlisted", 0)
    assert expected(session) == {"ref-1 untold": (Decimal(198), True)}
    assert trading_activity.traded_since(session, "DU1", LATELY) == Traded(1, Decimal(0))


def test_a_part_that_was_stated_counts_when_the_order_vanishes(session: Session) -> None:
    orders.record_updates(session, [status(100, OrderStatus.SUBMITTED)])
    orders.record_missing(session, [REF], LONG_AGO)
    assert (the_order(session).status, the_order(session).filled) == ("Unlisted", 100)
    assert expected(session) == {"ref-1 untold": (Decimal(100), True)}


def test_an_order_that_ended_without_a_fill_stays_ended(session: Session) -> None:
    orders.record_updates(session, [status(0, OrderStatus.CANCELLED)])
    orders.record_missing(session, [REF], LONG_AGO)
    assert (the_order(session).status, expected(session)) == ("Cancelled", {})


def test_an_order_that_nobody_ever_spoke_of_was_never_sent(session: Session) -> None:
    orders.record_missing(session, [REF], LONG_AGO)
    assert (the_order(session).status, expected(session)) == ("NeverSent", {})


def test_an_order_older_than_the_lists_may_have_filled(session: Session) -> None:
    orders.record_missing(session, [REF], datetime.now(UTC) + timedelta(seconds=60))
    assert the_order(session).status == "Unlisted"
    assert expected(session) == {"ref-1 untold": (Decimal(198), True)}


def test_the_books_are_waited_for_from_the_end_of_the_orders_and_not_from_the_start_of_the_run(
    session: Session,
) -> None:
    orders.record_updates(session, [status(QUANTITY)])
    orders.finalize(session, [REF])
    session.flush()
    session.execute(update(Order).values(created_at=NOW - timedelta(minutes=14)))
    assert expected(session) != {}
    session.execute(update(Order).values(final_at=NOW - timedelta(minutes=6)))
    assert expected(session) == {}, "after the lag the broker is right"


def test_an_order_that_is_asked_about_again_is_not_waited_for_anew(session: Session) -> None:
    orders.record_updates(session, [status(QUANTITY)])
    orders.finalize(session, [REF])
    session.flush()
    session.execute(update(Order).values(final_at=NOW - timedelta(minutes=6)))
    session.expire_all()
    orders.record_trace(session, trace(198))
    assert expected(session) == {}


LIFE = (
    status(0, OrderStatus.SUBMITTED),
    fill(98, 98),
    CommissionReport("e.1.01", Decimal(1), "USD"),
    status(98, OrderStatus.SUBMITTED),
    fill(100, 198, "e.2.01"),
    fill(98, 98, "e.1.02", price="102"),
    CommissionReport("e.2.01", Decimal(2), "USD"),
    CommissionReport("e.1.02", Decimal(3), "USD"),
    status(QUANTITY),
)


@pytest.mark.parametrize("seed", range(8))
def test_the_record_folds_reports_as_all_others_do_in_whatever_portions_they_come(session: Session, seed: int) -> None:
    """Whoever follows the orders tells no commission before its execution."""
    chance = Random(seed)
    reports = chance.sample(LIFE * 2, k=2 * len(LIFE))
    reports.sort(key=lambda report: isinstance(report, CommissionReport))
    known = reduce(OrderProgress.after, reports, OrderProgress())
    while reports:
        size = chance.randint(1, 4)
        orders.record_updates(session, reports[:size])
        reports = reports[size:]
    order = the_order(session)
    assert (order.status, order.filled, order.stated) == (known.status, known.filled, known.stated)
    rows = session.scalars(select(FillRow)).all()
    assert {row.execution: (row.quantity, row.price, row.commission) for row in rows} == {
        execution: (told.quantity, told.price, known.commissions[execution].commission)
        for execution, told in known.fills.items()
    }


def test_the_commission_of_a_correction_may_come_before_it(session: Session) -> None:
    """Case: it was dropped, and the correction kept the commission of what it corrects."""
    orders.record_updates(session, [fill(198, 198), CommissionReport("e.1.01", Decimal(1), "USD")])
    orders.record_updates(session, [CommissionReport("e.1.02", Decimal(3), "USD")])
    orders.record_updates(session, [fill(198, 198, "e.1.02")])
    assert [row.commission for row in session.scalars(select(FillRow))] == [Decimal(3)]


def test_a_report_of_an_order_that_nobody_intended_is_an_error(session: Session) -> None:
    with pytest.raises(KeyError, match="another"):
        orders.record_updates(session, [replace(status(1), order_ref="another")])
