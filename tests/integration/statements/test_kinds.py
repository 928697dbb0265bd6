"""Each kind of difference between ledger and statement: found, explained or not, and what follows from it."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import select, update

from rebalancer.domain.orders import CommissionReport
from rebalancer.flex.decoding import decode
from rebalancer.flex.xml import root_of
from rebalancer.ledger import orders, statements
from rebalancer.ledger.models import Order, OrderReport, StatementRow
from rebalancer.ledger.statements import Taken
from rebalancer.statements.content import Kind
from sandbox.flex.knobs import Seeds
from sandbox.gateway.exchange_events import Execution
from tests.conftest import ROOT
from tests.integration.statements.conftest import DAY, MONDAY, QUERY, TOKEN, Desk, fill_of


def begun(desk: Desk) -> Desk:
    """A first statement is on record: from there on everything counts."""
    desk.ours("SPY", 100, "600.00")
    assert desk.night().unexplained == 0
    return desk


def kinds(desk: Desk) -> list[Kind]:
    return [one.kind for one in desk.newest.differences]


def seed(desk: Desk, **seeds: object) -> None:
    desk.service.knobs = desk.knobs.model_copy(update={"seeds": Seeds.model_validate(seeds)})


def test_what_both_have_is_no_difference(desk: Desk) -> None:
    begun(desk).ours("TLT", 50, "90.00")
    found = desk.night()
    assert found.differences == ()
    assert (found.compared_since, found.last) == (MONDAY.date(), (MONDAY + DAY).date())
    assert found.positions == {"SPY": 100, "TLT": 50}
    assert found.cash == Decimal(100_000) - 60_000 - 4_500 - 2
    assert desk.notices() == []


@pytest.mark.parametrize(
    ("word", "amount", "kind"),
    [
        ("Dividends", "123.45", Kind.DIVIDEND),
        ("Payment In Lieu Of Dividends", "12.30", Kind.DIVIDEND),
        ("Withholding Tax", "-18.52", Kind.TAX),
        ("Broker Interest Paid", "-3.21", Kind.INTEREST),
        ("Broker Interest Received", "4.56", Kind.INTEREST),
        ("Other Fees", "-10.00", Kind.FEE),
        ("Commission Adjustments", "0.35", Kind.FEE),
        ("Deposits/Withdrawals", "5000.00", Kind.DEPOSIT),
        ("Deposits/Withdrawals", "-250.00", Kind.WITHDRAWAL),
    ],
)
def test_cash_that_the_statement_names_is_explained(desk: Desk, word: str, amount: str, kind: Kind) -> None:
    begun(desk).pay(word, amount)
    found = desk.night(halting=True)
    assert [(one.kind, one.cash) for one in found.differences] == [(kind, Decimal(amount))]
    assert (found.unexplained, desk.halts(), desk.notices()) == (0, [], [])


def test_a_trade_by_hand_is_explained(desk: Desk) -> None:
    begun(desk).trade("QQQ", 10, "500.00")
    (found,) = desk.night().differences
    assert (found.kind, found.symbol, found.quantity, found.cash) == (Kind.HAND_TRADE, "QQQ", 10, Decimal(-5001))


def test_a_split_is_explained_with_what_is_paid_for_a_fraction(desk: Desk) -> None:
    begun(desk).ours("TLT", 51, "90.00")
    desk.night()
    desk.split("TLT", "0.5")
    (found,) = desk.night().differences
    assert (found.kind, found.quantity, found.cash) == (Kind.SPLIT, -26, Decimal(25))


def test_a_commission_that_came_late_is_explained_and_filled_in(desk: Desk) -> None:
    begun(desk).ours("TLT", 50, "90.00", paid=False)
    (found,) = desk.night().differences
    assert (found.kind, found.cash) == (Kind.LATE_COMMISSION, -1)
    assert [row.commission for row in desk.fills()] == [1, 1]


def test_a_lost_fill_is_filled_in_and_marked(desk: Desk) -> None:
    """The gateway's lists begin at midnight: what became of the order nobody can ask there any more."""
    lost = begun(desk).ours("TLT", 50, "90.00", told=False)
    with desk.ledger.begin() as session:
        assert session.get_one(Order, lost.order.ticket.order_ref).status == orders.UNLISTED
    (found,) = desk.night().differences
    assert (found.kind, found.quantity, found.cash) == (Kind.LOST_FILL, 50, Decimal(-4501))
    told, row = desk.fills()
    assert (row.stated, row.quantity, row.price, row.commission) == (True, 50, 90, 1)
    assert not told.stated
    with desk.ledger.begin() as session:
        order = session.get_one(Order, lost.order.ticket.order_ref)
        said = session.scalars(select(OrderReport.text).where(OrderReport.order_ref == order.order_ref)).all()
        assert (order.status, order.filled) == ("Filled", 50)
    assert said[-1] == "in the broker's statement of 2025-03-04"
    assert desk.night().differences == ()


