"""Orders that would make a loss one that the tax office does not count."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from rebalancer.domain.household import Household, Intention, Trade
from rebalancer.domain.portfolio import Position, ProposedOrder, Side
from rebalancer.domain.units import Shares, Usd
from rebalancer.risk.wash_sales import opposite_trades, wash_sales, windows

NOW = datetime(2026, 3, 31, 18, 0, tzinfo=UTC)
US, SPOUSE = "DU1", "DU2"


def trade(days_ago: float, side: Side, quantity: int = 10, account: str = SPOUSE, **known: str) -> Trade:
    realized = Usd(Decimal(known["realized"])) if "realized" in known else None
    at = NOW - timedelta(days=days_ago)
    return Trade(account, "SPY", side, at, Shares(Decimal(quantity)), Decimal(90), Usd(Decimal(1)), realized)


def order(side: Side, price: int, quantity: int = 10) -> ProposedOrder:
    return ProposedOrder("SPY", side, quantity, Decimal(price), Usd(Decimal(1)), "a test")


def found(made: ProposedOrder, *trades: Trade, held: int = 10, intentions: tuple[Intention, ...] = ()) -> list[str]:
    """Of a holding that has cost 100 USD a share."""
    position = Position("SPY", Shares(Decimal(held)), average_cost=Decimal(100))
    return [one.why for one in wash_sales(US, [made], [position], Household(trades, intentions), NOW)]


def test_a_sale_at_a_loss_after_another_account_has_bought() -> None:
    (why,) = found(order(Side.SELL, 90), trade(5, Side.BUY))
    assert why == "a sale at a loss of about 100.00 USD, and DU2 bought 10 until 2026-03-26: free from 2026-04-26"


@pytest.mark.parametrize(("days_ago", "counts"), [(0, True), (30, True), (31, False)])
def test_thirty_days_count_and_no_more(days_ago: int, counts: bool) -> None:
    assert bool(found(order(Side.SELL, 90), trade(days_ago, Side.BUY))) is counts
    assert bool(found(order(Side.BUY, 90), trade(days_ago, Side.SELL, realized="-5"))) is counts


@pytest.mark.parametrize("price", [100, 110])
def test_a_sale_without_a_loss_is_none(price: int) -> None:
    assert found(order(Side.SELL, price), trade(5, Side.BUY)) == []


def test_what_nobody_holds_at_a_cost_is_none() -> None:
    assert wash_sales(US, [order(Side.SELL, 90)], [], Household([trade(5, Side.BUY)]), NOW) == ()


def test_shares_that_are_sold_again_replace_nothing() -> None:
    """Ten were bought here lately: with the whole holding they go as well; of fifteen five stay."""
    assert found(order(Side.SELL, 90), trade(5, Side.BUY, account=US)) == []
    (why,) = found(order(Side.SELL, 90), trade(5, Side.BUY, account=US), held=15)
    assert "DU1 bought 5 until" in why


def test_buys_of_an_account_are_one_with_the_newest_day() -> None:
    (why,) = found(order(Side.SELL, 90), trade(9, Side.BUY), trade(3, Side.BUY, 5))
    assert "DU2 bought 15 until 2026-03-28: free from 2026-04-28" in why


def test_what_others_are_about_to_buy_counts_and_ones_own_plan_does_not() -> None:
    (why,) = found(order(Side.SELL, 90), intentions=(Intention(SPOUSE, "SPY", 7), Intention(US, "SPY", 9)))
    assert why.endswith("and DU2 is about to buy 7")
    assert found(order(Side.SELL, 90), intentions=(Intention(SPOUSE, "QQQ", 7),)) == []


@pytest.mark.parametrize("account", [US, SPOUSE])
def test_a_buy_after_a_sale_at_a_loss(account: str) -> None:
    (why,) = found(order(Side.BUY, 90), trade(5, Side.SELL, account=account, realized="-12.346"))
    assert why == f"a buy within 30 days of a sale at a loss of 12.35 USD ({account}, 2026-03-26): free from 2026-04-26"


@pytest.mark.parametrize("realized", [{}, {"realized": "0"}, {"realized": "3"}])
def test_a_buy_after_any_other_sale_is_none(realized: dict[str, str]) -> None:
    assert found(order(Side.BUY, 90), trade(5, Side.SELL, **realized)) == []


def test_opposite_trades_of_one_day_are_named() -> None:
    trades = [trade(0.1, Side.BUY), trade(0.05, Side.BUY, 5), trade(2, Side.BUY), trade(0.1, Side.BUY, account=US)]
    said = "SPY: DU2 bought 15 today, this account does the opposite"
    assert opposite_trades(US, [order(Side.SELL, 90)], trades, NOW) == (said,)
    assert opposite_trades(US, [order(Side.BUY, 90)], trades, NOW) == ()
    assert opposite_trades(US, [order(Side.BUY, 90)], [trade(0.1, Side.SELL)], NOW) == (
        said.replace("bought 15", "sold 10"),
    )


def test_what_thirty_days_bind_is_told_without_any_plan() -> None:
    trades = [trade(5, Side.SELL, realized="-12"), trade(2, Side.BUY, 4, US), trade(31, Side.BUY), trade(1, Side.SELL)]
    buys, sells = windows(trades, NOW)
    assert (buys.symbol, buys.side, buys.free_from) == ("SPY", Side.BUY, date(2026, 4, 26))
    assert buys.why.startswith("a buy within 30 days of a sale at a loss of 12.00 USD (DU2, 2026-03-26)")
    assert (sells.side, sells.why) == (Side.SELL, "DU1 bought 4 until 2026-03-29: free from 2026-04-29")
    assert sells.free_from == date(2026, 4, 29)
    assert windows([trade(31, Side.BUY)], NOW) == ()
