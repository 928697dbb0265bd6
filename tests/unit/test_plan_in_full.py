"""One plan with all its numbers, each of which can be worked out on paper."""

from __future__ import annotations

from decimal import Decimal, localcontext

import pytest

from rebalancer.domain.money import EXACT, ZERO
from rebalancer.domain.portfolio import Plan, Position, ProposedOrder, Side
from rebalancer.planning import PlanningRules, plan
from tests.unit.test_planning import account, quotes, targets

OTHERS = (Position("SPY", Decimal(2), security_type="OPT"), Position("RY", Decimal(9), currency="CAD"))
ACCOUNT = account({"SPY": "400", "OLD": "50.5", "SHORT": "-10"}, "60000", "100710", OTHERS)
PRICES = quotes(SPY="99.90/100.10", QQQ="49.95/50.05", OLD="20", SHORT="30/30.10", LOT="10")
RULES = PlanningRules(Decimal("0.01"), drift_band=Decimal("0.005"), price_margin=Decimal("0.001"))


@pytest.fixture
def made() -> Plan:
    """Made anew for each test: at the import it would be made before `make mutants` has changed anything."""
    return plan(ACCOUNT, targets(SPY="0.3", QQQ="0.5", LOT="0.2", NONE="0"), PRICES, RULES, {"LOT": 100})


def order(symbol: str, side: Side, quantity: int, *, price: str, fee: str, reason: str) -> ProposedOrder:
    return ProposedOrder(symbol, side, quantity, Decimal(price), Decimal(fee), reason)


def test_orders_largest_first_with_their_reasons(made: Plan) -> None:
    assert made.sells == (
        order("SPY", Side.SELL, 101, price="99.90", fee="1", reason="holds 40.2 %, target 30.0 %: sell 101"),
        order("OLD", Side.SELL, 50, price="20", fee="1", reason="holds 1.0 %, no longer a target: sell 50"),
    )
    assert made.buys == (
        order(
            "QQQ",
            Side.BUY,
            992,
            price="50.10005",
            fee="4.96",
            reason="holds 0.0 %, target 50.0 %: buy 992 of 996, cash allows no more",
        ),
        order("LOT", Side.BUY, 2000, price="10.01", fee="10", reason="holds 0.0 %, target 20.0 %: buy 2000"),
    )


def test_money(made: Plan) -> None:
    """Costs are 10.10 + 0 of the sells, 99.2496 + 20 of the buys, and fees of 16.96; for 996 QQQ 0.4202 more."""
    assert made.equity == 100_710
    assert made.reserve == Decimal("0.01") * (100_710 - Decimal("146.3096"))
    assert made.investable == Decimal("0.99") * (100_710 - Decimal("146.7298"))
    brought, cover = 101 * Decimal("99.90") + 50 * 20, 10 * Decimal("30.05")
    assert made.spendable_cash == 60_000 + brought - Decimal("16.96") - made.reserve - cover


def test_lines(made: Plan) -> None:
    lines = {line.symbol: line for line in made.lines}
    assert list(lines) == ["LOT", "OLD", "QQQ", "SHORT", "SPY"]
    assert {key: (line.held, line.planned_shares, line.lot, line.odd) for key, line in lines.items()} == {
        "LOT": (0, 2000, 100, False),
        "OLD": (Decimal("50.5"), Decimal("0.5"), 1, False),
        "QQQ": (0, 992, 1, False),
        "SHORT": (-10, -10, 1, False),
        "SPY": (400, 299, 1, False),
    }
    assert {key: line.note for key, line in lines.items() if line.note} == {
        "OLD": "0.5 shares cannot be sold: orders are for whole shares",
        "SHORT": "short position of 10 shares: never traded",
    }
    with localcontext(EXACT):
        for line in made.lines:
            assert line.price == PRICES[line.symbol].mid
            assert line.current_weight == line.held * line.price / made.investable
            assert line.planned_weight == line.planned_shares * line.price / made.investable
            assert line.drift == line.current_weight - line.target_weight
            beyond = line.target_shares - line.target_weight * made.investable / line.price
            assert 0 <= beyond < Decimal("1e-12")
    assert {key: line.target_weight for key, line in lines.items()} == {
        "LOT": Decimal("0.2"),
        "OLD": ZERO,
        "QQQ": Decimal("0.5"),
        "SHORT": ZERO,
        "SPY": Decimal("0.3"),
    }


def test_notes(made: Plan) -> None:
    assert made.notes == (
        "SPY: 2 OPT in USD is not a US stock, neither counted nor traded",
        "RY: 9 STK in CAD is not a US stock, neither counted nor traded",
    )
