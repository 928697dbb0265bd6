"""Positions that the broker's list lacks while its equity counts them."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import pytest

from rebalancer.domain.account_history import Seen
from rebalancer.domain.errors import Refused
from rebalancer.domain.portfolio import AccountSnapshot, Position
from rebalancer.risk.missing_positions import check_missing
from tests.unit.test_planning import account, quotes

SEEN = Seen(
    {"A": (Decimal(100), Decimal(100)), "B": (Decimal(5), Decimal(100))},
    cash=Decimal(1000),
    untold=Decimal(30_000),
    unpriced={"H": Decimal(300)},
)
"""100 A, 5 B and 1,000 USD; 300 H on hold, worth about 30,000; in all 41,500."""
HOLD = Position("H", Decimal(300))


def now(held: dict[str, str], cash: str, equity: str, *others: Position) -> AccountSnapshot:
    return account(held, cash, equity, others or (HOLD,))


def check(snapshot: AccountSnapshot, price: str = "100") -> None:
    check_missing(SEEN, snapshot, quotes(A=price, B="100"))


def test_shares_listed_elsewhere_under_the_same_ticker_stand_for_nothing() -> None:
    """Recorded without a price, beside the ones that are gone."""
    elsewhere = Position("A", Decimal(300), foreign=True)
    seen = replace(SEEN, unpriced={"A": Decimal(300)})
    with pytest.raises(Refused, match="positions_missing"):
        check_missing(seen, now({"B": "5"}, "1000", "41500", elsewhere), quotes(A="100", B="100"))


@pytest.mark.parametrize(
    ("held", "equity", "which"),
    [
        ({"B": "5"}, "41500", ["A"]),
        ({"B": "5"}, "36800", ["A"]),  # the hold has lost 4,700 meanwhile
        ({"A": "40", "B": "5"}, "41500", ["A"]),
        ({"A": "100"}, "41500", ["B"]),  # 500 of 41,500 USD
        ({}, "41500", ["A", "B"]),
    ],
)
def test_what_the_list_lacks_and_the_equity_has_is_refused(held: dict[str, str], equity: str, which: list[str]) -> None:
    with pytest.raises(Refused, match="positions_missing") as caught:
        check(now(held, "1000", equity))
    assert sorted(caught.value.numbers) == which


@pytest.mark.parametrize(
    "snapshot",
    [
        now({"A": "100", "B": "5"}, "1000", "41500"),
        now({"A": "100", "B": "5"}, "1000", "52000"),  # the hold has risen
        now({"B": "5"}, "10990", "41490"),  # sold by hand
        now({"B": "5"}, "1000", "31500"),  # moved to another broker
        now({"A": "200", "B": "5"}, "-9000", "41500"),  # bought by hand
        now({"B": "5"}, "1000", "41500", replace(HOLD, quantity=Decimal(400))),  # sold, and more of the hold bought
        now({"B": "5"}, "1000", "41500", HOLD, Position("NEW", Decimal(100))),  # renamed, and without a price yet
        now({"B": "5"}, "1000", "41500", HOLD, Position("A", Decimal(1), security_type="OPT")),  # and an option bought
        replace(now({"B": "5"}, "1000", "41500"), other_cash=Decimal(10_000)),  # sold, and the dollars changed
    ],
)
def test_everything_else_passes(snapshot: AccountSnapshot) -> None:
    check(snapshot)


def test_a_price_that_moves_hides_nothing_and_invents_nothing() -> None:
    check(now({"A": "100", "B": "5"}, "1000", "36500"), price="50")
    with pytest.raises(Refused, match="positions_missing"):
        check(now({"B": "5"}, "1000", "36500"), price="50")
