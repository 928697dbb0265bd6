"""Realized gains: first in, first out, to the cent."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from rebalancer.domain.household import StatedLot, Trade
from rebalancer.domain.portfolio import Side
from rebalancer.domain.units import Shares, Usd
from rebalancer.realized_gains import Gain, Source, gains, of_year, summarize, total

DAY = date(2025, 3, 10)


def trade(day: date, side: Side, quantity: str, price: str, **known: str) -> Trade:
    """At noon in New York, for a commission of a dollar."""
    at = datetime(day.year, day.month, day.day, 17, 0, tzinfo=UTC)
    booked = Usd(Decimal(known["realized"])) if "realized" in known else None
    return Trade(
        known.get("account", "DU1"), "SPY", side, at, Shares(Decimal(quantity)), Decimal(price), Usd(Decimal(1)), booked
    )


def test_the_oldest_lot_goes_first_and_commissions_count() -> None:
    """Ten for 1,001 and ten for 1,101; fifteen bring 1,799."""
    bought = [trade(DAY, Side.BUY, "10", "100"), trade(DAY + timedelta(days=9), Side.BUY, "10", "110")]
    first, second = gains([*bought, trade(DAY + timedelta(days=20), Side.SELL, "15", "120")])
    assert (first.quantity, first.opened, first.cost) == (10, DAY, Decimal(1001))
    assert (second.quantity, second.opened, second.cost) == (5, DAY + timedelta(days=9), Decimal("550.5"))
    assert first.proceeds + second.proceeds == 1799
    assert total([first, second]) == Decimal(1799) - 1001 - Decimal("550.5")


def test_accounts_have_lots_of_their_own() -> None:
    sold = list(
        gains([trade(DAY, Side.BUY, "10", "100", account="DU2"), trade(DAY, Side.SELL, "10", "90", realized="-7")])
    )
    assert [(one.account_id, one.cost, one.gain, one.long_term) for one in sold] == [("DU1", None, -7, None)]


def test_shares_from_before_the_record_are_the_brokers_figure_in_proportion() -> None:
    part, rest = gains([trade(DAY, Side.BUY, "4", "100"), trade(DAY, Side.SELL, "10", "90", realized="-50")])
    assert (part.quantity, part.gain) == (4, Decimal("359.6") - Decimal(401))
    assert (rest.quantity, rest.cost, rest.gain) == (6, None, -30)
    (unknown,) = gains([trade(DAY, Side.SELL, "10", "90")])
    assert (unknown.gain, total([unknown])) == (None, 0)


@pytest.mark.parametrize(
    ("opened", "closed", "long_term"),
    [
        (date(2025, 3, 10), date(2026, 3, 10), False),
        (date(2025, 3, 10), date(2026, 3, 11), True),
        (date(2024, 2, 29), date(2025, 2, 28), False),
        (date(2024, 2, 29), date(2025, 3, 1), True),
    ],
)
def test_more_than_a_year_is_long(opened: date, closed: date, long_term: bool) -> None:
    (sold,) = gains([trade(opened, Side.BUY, "1", "100"), trade(closed, Side.SELL, "1", "100")])
    assert sold.long_term is long_term


def test_a_year_ends_in_new_york() -> None:
    at = datetime(2026, 1, 1, 3, 0, tzinfo=UTC)
    sold = Trade("DU1", "SPY", Side.SELL, at, Shares(Decimal(1)), Decimal(1), Usd(Decimal(0)), Usd(Decimal(1)))
    (found,) = gains([sold])
    assert isinstance(found, Gain)
    assert (of_year([found], 2025), of_year([found], 2026)) == ([found], [])


def lot(opened: date | None, closed: date, quantity: str, cost: str, realized: str, *, second: int = 0) -> StatedLot:
    """Of a sale at noon, as :func:`trade` makes it."""
    at = datetime(closed.year, closed.month, closed.day, 17, 0, second, tzinfo=UTC)
    return StatedLot("DU1", "SPY", at, opened, Shares(Decimal(quantity)), Usd(Decimal(cost)), Usd(Decimal(realized)))


BOUGHT = [trade(DAY, Side.BUY, "10", "100"), trade(DAY + timedelta(days=9), Side.BUY, "10", "110")]
SOLD = DAY + timedelta(days=20)


def test_the_lots_of_the_statement_are_those_that_count() -> None:
    """The owner has chosen the newer shares at the broker; the older are left for the next sale."""
    stated = [lot(DAY + timedelta(days=9), SOLD, "10", "1101", "98")]
    later = SOLD + timedelta(days=1)
    first, second = gains([*BOUGHT, trade(SOLD, Side.SELL, "10", "120"), trade(later, Side.SELL, "10", "120")], stated)
    assert (first.source, first.opened, first.cost, first.gain) == (Source.STATEMENT, DAY + timedelta(days=9), 1101, 98)
    assert (second.source, second.opened, second.cost) == (Source.EXECUTIONS, DAY, 1001)
    assert second.gain == Decimal(1199) - 1001


def test_shares_that_the_statement_has_sold_are_sold_once() -> None:
    """Of three lots the middle one goes by the statement: the next sale has the first and the last."""
    bought = [trade(DAY + timedelta(days=day), Side.BUY, "10", "100") for day in (0, 1, 2)]
    later = SOLD + timedelta(days=1)
    sales = [trade(SOLD, Side.SELL, "10", "120"), trade(later, Side.SELL, "20", "120")]
    found = list(gains([*bought, *sales], [lot(DAY + timedelta(days=1), SOLD, "10", "1001", "198")]))
    assert [(one.quantity, one.opened) for one in found] == [
        (10, DAY + timedelta(days=1)),
        (10, DAY),
        (10, DAY + timedelta(days=2)),
    ]
    assert total(found) == 198 + Decimal(2399) - 2002


def test_executions_of_one_second_share_its_lots() -> None:
    stated = [lot(DAY, SOLD, "9", "900.90", "10.01"), lot(None, SOLD, "6", "660.60", "-0.55")]
    sales = [trade(SOLD, Side.SELL, "5", "120"), trade(SOLD, Side.SELL, "10", "120")]
    found = list(gains([*BOUGHT, *sales], stated))
    assert [(one.quantity, one.opened) for one in found] == [(5, DAY), (4, DAY), (6, None)]
    assert sum((one.cost or 0 for one in found), Decimal(0)) == Decimal("1561.50")
    assert total(found) == Decimal("9.46")
    assert {one.source for one in found} == {Source.STATEMENT}


def test_lots_that_are_not_of_all_shares_of_a_sale_do_not_count() -> None:
    """Of the fraction that is missing nobody says anything: the sale is counted whole from the executions."""
    (found,) = gains([*BOUGHT, trade(SOLD, Side.SELL, "10", "120")], [lot(DAY, SOLD, "9", "900.90", "10.01")])
    assert (found.source, found.quantity, found.cost) == (Source.EXECUTIONS, 10, 1001)


def test_a_sale_by_hand_is_known_from_the_statement_alone() -> None:
    (found,) = gains(BOUGHT, [lot(DAY, SOLD, "10", "1001", "-77")])
    assert (found.source, found.closed, found.proceeds, found.gain) == (Source.STATEMENT, SOLD, 924, -77)
    ours, *more = gains([*BOUGHT, trade(SOLD, Side.SELL, "10", "120")], [lot(DAY, SOLD, "10", "1001", "-77", second=9)])
    assert (ours.source, more) == (Source.EXECUTIONS, []), "it may be the same, told to another second"


def test_what_is_together_says_what_it_is_from() -> None:
    stated = [lot(DAY, SOLD, "10", "1001", "98")]
    later = SOLD + timedelta(days=1)
    sales = [trade(SOLD, Side.SELL, "10", "120"), trade(later, Side.SELL, "25", "120", realized="50")]
    found = summarize(gains([*BOUGHT, *sales], stated))
    assert [(one.term, one.source, one.quantity, one.unknown) for one in found] == [
        ("short", Source.EXECUTIONS, 10, 0),
        ("short", Source.STATEMENT, 10, 0),
        ("unknown", Source.BROKER, 15, 0),
    ]
    (nobody,) = summarize(gains([trade(SOLD, Side.SELL, "3", "120")]))
    assert (nobody.source, nobody.gain, nobody.unknown) == (Source.UNKNOWN, 0, 3)