def test_what_the_gateway_tells_after_all_changes_nothing(desk: Desk) -> None:
    lost = begun(desk).ours("TLT", 50, "90.00", told=False)
    desk.night()
    before = [(one.quantity, one.price, one.commission) for one in desk.fills()]
    with desk.ledger.begin() as session:
        reports = fill_of(lost), CommissionReport(lost.execution_id, lost.commission, "USD")
        orders.record_updates(session, reports)
    assert [(one.quantity, one.price, one.commission) for one in desk.fills()] == before
    assert desk.night().differences == ()


def test_a_trade_without_a_ref_that_may_be_ours_is_for_a_person(desk: Desk) -> None:
    """Paper accounts' statements are known to have no order refs."""
    begun(desk).ours("TLT", 50, "90.00", told=False)
    desk.service.knobs = desk.knobs.model_copy(update={"omit_order_refs": True})
    desk.night(halting=True)
    assert kinds(desk) == [Kind.PERHAPS_OURS]
    assert [row.symbol for row in desk.fills()] == ["SPY"]


def test_a_known_fill_needs_no_ref(desk: Desk) -> None:
    begun(desk).ours("TLT", 50, "90.00")
    desk.service.knobs = desk.knobs.model_copy(update={"omit_order_refs": True})
    assert desk.night().differences == ()


def test_an_order_of_our_form_that_is_not_on_record_is_for_a_person(desk: Desk) -> None:
    begun(desk).trade("TLT", 50, "90.00", ref="0123456789ab-1-01-89abcdef")
    desk.night(halting=True)
    assert kinds(desk) == [Kind.FOREIGN_ORDER]
    assert desk.halts() == ["statement of 2025-03-04: foreign-order: BUY 50 TLT at 90.00"]


def test_a_fill_that_the_statement_lacks_is_for_a_person(desk: Desk) -> None:
    execution = begun(desk).ours("TLT", 50, "90.00")
    seed(desk, hidden_trades=[execution.execution_id])
    desk.night(halting=True)
    assert kinds(desk) == [Kind.MISSING_FILL, Kind.POSITION, Kind.CASH]
    assert [one.quantity for one in desk.newest.differences] == [-50, 50, 0]


@pytest.mark.parametrize(
    ("seeds", "expected"),
    [
        ({"price": "0.01"}, [Kind.OTHER_FILL, Kind.CASH]),
        ({"commission": "0.02"}, [Kind.OTHER_COMMISSION, Kind.CASH]),
        ({"cash": "0.01"}, [Kind.CASH]),
        ({"cash": "-0.01"}, [Kind.CASH]),
        ({"shares": {"TLT": "1"}}, [Kind.POSITION]),
        ({"shares": {"QQQ": "0.5"}}, [Kind.POSITION]),
        ({"cash": "0.004"}, []),
    ],
)
def test_a_seeded_difference_is_found_to_the_share_and_the_cent(
    desk: Desk, seeds: dict[str, object], expected: list[Kind]
) -> None:
    begun(desk).ours("TLT", 50, "90.00")
    seed(desk, **seeds)
    found = desk.night(halting=True)
    assert [one.kind for one in found.differences] == expected
    assert found.unexplained == len(expected)
    told = [kind for kind, _ in desk.notices()]
    assert told == (["statement-differs"] if expected else [])
    assert len(desk.halts()) == bool(expected)


