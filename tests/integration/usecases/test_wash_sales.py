"""A run of an account whose household has traded the same stocks lately: IWM, which has cost 120 USD, leaves the
strategy at 100.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from rebalancer.domain.orders import CommissionReport, Fill, OrderRequest
from rebalancer.domain.portfolio import OrderType, ProposedOrder, Replacement, Side, TimeInForce
from rebalancer.domain.trading_sessions import day_start, trading_day
from rebalancer.domain.units import Shares, Usd
from rebalancer.planning.inputs import plan_of
from rebalancer.planning.recorded import differences, recorded_inputs
from rebalancer.usecases import print_rebalance, rebalance
from tests.integration.usecases.conftest import ACCOUNT, Desk, desk
from tests.integration.usecases.test_parked_reserve import FUND, parked
from tests.memory_record import claim

OTHER = "DU2"
HELD = {"IWM": {"quantity": 300, "average_cost": 120}, "SPY": {"quantity": 400, "average_cost": 100}}


@pytest.fixture
def here() -> Iterator[Desk]:
    with desk(HELD) as made:
        yield made


def traded(here: Desk, symbol: str, side: Side, *, days_ago: int = 3, realized: str | None = None) -> None:
    """Ten shares, in the other account, on a date in New York; days there are not all of 24 hours."""
    run = claim(here.ledger, OTHER)
    ref, ten, price = f"{symbol}-{days_ago}", Shares(Decimal(10)), Decimal(100)
    asked = OrderRequest(ref, OTHER, symbol, 1, side, 10, OrderType.MARKET, TimeInForce.DAY)
    run.intend([(ProposedOrder(symbol, side, 10, price, Usd(Decimal(1)), "a test"), asked)])
    now = datetime.now(UTC)
    at = day_start(trading_day(now) - timedelta(days=days_ago)) if days_ago else now
    booked = None if realized is None else Decimal(realized)
    run.heard(
        [
            Fill(ref, f"{ref}.1", at, OTHER, symbol, side, ten, price, ten, 1),
            CommissionReport(f"{ref}.1", Decimal(1), "USD", booked),
        ]
    )
    run.finalize([ref])
    here.ledger.succeed(run)


def setting(here: Desk, mode: str) -> None:
    here.settings |= {"wash_sales": mode, "wash_sale_set": "losses"}


def live(here: Desk, mode: str) -> dict[str, Any]:
    setting(here, mode)
    result = rebalance(here.context(here.claim()))
    assert isinstance(result, dict)
    return result


def preview(here: Desk, mode: str) -> dict[str, Any]:
    setting(here, mode)
    return print_rebalance(here.context(claim(here.ledger)))


def said(result: dict[str, Any]) -> str:
    return " | ".join(result["notes"])


def test_a_sale_at_a_loss_is_named_and_made(here: Desk) -> None:
    traded(here, "IWM", Side.BUY)
    assert "at a loss" not in said(preview(here, "off"))
    shown = preview(here, "warn")
    assert "IWM: a sale at a loss of about 60" in said(shown)
    assert "DU2 bought 10 until" in said(shown)
    assert [rule["reason"][:4] for rule in shown["rules"] if rule["rule"] == "wash_sale"] == ["IWM:"]
    assert "IWM: a sale at a loss of about 60" in said(live(here, "warn"))
    assert here.positions.get("IWM", 0) == 0


def test_it_is_left_out_of_the_plan_where_that_is_wanted(here: Desk) -> None:
    traded(here, "IWM", Side.BUY)
    shown, done = preview(here, "hold"), live(here, "hold")
    for result in (shown, done):
        assert "IWM" not in {one["symbol"] for one in result["orders"]}
        assert "IWM: 300 shares are left alone, neither counted nor traded: wash_sale: a sale at a loss" in said(result)
    assert here.positions["IWM"] == 300
    assert here.positions["GLD"] == pytest.approx(Decimal("0.202") * 60_000 * Decimal("0.99") / 100, abs=2), (
        "of the rest"
    )
    assert any(one.startswith("IWM: wash_sale") for one in done["attention"]), "people are told"


def test_a_target_that_was_sold_at_a_loss_is_not_bought(here: Desk) -> None:
    traded(here, "GLD", Side.SELL, realized="-40")
    assert "GLD: a buy within 30 days of a sale at a loss of 40.00 USD (DU2" in said(preview(here, "warn"))
    live(here, "hold")
    assert "GLD" not in here.positions
    assert here.positions["TLT"] > 0


def test_a_fund_for_the_reserve_that_was_sold_at_a_loss_is_not_bought_either(here: Desk) -> None:
    """It was bought all the same: the planner still had its quote."""
    traded(here, FUND, Side.SELL, realized="-40")
    here.settings["wash_sales"] = "hold"
    run = claim(here.ledger)
    shown = print_rebalance(parked(here, run))
    assert {one["symbol"] for one in shown["orders"]} == {"SPY", "GLD", "QQQ", "IWM"}
    inputs = recorded_inputs(here.ledger.inputs[run.claim.event_id, 1], ACCOUNT)
    assert inputs is not None
    assert list(differences(plan_of(inputs).plan, here.ledger.plans[run.claim.event_id, 1])) == []


@pytest.mark.parametrize("days_ago", [31, 400])
def test_what_was_longer_ago_binds_nobody(here: Desk, days_ago: int) -> None:
    traded(here, "IWM", Side.BUY, days_ago=days_ago)
    live(here, "hold")
    assert here.positions.get("IWM", 0) == 0


def test_opposite_trades_of_today_are_named(here: Desk) -> None:
    traded(here, "SPY", Side.BUY, days_ago=0)
    assert "SPY: DU2 bought 10 today, this account does the opposite" in said(preview(here, "warn"))


def test_without_the_setting_nothing_is_asked(here: Desk) -> None:
    traded(here, "IWM", Side.BUY)
    assert "wash" not in str(live(here, "off"))


INSTEAD = Replacement("GLD", "DBC", Decimal(1))
GOLD = {"IWM": {"quantity": 300, "average_cost": 120}, "GLD": {"quantity": 50, "average_cost": 100}}


@pytest.fixture
def replacing() -> Iterator[Desk]:
    """GLD, a target, was sold at a loss in another account; DBC may be held in its place."""
    with desk(HELD) as made:
        made.substitutes = (INSTEAD,)
        traded(made, "GLD", Side.SELL, realized="-40")
        yield made


def test_what_was_sold_at_a_loss_is_bought_as_something_else(replacing: Desk) -> None:
    shown, done = preview(replacing, "replace"), live(replacing, "replace")
    wanted = {one["symbol"]: one["quantity"] for one in shown["orders"]}
    assert wanted == {one["symbol"]: one["quantity"] for one in done["orders"]}, "in preview and live alike"
    assert "GLD" not in replacing.positions
    assert replacing.positions["DBC"] == wanted["DBC"] == pytest.approx(Decimal("0.202") * 89_100 / 100, abs=2)
    for result in (shown, done):
        assert "GLD: DBC is held in its place: a buy within 30 days of a sale at a loss of 40.00 USD (DU2" in said(
            result
        )
    assert done["attention"] == []
    again = live(replacing, "replace")
    assert again["orders"] == [], "DBC stays while GLD may not be bought"


def test_the_substitute_stays_though_the_plan_would_not_buy_what_it_stands_for(replacing: Desk) -> None:
    """Within a band nothing is bought that could be named: DBC was no target, and would have been sold."""
    live(replacing, "replace")
    replacing.settings["drift_band_percent"] = 30
    assert live(replacing, "replace")["orders"] == []
    assert replacing.positions["DBC"] > 0


def test_once_it_may_be_bought_again_the_substitute_goes(here: Desk) -> None:
    here.substitutes = (INSTEAD,)
    traded(here, "GLD", Side.SELL, days_ago=31, realized="-40")
    live(here, "replace")
    assert here.positions["GLD"] > 0
    assert "DBC" not in here.positions


def test_what_is_held_of_it_stays_and_only_the_rest_is_bought_as_something_else() -> None:
    with desk(GOLD) as here:
        here.substitutes = (INSTEAD,)
        traded(here, "GLD", Side.SELL, realized="-40")
        done = live(here, "replace")
        assert here.positions["GLD"] == 50
        assert 50 + here.positions["DBC"] == pytest.approx(Decimal("0.202") * 54_450 / 100, abs=2)
        assert "GLD: 50 shares are left alone, neither counted nor traded: wash_sale: DBC is held in its place" in said(
            done
        )


@pytest.mark.parametrize(
    ("rule", "more"),
    [
        (Replacement("TLT", "EFA", Decimal(1)), {}),
        (Replacement("GLD", "NOSUCH", Decimal(1)), {}),
        (INSTEAD, {"DBC": "-5"}),
    ],
    ids=["no rule of its own", "IBKR knows no such stock", "it was sold at a loss itself"],
)
def test_without_a_substitute_that_may_be_bought_it_is_left_out(
    here: Desk, rule: Replacement, more: dict[str, str]
) -> None:
    here.substitutes = (rule,)
    traded(here, "GLD", Side.SELL, realized="-40")
    for symbol, realized in more.items():
        traded(here, symbol, Side.SELL, realized=realized)
    done = live(here, "replace")
    assert here.positions.keys().isdisjoint({"GLD", rule.target})
    assert here.positions["TLT"] > 0
    assert done["attention"], "people are told"


def test_of_a_sale_nothing_makes_the_loss_count(here: Desk) -> None:
    """IWM was bought elsewhere within 30 days: to hold something else after its sale would not mend that."""
    here.substitutes = (Replacement("IWM", "EFA", Decimal(1)),)
    traded(here, "IWM", Side.BUY)
    live(here, "replace")
    assert here.positions["IWM"] == 300


def test_the_plan_with_a_substitute_is_made_again_from_its_record(replacing: Desk) -> None:
    setting(replacing, "replace")
    run = claim(replacing.ledger)
    print_rebalance(replacing.context(run))
    inputs = recorded_inputs(replacing.ledger.inputs[run.claim.event_id, 1], ACCOUNT)
    assert inputs is not None
    assert {one.symbol for one in inputs.weights} == {"SPY", "VXX", "DBC", "TLT", "QQQ"}
    assert list(differences(plan_of(inputs).plan, replacing.ledger.plans[run.claim.event_id, 1])) == []
