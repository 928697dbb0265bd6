"""Purchases of many names, of which no search can prove the best: as good as they have ever been."""

from __future__ import annotations

import random
from decimal import Decimal

import pytest

from rebalancer.domain.money import ZERO
from rebalancer.domain.portfolio import FeeSchedule
from rebalancer.planning.whole_shares import Want, choose, outlay

FEES = FeeSchedule()


def basket(seed: int) -> tuple[list[Want], Decimal]:
    """8 to 14 names, and cash for a part of them."""
    dice = random.Random(seed)
    wants = []
    for number in range(dice.randint(8, 14)):
        shortfall, price = Decimal(dice.randint(100, 9000)) / 100, Decimal(dice.randint(500, 90_000)) / 100
        wants.append(Want(chr(65 + number), shortfall, price, price))
    part = Decimal(dice.choice(["0.2", "0.5", "0.9", "0.98"]))
    return wants, (part * sum((want.shortfall * want.price for want in wants), ZERO)).quantize(Decimal("0.01"))


@pytest.mark.parametrize(("seed", "gap"), [(0, "1.22"), (16, "1.83"), (20, "1.02"), (21, "1.47")])
def test_what_a_better_choice_could_still_remove_is_within_two_dollars(seed: int, gap: str) -> None:
    """Without the pairs, these four leave 1.48, 1.98, 2.37 and 1.81."""
    wants, cash = basket(seed)
    chosen = choose(wants, cash, FEES)
    spent = sum((outlay(chosen.quantities[want.symbol], want, FEES, ZERO) for want in wants), ZERO)
    assert spent <= cash
    assert 0 < chosen.gap <= Decimal(gap)
