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
from rebalancer.domain.portfolio import OrderType, ProposedOrder, Side, TimeInForce
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
    """Ten shares, in the other account."""
    run = claim(here.ledger, OTHER)
    ref, ten, price = f"{symbol}-{days_ago}", Shares(Decimal(10)), Decimal(100)
    asked = OrderRequest(ref, OTHER, symbol, 1, side, 10, OrderType.MARKET, TimeInForce.DAY)
    run.intend([(ProposedOrder(symbol, side, 10, price, Usd(Decimal(1)), "a test"), asked)])
    at = datetime.now(UTC) - timedelta(days=days_ago)
    booked = None if realized is None else Decimal(realized)
    run.heard(
        [
            Fill(ref, f"{ref}.1", at, OTHER, symbol, side, ten, price, ten, 1),
            CommissionReport(f"{ref}.1", Decimal(1), "USD", booked),
        ]
    )
    run.finalize([ref])
    here.ledger.succeed(run)


def live(here: Desk, mode: str) -> dict[str, Any]:
    here.settings["wash_sales"] = mode
    result = rebalance(here.context(here.claim()))
    assert isinstance(result, dict)
    return result


def preview(here: Desk, mode: str) -> dict[str, Any]:
    here.settings["wash_sales"] = mode
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
