"""An account after its fills, to the cent."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

from rebalancer.bookkeeping import after_fills
from rebalancer.model import AccountSnapshot, Position, Side
from rebalancer.orders import Fill

NOW = datetime(2026, 11, 20, 15, 0, tzinfo=UTC)
OPTION = Position("SPY", Decimal(2), security_type="OPT")
BEFORE = AccountSnapshot(
    "DU1",
    NOW,
    net_liquidation=Decimal(2000),
    cash=Decimal(500),
    settled_cash=None,
    available_funds=None,
    positions=(Position("SPY", Decimal("10.5")), OPTION),
)


def fill(execution: str, symbol: str, side: Side, quantity: int, price: str) -> Fill:
    shares = Decimal(quantity)
    return Fill(f"ref-{symbol}", execution, NOW, "DU1", symbol, side, shares, Decimal(price), shares, 1)


def test_a_sale_brings_its_price_less_its_commission() -> None:
    after = after_fills(BEFORE, [fill("e1", "SPY", Side.SELL, 4, "100.25")], {"e1": Decimal("1.10")}, Decimal(9))
    assert after.cash == Decimal("899.90")
    assert Position("SPY", Decimal("6.5")) in after.positions


def test_a_commission_that_is_not_known_yet_is_assumed() -> None:
    after = after_fills(BEFORE, [fill("e1", "SPY", Side.SELL, 4, "100")], {}, Decimal(9))
    assert after.cash == 500 + 400 - 9


def test_a_new_name_appears_and_a_sold_out_one_vanishes() -> None:
    fills = [fill("e1", "GLD", Side.BUY, 2, "200"), fill("e2", "SPY", Side.SELL, 10, "100")]
    after = after_fills(BEFORE, fills, {"e1": Decimal(0), "e2": Decimal(0)}, Decimal(9))
    assert {position.symbol: position.quantity for position in after.positions if position is not OPTION} == {
        "SPY": Decimal("0.5"),
        "GLD": Decimal(2),
    }


def test_what_is_never_traded_stays_as_it_is() -> None:
    after = after_fills(BEFORE, [fill("e1", "SPY", Side.SELL, 1, "100")], {}, Decimal(0))
    assert OPTION in after.positions
