"""An account in euros: each currency of its cash is compared by itself, to the cent."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from sqlalchemy import update

from rebalancer.domain.orders import CommissionReport
from rebalancer.ledger import orders
from rebalancer.ledger.models import StatementRow
from rebalancer.statements.content import Kind
from sandbox.flex.knobs import Seeds
from tests.integration.statements.conftest import DAY, EUROS, START, Desk, fill_of


def begun(desk: Desk) -> Desk:
    """A first statement is on record."""
    desk.ours("SPY", 100, "600.00")
    assert desk.night().unexplained == 0
    return desk


def found(desk: Desk) -> list[tuple[Kind, str, Decimal]]:
    return [(one.kind, one.currency, one.cash) for one in desk.newest.differences]


def seed(desk: Desk, **seeds: object) -> None:
    desk.service.knobs = desk.knobs.model_copy(update={"seeds": Seeds.model_validate(seeds)})


def test_a_conversion_of_ours_is_no_difference(euros: Desk) -> None:
    """It was one on its first night: the ledger's euros were taken for shares."""
    begun(euros).ours("EUR.USD", -10_000, "1.25")
    night = euros.night(halting=True)
    assert night.differences == ()
    assert night.cash == START - 60_001 + 12_500
    assert night.other_cash == {"EUR": EUROS - 10_000 - Decimal("1.6")}
    assert night.positions == {"SPY": 100}


@pytest.mark.parametrize(
    ("word", "amount", "kind"),
    [
        ("Dividends", "123.45", Kind.DIVIDEND),
        ("Withholding Tax", "-18.52", Kind.TAX),
        ("Broker Interest Received", "4.56", Kind.INTEREST),
        ("Other Fees", "-10.00", Kind.FEE),
        ("Commission Adjustments", "0.35", Kind.FEE),
        ("Deposits/Withdrawals", "5000.00", Kind.DEPOSIT),
        ("Deposits/Withdrawals", "-250.00", Kind.WITHDRAWAL),
    ],
)
def test_euros_that_the_statement_names_are_explained(euros: Desk, word: str, amount: str, kind: Kind) -> None:
    begun(euros).pay(word, amount, currency="EUR")
    assert euros.night(halting=True).unexplained == 0
    assert found(euros) == [(kind, "EUR", Decimal(amount))]


def test_a_conversion_by_hand_is_explained_in_each_of_its_currencies(euros: Desk) -> None:
    begun(euros).trade("USD.CHF", 1_000, "0.80")
    euros.night(halting=True)
    assert found(euros) == [
        (Kind.CONVERSION, "USD", Decimal(1_000)),
        (Kind.CONVERSION, "CHF", Decimal(-800)),
        (Kind.CONVERSION, "EUR", Decimal("-1.6")),
    ]
    assert euros.halts() == []


def test_a_commission_in_euros_that_came_late_is_filled_in(euros: Desk) -> None:
    begun(euros).ours("EUR.USD", -10_000, "1.25", paid=False)
    euros.night()
    assert found(euros) == [(Kind.LATE_COMMISSION, "EUR", Decimal("-1.6"))]
    assert [(row.commission, row.currency) for row in euros.fills()] == [(1, "USD"), (Decimal("1.6"), "EUR")]


def test_a_lost_conversion_is_filled_in(euros: Desk) -> None:
    begun(euros).ours("EUR.USD", -10_000, "1.25", told=False)
    euros.night()
    assert found(euros) == [
        (Kind.LOST_FILL, "USD", Decimal(12_500)),
        (Kind.LOST_FILL, "EUR", Decimal("-10001.6")),
    ]
    (_, row) = euros.fills()
    assert (row.stated, row.symbol, row.security_type, row.quantity, row.price) == (
        True,
        "EUR.USD",
        "CASH",
        10_000,
        Decimal("1.25"),
    )
    assert euros.night().differences == ()


@pytest.mark.parametrize(
    ("seeds", "expected"),
    [
        ({"other_cash": {"EUR": "0.01"}}, {Kind.CASH: {"EUR"}}),
        ({"other_cash": {"EUR": "-0.01"}}, {Kind.CASH: {"EUR"}}),
        ({"other_cash": {"EUR": "0.004"}}, {}),
        ({"price": "0.0001"}, {Kind.OTHER_FILL: {"USD"}, Kind.CASH: {"USD"}}),
        ({"commission": "0.02"}, {Kind.OTHER_COMMISSION: {"EUR"}, Kind.CASH: {"EUR"}}),
    ],
)
def test_a_seeded_difference_is_found_in_its_currency(
    euros: Desk, seeds: dict[str, object], expected: dict[Kind, set[str]]
) -> None:
    begun(euros).ours("EUR.USD", -10_000, "1.25")
    seed(euros, **seeds)
    night = euros.night(halting=True)
    by_kind: dict[Kind, set[str]] = {}
    for one in night.differences:
        by_kind.setdefault(one.kind, set()).add(one.currency)
    assert by_kind == expected
    assert night.unexplained == sum(map(len, expected.values()))
    assert len(euros.halts()) == bool(expected)


def test_a_conversion_that_the_statement_lacks_is_for_a_person(euros: Desk) -> None:
    execution = begun(euros).ours("EUR.USD", -10_000, "1.25")
    seed(euros, hidden_trades=[execution.execution_id])
    euros.night()
    assert found(euros) == [
        (Kind.MISSING_FILL, "USD", Decimal(-12_500)),
        (Kind.MISSING_FILL, "EUR", Decimal("10001.6")),
        (Kind.CASH, "EUR", Decimal("-10001.6")),
        (Kind.CASH, "USD", Decimal(12_500)),
    ]


def test_a_commission_in_another_currency_is_for_a_person(euros: Desk) -> None:
    execution = begun(euros).ours("EUR.USD", -10_000, "1.25", paid=False)
    with euros.ledger.begin() as session:
        orders.record_updates(
            session, [fill_of(execution), CommissionReport(execution.execution_id, Decimal(2), "USD")]
        )
    euros.night()
    assert found(euros) == [(Kind.OTHER_COMMISSION, "USD", Decimal(2)), (Kind.OTHER_COMMISSION, "EUR", Decimal("-1.6"))]


def test_the_first_statement_counts_both_currencies_from_the_last_look(euros: Desk) -> None:
    euros.ours("EUR.USD", -10_000, "1.25")
    euros.pay("Broker Interest Received", "3.00", currency="EUR")
    euros.now += timedelta(hours=1)
    euros.look_at_account({}, "112500.00", euros="30001.40")
    euros.now += DAY - timedelta(hours=1)
    euros.pay("Other Fees", "-2.00", currency="EUR")
    night = euros.night()
    assert found(euros) == [(Kind.FEE, "EUR", -2)], "the look had the interest"
    assert (night.compared_since, night.unexplained) == (night.last - DAY, 0)


def test_of_a_look_without_euros_none_are_compared(euros: Desk) -> None:
    """Dollars neither: what is owed in euros would have been taken off them."""
    euros.look_at_account({}, "90000.00")
    assert euros.night().differences == ()


def test_a_statement_that_kept_dollars_alone_is_a_start_for_dollars_alone(euros: Desk) -> None:
    begun(euros)
    with euros.ledger.begin() as session:
        session.execute(update(StatementRow).values(other_cash=None))
    seed(euros, cash="0.01", other_cash={"EUR": "0.01"})
    euros.night()
    assert found(euros) == [(Kind.CASH, "USD", Decimal("0.01"))]
    euros.night()
    assert found(euros) == [], "from then on euros are known"