def take_back(desk: Desk, execution: Execution, *, anew: bool = False) -> None:
    name = execution.execution_id
    seed(desk, taken_back={name: desk.now.date()}, booked_anew=[name] if anew else [])


def test_a_fill_that_the_broker_takes_back_is_for_a_person(desk: Desk) -> None:
    """Its row has neither an execution id nor a ref: it was taken for a trade by hand, which is nobody's concern."""
    execution = begun(desk).ours("TLT", 50, "90.00")
    take_back(desk, execution)
    found = desk.night(halting=True)
    assert [(one.kind, one.quantity, one.cash) for one in found.differences] == [(Kind.MISSING_FILL, -50, 4501)]
    assert found.differences[0].text.endswith(", taken back")
    assert desk.night().differences == ()


def test_a_fill_of_a_day_before_that_is_taken_back_is_one_difference(desk: Desk) -> None:
    execution = begun(desk).ours("TLT", 50, "90.00")
    assert desk.night().differences == ()
    take_back(desk, execution)
    (found,) = desk.night().differences
    assert (found.kind, found.quantity, found.cash) == (Kind.MISSING_FILL, -50, 4501)
    assert found.text == "BUY 50 TLT at 90.00, taken back"
    assert desk.night().differences == ()


@pytest.mark.parametrize("days", [0, 1])
def test_a_fill_that_is_booked_anew_as_it_was_is_no_difference(desk: Desk, days: int) -> None:
    execution = begun(desk).ours("TLT", 50, "90.00")
    for _ in range(days):
        assert desk.night().differences == ()
    take_back(desk, execution, anew=True)
    assert desk.night().differences == ()


def test_a_lost_fill_that_is_booked_anew_is_filled_in_once(desk: Desk) -> None:
    execution = begun(desk).ours("TLT", 50, "90.00", told=False)
    take_back(desk, execution, anew=True)
    (found,) = desk.night().differences
    assert (found.kind, found.quantity, found.cash) == (Kind.LOST_FILL, 50, Decimal(-4501))
    assert [(row.symbol, row.quantity) for row in desk.fills()] == [("SPY", 100), ("TLT", 50)]
    take_back(desk, execution)
    (found,) = desk.night().differences
    assert (found.kind, found.quantity, found.cash) == (Kind.MISSING_FILL, -50, 4501)


@pytest.mark.parametrize(("days", "expected"), [(0, []), (1, [Kind.HAND_TRADE])])
def test_a_trade_by_hand_that_is_taken_back_is_explained(desk: Desk, days: int, expected: list[Kind]) -> None:
    execution = begun(desk).trade("QQQ", 10, "500.00")
    for _ in range(days):
        desk.night()
    take_back(desk, execution)
    found = desk.night()
    assert ([one.kind for one in found.differences], found.unexplained) == (expected, 0)


def test_a_cancellation_of_what_no_statement_has_is_for_a_person(desk: Desk) -> None:
    execution = begun(desk).ours("TLT", 50, "90.00")
    desk.night()
    take_back(desk, execution)
    desk.service.knobs = desk.service.knobs.model_copy(update={"days": 1})
    (found,) = desk.night().differences
    assert (found.kind, found.quantity, found.cash) == (Kind.PERHAPS_OURS, -50, 4501)


def test_a_kind_of_cash_that_nobody_knows_is_for_a_person(desk: Desk) -> None:
    begun(desk).pay("Mystery Adjustments", "-7.00")
    desk.night()
    assert kinds(desk) == [Kind.UNKNOWN_ENTRY]
    assert desk.notices() == [("statement-differs", "unknown-entry: Mystery Adjustments")]
    assert desk.halts() == [], "only by setting"


def test_a_difference_is_told_once_and_not_counted_again(desk: Desk) -> None:
    begun(desk).pay("Mystery Adjustments", "-7.00")
    desk.night()
    assert desk.night().differences == ()
    assert len(desk.notices()) == 1


