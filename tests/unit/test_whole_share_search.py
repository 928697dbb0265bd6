"""The search for the best purchase, against trying everything."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import product

import pytest

from rebalancer.planning.whole_shares.ladders import Ladder, total_cost
from rebalancer.planning.whole_shares.relaxation import relax
from rebalancer.planning.whole_shares.search import search


def problem(seed: int, names: int, most: int) -> tuple[list[Ladder], int]:
    """Names with and without fees, and cash for a part of them."""
    dice = random.Random(seed)
    ladders = []
    for _ in range(names):
        cost, minimum = dice.randint(20, 200), dice.choice([0, 0, 10, 35])
        value = cost - dice.choice([0, 0, 1, cost // 20])
        last, rising, cap = dice.randint(1, value), dice.choice([0, 1]), dice.choice([2, 1000])
        ladders.append(Ladder(dice.randint(1, most), cost, value, last, rising, minimum, cap))
    whole = total_cost(ladders, [ladder.wanted for ladder in ladders])
    return ladders, dice.randint(1, whole - 1)


def loss(ladders: Sequence[Ladder], quantities: Sequence[int]) -> int:
    return sum(ladder.loss(shares) for ladder, shares in zip(ladders, quantities, strict=True))


def least_loss(ladders: Sequence[Ladder], cash: int) -> int:
    everything = product(*(range(ladder.wanted + 1) for ladder in ladders))
    return min(loss(ladders, each) for each in everything if total_cost(ladders, each) <= cash)


@pytest.mark.parametrize("block", range(10))
def test_of_a_few_names_the_best_is_found_and_proven(block: int) -> None:
    for seed in range(10 * block, 10 * block + 10):
        ladders, cash = problem(seed, names=4, most=3)
        found, gap = search(ladders, cash, relax(ladders, cash))
        assert total_cost(ladders, found) <= cash
        assert (loss(ladders, found), gap) == (least_loss(ladders, cash), 0)
