"""One stock of a plan: what its target asks, what trading it costs, and up to which equity no buy is wanted."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal, localcontext

import pytest

from rebalancer.domain.money import EXACT, HALF, ONE, ZERO
from rebalancer.domain.portfolio import FeeSchedule
from rebalancer.domain.rebalance_kinds import RebalanceMode
from rebalancer.planning.holdings import SHARE_QUANTUM, Stock
from rebalancer.planning.rules import PlanningRules

STOCK = Stock("A", Decimal(10), HALF, Decimal(100), Decimal(99), Decimal(102))
RULES = PlanningRules(ZERO)


def test_target_shares_are_rounded_up_to_the_quantum() -> None:
    with localcontext(EXACT):
        third = replace(STOCK, mid=Decimal(3)).target_shares(Decimal(2))
        assert third == Decimal("0.333333333334")
        assert replace(STOCK, mid=Decimal(3)).target_shares(Decimal(6)) == 1


@pytest.mark.parametrize(
    ("held", "investable", "full", "wanted"),
    [
        ("10", 3000, 5, 5),
        ("10", 2000, 0, 0),
        ("10", 2100, 0, 0),  # half a share: on the threshold
        ("10", 2100.02, 1, 1),
        ("10", 1899.98, -1, -1),
        ("10", 2160, 1, 1),
        ("10.9", 0, -10, -10),
        ("-10", 3000, 0, 0),
        ("0.4", 0, 0, 0),
    ],
)
def test_full_and_wanted_trades(held: str, investable: float, full: int, wanted: int) -> None:
    stock = replace(STOCK, held=Decimal(held))
    assert stock.full_trade(Decimal(str(investable)), RULES) == full
    assert stock.wanted_trade(Decimal(str(investable)), RULES) == wanted


def test_what_is_within_threshold_or_band_is_not_wanted() -> None:
    wide = replace(RULES, share_threshold=Decimal(5))
    assert [STOCK.within_threshold(Decimal(investable), wide) for investable in (1000, 999, 3000, 3001)] == [
        True,
        False,
        True,
        False,
    ]
    assert STOCK.wanted_trade(Decimal(3000), wide) == 0
    banded = replace(RULES, drift_band=Decimal("0.1"))
    assert [STOCK.within_band(Decimal(investable), banded) for investable in (2500, 2501, 1666, 1667)] == [
        True,
        False,
        False,
        True,
    ]
    assert (STOCK.wanted_trade(Decimal(2500), banded), STOCK.full_trade(Decimal(2500), banded)) == (0, 2)


@pytest.mark.parametrize(("trade", "cost"), [(3, 7), (1, 3), (0, 0), (-1, 2), (-3, 4)])
def test_a_trade_costs_its_distance_from_mid_and_its_fee(trade: int, cost: int) -> None:
    fees = FeeSchedule(ZERO, ONE, Decimal(1000))
    assert STOCK.cost(trade, fees) == cost


def test_the_first_outlay_is_of_a_lot_and_its_fee_of_which_the_reserve_bears_a_part() -> None:
    rules = PlanningRules(Decimal("0.1"), fees=FeeSchedule(ZERO, ONE, Decimal(1000)))
    assert replace(STOCK, lot=10).first_outlay(rules) == 10 * Decimal("101.8") + Decimal("0.9")


@pytest.mark.parametrize(("lot", "shares"), [(1, 2), (4, 2), (5, "2.5")])
def test_never_less_than_half_a_lot_is_traded(lot: int, shares: int | str) -> None:
    assert replace(RULES, share_threshold=Decimal(2)).threshold(lot) == Decimal(shares)


@pytest.mark.parametrize(
    ("kind", "buy", "sell"),
    [(RebalanceMode.FULL, 1, -1), (RebalanceMode.BUY_ONLY, 1, 0), (RebalanceMode.RAISE_CASH, 0, -1)],
)
def test_each_kind_allows_its_side(kind: RebalanceMode, buy: int, sell: int) -> None:
    rules = replace(RULES, kind=kind)
    assert [rules.allowed(trade) for trade in (1, 0, -1)] == [buy, 0, sell]


class TestHighestQuietEquity:
    """Half of it in A, of which 10 are held; at 10.5 shares nothing is wanted yet."""

    def quiet(self, stock: Stock = STOCK, **changes: Decimal | RebalanceMode) -> Decimal | None:
        with localcontext(EXACT):
            return stock.highest_quiet_equity(replace(RULES, **changes))  # type: ignore[arg-type]

    def test_the_threshold_and_the_reserve_decide(self) -> None:
        assert self.quiet() == 2100
        assert self.quiet(reserve_amount=Decimal(50)) == 2150
        assert self.quiet(reserve_fraction=HALF) == 4200
        assert self.quiet(share_threshold=Decimal(2)) == 2400

    def test_the_band_decides_where_it_is_wider(self) -> None:
        assert self.quiet(drift_band=Decimal("0.1")) == 2500
        assert self.quiet(drift_band=Decimal("0.01")) == 2100

    def test_half_a_share_of_what_is_not_held_yet(self) -> None:
        assert self.quiet(replace(STOCK, held=ZERO)) == 100
        assert self.quiet(replace(STOCK, held=Decimal("0.2"))) == 140

    def test_shares_are_rounded_down_to_the_quantum(self) -> None:
        fraction = replace(STOCK, held=Decimal(10) + SHARE_QUANTUM * Decimal("0.9"))
        assert self.quiet(fraction) == 2100

    def test_where_nothing_is_ever_bought_there_is_no_limit(self) -> None:
        assert self.quiet(replace(STOCK, held=Decimal(-1))) is None
        assert self.quiet(replace(STOCK, weight=ZERO)) is None
        assert self.quiet(drift_band=HALF) is None
        assert self.quiet(reserve_fraction=ONE) is None
        assert self.quiet(kind=RebalanceMode.RAISE_CASH) is None
        assert self.quiet(kind=RebalanceMode.BUY_ONLY) == 2100
