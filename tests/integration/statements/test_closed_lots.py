"""Lots that the broker's statements have, and the gains of a year that are counted from them."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

from rebalancer.ledger.queries.household_trades import realized_gains
from rebalancer.realized_gains import Gain, Source, total
from tests.integration.statements.conftest import ACCOUNT, Desk


def gains(desk: Desk) -> list[Gain]:
    with desk.ledger.begin() as session:
        return realized_gains(session, [ACCOUNT], 2025)


def lots(desk: Desk, which: str) -> None:
    desk.service.knobs = desk.knobs.model_copy(update={"lots": which})


def two_purchases(desk: Desk) -> None:
    """Ten for 1,001 USD on Monday, ten for 1,201 on Tuesday."""
    desk.ours("SPY", 10, "100.00")
    desk.night()
    desk.ours("SPY", 10, "120.00")


def test_the_brokers_own_choice_of_lots_is_the_one_for_the_form(desk: Desk) -> None:
    """The newest shares went first: 1,199 USD for what has cost 1,201 and, the next day, 1,299 for 1,001."""
    lots(desk, "newest")
    two_purchases(desk)
    desk.night()
    desk.ours("SPY", -10, "120.00")
    (before,) = gains(desk)
    assert (before.source, before.gain) == (Source.EXECUTIONS, Decimal(1199 - 1001)), "until the night the oldest"
    desk.night()
    desk.ours("SPY", -10, "130.00")
    desk.night()
    first, second = gains(desk)
    assert (first.source, first.opened, first.gain) == (Source.STATEMENT, date(2025, 3, 4), -2)
    assert (second.source, second.opened, second.gain) == (Source.STATEMENT, date(2025, 3, 3), 298)


def test_without_lots_in_the_query_the_oldest_are_sold_first(desk: Desk) -> None:
    lots(desk, "none")
    two_purchases(desk)
    desk.ours("SPY", -10, "120.00")
    desk.night()
    (found,) = gains(desk)
    assert (found.source, found.opened, found.gain) == (Source.EXECUTIONS, date(2025, 3, 3), 198)


def test_oldest_first_both_ways_is_the_same_to_the_cent(desk: Desk) -> None:
    """Counted by the stand-in for the broker, and by ours from the executions."""
    two_purchases(desk)
    desk.ours("SPY", -13, "118.37")
    ours = gains(desk)
    desk.now += timedelta(minutes=5)
    desk.night()
    theirs = gains(desk)
    assert {one.source for one in ours} == {Source.EXECUTIONS}
    assert {one.source for one in theirs} == {Source.STATEMENT}
    assert [(one.quantity, one.opened) for one in ours] == [(one.quantity, one.opened) for one in theirs]
    assert abs(total(ours) - total(theirs)) < Decimal("0.005")


def test_a_sale_by_hand_is_in_the_year_too(desk: Desk) -> None:
    two_purchases(desk)
    desk.trade("SPY", -5, "90.00")
    assert gains(desk) == []
    desk.night()
    (found,) = gains(desk)
    assert (found.source, found.quantity, found.gain) == (Source.STATEMENT, 5, Decimal("449") - Decimal("500.5"))


def test_what_the_broker_corrects_takes_the_place_of_what_it_said(desk: Desk) -> None:
    two_purchases(desk)
    desk.trade("SPY", -5, "90.00")
    desk.night()
    lots(desk, "newest")
    desk.night()
    (found,) = gains(desk)
    assert found.gain == Decimal("449") - Decimal("600.5")
