"""Holdings that have changed though nobody here has traded them."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import pytest

from rebalancer.domain.account_history import Seen
from rebalancer.domain.portfolio import Position
from rebalancer.domain.units import Shares
from rebalancer.risk.corporate_actions import corporate_actions
from tests.unit.test_planning import account, quotes


def named(before: Mapping[str, tuple[str, str]], now: Mapping[str, str], **prices: str) -> tuple[str, ...]:
    """Shares and price by symbol before; shares now, at other prices."""
    seen = Seen({symbol: (Decimal(held), Decimal(at)) for symbol, (held, at) in before.items()}, Decimal(0))
    return corporate_actions(seen, account(now, "0", "1"), quotes(**prices))


def test_what_our_fills_explain_is_not_named() -> None:
    assert named({"A": ("100", "50")}, {"A": "100"}, A="80") == ()


@pytest.mark.parametrize(
    ("now", "price", "words"),
    [
        ("200", "100.5", "a split of 2 for 1"),
        ("150", "134", "a split of 3 for 2"),
        ("10", "1990", "a reverse split of 10 for 1"),
        ("200", "200", "a dividend in shares, a transfer, or a trade by hand"),
        ("103", "195", "a dividend in shares, a transfer, or a trade by hand"),
    ],
)
def test_a_number_that_has_changed_is_named_for_what_it_is(now: str, price: str, words: str) -> None:
    assert named({"A": ("100", "200")}, {"A": now}, A=price) == (f"A: 100 shares became {now} shares: {words}",)


def test_what_came_and_what_went_are_named() -> None:
    went, came = named({"OLD": ("30", "10")}, {"NEW": "15"}, NEW="20")
    assert went.startswith("OLD: 30 shares went that nobody sold here: a merger, a delisting")
    assert came.startswith("NEW: 15 shares came that nobody bought here: a spin-off, a merger")


def test_a_symbol_that_has_changed_is_neither_gone_nor_new() -> None:
    seen = Seen({"FB": (Decimal(30), Decimal(300))}, Decimal(0), contracts={107113386: "FB", 1: "OTHER"})
    held = Position("META", Shares(Decimal(30)), contract_id=107113386)
    said = "META was called FB: the symbol has changed, the contract has not"
    assert corporate_actions(seen, account({}, "0", "1", (held,)), quotes(META="300")) == (said,)


def test_nothing_is_said_of_what_has_no_price_now_or_had_none() -> None:
    seen = Seen({"A": (Decimal(5), Decimal(10))}, Decimal(0), unpriced={"B": Decimal(7)})
    assert corporate_actions(seen, account({"A": "6", "B": "7", "C": "8"}, "0", "1"), quotes(B="10")) == ()
