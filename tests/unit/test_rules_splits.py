"""Splits that are booked by half."""

from __future__ import annotations

from decimal import Decimal

import pytest

from rebalancer.domain.account_history import Seen
from rebalancer.domain.errors import Refused
from rebalancer.domain.portfolio import Position
from rebalancer.risk.splits import check_splits
from tests.unit.test_planning import account, quotes

CASH = "1000"


def judged(shares: str, price: str, cash: str = CASH) -> None:
    seen = Seen({"A": (Decimal(100), Decimal(200))}, Decimal(CASH))
    check_splits(seen, account({"A": shares}, cash, "100000"), quotes(A=price))


@pytest.mark.parametrize(
    ("shares", "price"),
    [
        ("100", "100"),  # 2:1, shares still to come
        ("100", "102"),
        ("100", "134"),  # 3:2
        ("100", "299"),  # 2:3
        ("100", "50"),  # 4:1
        ("200", "200"),  # 2:1, price still to come
        ("150", "201"),
    ],
)
def test_half_a_split_is_refused(shares: str, price: str) -> None:
    with pytest.raises(Refused, match="split_suspected") as caught:
        judged(shares, price)
    assert list(caught.value.numbers) == ["A"]


@pytest.mark.parametrize(
    ("shares", "price", "cash"),
    [
        ("100", "200", CASH),
        ("100", "230", CASH),  # a market that moves
        ("100", "160", CASH),
        ("200", "100", CASH),  # a whole split
        ("150", "133.30", "1040"),  # a fraction paid in cash
        ("200", "201", "-19100"),  # bought by hand
        ("50", "200", "11000"),  # sold by hand
        ("130", "200", CASH),
    ],
)
def test_everything_else_passes(shares: str, price: str, cash: str) -> None:
    judged(shares, price, cash)


def test_what_was_not_seen_before_or_cannot_be_judged_passes() -> None:
    seen = Seen({"A": (Decimal(100), Decimal(200)), "S": (Decimal(-100), Decimal(200))}, Decimal(CASH))
    prices = quotes(A="100", B="50", S="100")
    check_splits(seen, account({"B": "100"}, CASH, "100000"), prices)
    check_splits(seen, account({"A": "100"}, CASH, "100000"), quotes(B="50"))
    check_splits(seen, account({"S": "-100"}, CASH, "100000"), prices)
    check_splits(seen, account({"S": "100"}, CASH, "100000"), prices)
    check_splits(seen, account({"A": "-100"}, CASH, "100000"), prices)
    option = Position("A", Decimal(100), security_type="OPT")
    check_splits(seen, account({}, CASH, "100000", (option,)), prices)
    with pytest.raises(Refused, match="split_suspected"):
        check_splits(seen, account({"B": "100", "A": "100"}, CASH, "100000"), prices)