def test_days_that_were_slept_through_are_in_the_next_statement(desk: Desk) -> None:
    begun(desk).pay("Dividends", "50.00", "SPY")
    desk.now += 3 * DAY
    desk.ours("TLT", 10, "90.00")
    found = desk.night()
    assert [one.kind for one in found.differences] == [Kind.DIVIDEND]
    assert found.compared_since == MONDAY.date()


def test_a_statement_that_was_read_before_its_day_was_over_is_no_start(desk: Desk) -> None:
    """The sandbox states today: what was done later that day was a difference of shares and cash the next morning."""
    begun(desk)
    with desk.ledger.begin() as session:
        session.execute(update(StatementRow).values(read_at=MONDAY + timedelta(hours=1)))
    desk.now = MONDAY + timedelta(hours=2)
    desk.trade("QQQ", 10, "500.00")
    desk.now += DAY
    found = desk.night()
    assert [one.kind for one in found.differences] == [Kind.HAND_TRADE]
    assert found.compared_since is None


def test_days_that_are_in_no_statement_are_named(desk: Desk) -> None:
    begun(desk).pay("Dividends", "50.00", "SPY")
    desk.now += 10 * DAY
    desk.service.knobs = desk.knobs.model_copy(update={"days": 2})
    (found,) = desk.night().differences
    assert found.kind is Kind.CASH
    assert "no statement has the days between 2025-03-03 and 2025-03-13" in found.text


def test_the_example_of_the_document(desk: Desk) -> None:
    begun(desk).ours("TLT", 50, "90.00")
    desk.pay("Dividends", "123.45", "SPY")
    desk.pay("Withholding Tax", "-18.52", "SPY")
    desk.pay("Other Fees", "-10.00")
    seed(desk, cash="0.01")
    found = desk.night()
    rows = [f"| {one.kind} | {one.text} | {one.cash:+.2f} |" for one in found.differences]
    text = (ROOT / "docs/statements.md").read_text(encoding="utf-8")
    assert "\n".join(rows) in text
    assert f"{found.cash:,.2f} USD" in text


def test_the_first_statement_counts_from_the_last_look(desk: Desk) -> None:
    """What the ledger saw by itself is the start, and what was done since is added."""
    desk.ours("SPY", 100, "600.00")
    desk.pay("Deposits/Withdrawals", "500.00")
    desk.now += timedelta(hours=1)
    desk.look_at_account({"SPY": "100"}, "40499.00")
    desk.now += timedelta(hours=1)
    desk.trade("QQQ", 10, "500.00")
    desk.now += DAY - timedelta(hours=2)
    desk.pay("Dividends", "50.00", "SPY")
    found = desk.night()
    assert [one.kind for one in found.differences] == [Kind.HAND_TRADE, Kind.DIVIDEND]
    assert (found.compared_since, found.unexplained) == (MONDAY.date(), 0)


def test_a_fill_that_was_lost_before_the_first_look_is_filled_in(desk: Desk) -> None:
    """The look has its shares: there is no difference, and still no execution on record."""
    desk.ours("SPY", 100, "600.00", told=False)
    desk.now += timedelta(hours=1)
    desk.look_at_account({"SPY": "100"}, "39999.00")
    assert desk.night().differences == ()
    assert [(row.stated, row.quantity, row.commission) for row in desk.fills()] == [(True, 100, 1)]


def test_a_look_that_was_wrong_is_found_by_the_first_statement(desk: Desk) -> None:
    desk.ours("SPY", 100, "600.00")
    desk.now += timedelta(hours=1)
    desk.look_at_account({"SPY": "90"}, "39999.00")
    assert [(one.kind, one.quantity) for one in desk.night().differences] == [(Kind.POSITION, 10)]


def test_an_old_statement_and_one_that_is_known_change_nothing(desk: Desk) -> None:
    def read() -> list[Taken]:
        reference = desk.service.request(TOKEN, QUERY)
        (statement,) = decode(root_of(desk.service.statement(TOKEN, reference)))
        with desk.ledger.begin() as session:
            return [statements.take(session, statement, QUERY, halting=True)]

    begun(desk)
    assert read() == [Taken.KNOWN]
    desk.night()
    desk.now -= DAY
    assert read() == [Taken.OLD]
