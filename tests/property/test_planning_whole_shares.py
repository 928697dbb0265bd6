"""The chosen whole shares are the best that the cash allows, compared with trying everything."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal, localcontext
from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from rebalancer.domain.money import EXACT, HALF, ZERO, nearest_shares
from rebalancer.domain.portfolio import FeeSchedule
from rebalancer.planning.whole_shares import Want, choose, outlay
from tests.property.effort import examples
from tests.property.planning_worlds import FLAT_FEES, HIGH_FEES, NO_FEES, PRICES, decimals

fees_of = st.sampled_from([NO_FEES, FLAT_FEES, HIGH_FEES, FeeSchedule(), FeeSchedule(maximum_rate=Decimal("0.3"))])
kept_of = st.sampled_from([ZERO, Decimal("0.1")])


@st.composite
def wants_of(draw: st.DrawFn, most_names: int, most_shares: str) -> tuple[Want, ...]:
    wants = []
    for index in range(draw(st.integers(1, most_names))):
        value = draw(PRICES)
        spread = draw(st.sampled_from([ZERO, Decimal("0.01"), value / 50]))
        lot = draw(st.sampled_from([1, 1, 1, 2, 5]))
        shortfall = draw(decimals("0.51", most_shares, 3)) * lot
        wants.append(Want(chr(65 + index), shortfall, value, value + spread, lot))
    return tuple(wants)


def deviation(wants: Sequence[Want], quantities: Sequence[int]) -> Decimal:
    return sum(
        (want.value * abs(want.shortfall - n) for want, n in zip(wants, quantities, strict=True)),
        ZERO,
    )


def cost(wants: Sequence[Want], quantities: Sequence[int], fees: FeeSchedule, kept: Decimal) -> Decimal:
    return sum((outlay(n, want, fees, kept) for want, n in zip(wants, quantities, strict=True)), ZERO)


@given(wants_of(6, "3.9"), fees_of, kept_of, st.integers(0, 100))
def test_no_other_choice_leaves_less_deviation(
    wants: tuple[Want, ...], fees: FeeSchedule, kept: Decimal, percent: int
) -> None:
    with localcontext(EXACT):
        full = [nearest_shares(want.shortfall, want.lot) for want in wants]
        cash = cost(wants, full, fees, kept) * percent / 100
        chosen = choose(wants, cash, fees, kept)
        quantities = [chosen.quantities[want.symbol] for want in wants]
        assert chosen.gap == 0
        assert cost(wants, quantities, fees, kept) <= cash
        best = min(
            deviation(wants, other)
            for other in product(*(range(0, most + 1, want.lot) for want, most in zip(wants, full, strict=True)))
            if cost(wants, other, fees, kept) <= cash
        )
        assert deviation(wants, quantities) == best


@examples(30)
@given(wants_of(12, "90"), fees_of, kept_of, st.sampled_from(["0.05", "0.5", "0.95", "0.999"]))
def test_every_choice_is_affordable_maximal_and_honest_about_its_gap(
    wants: tuple[Want, ...], fees: FeeSchedule, kept: Decimal, part: str
) -> None:
    with localcontext(EXACT):
        full = [nearest_shares(want.shortfall, want.lot) for want in wants]
        cash = cost(wants, full, fees, kept) * Decimal(part)
        chosen = choose(wants, cash, fees, kept)
        quantities = [chosen.quantities[want.symbol] for want in wants]
        spent = cost(wants, quantities, fees, kept)
        assert spent <= cash
        assert 0 <= chosen.gap <= deviation(wants, quantities)
        for want, quantity, most in zip(wants, quantities, full, strict=True):
            assert 0 <= quantity <= most
            assert quantity % want.lot == 0
            more = outlay(quantity + want.lot, want, fees, kept) - outlay(quantity, want, fees, kept)
            assert quantity == most or spent + more > cash


@examples(30)
@given(wants_of(12, "30"), fees_of, st.sampled_from(["0.4", "0.98"]), st.randoms(use_true_random=False))
def test_the_choice_does_not_depend_on_the_order_of_wants(
    wants: tuple[Want, ...], fees: FeeSchedule, part: str, random: st.random.Random
) -> None:
    shuffled = list(wants)
    random.shuffle(shuffled)
    cash = cost(wants, [nearest_shares(want.shortfall, want.lot) for want in wants], fees, ZERO) * Decimal(part)
    assert choose(shuffled, cash, fees) == choose(wants, cash, fees)


@given(fees_of, st.integers(0, 2000), st.integers(0, 2000), decimals("0.05", "900", 2))
def test_fees_rise_with_quantity_and_two_orders_never_pay_less_than_one(
    fees: FeeSchedule, one: int, other: int, price: Decimal
) -> None:
    together = fees.estimate(one + other, price)
    assert fees.estimate(one, price) <= together <= fees.estimate(one, price) + fees.estimate(other, price)


def test_with_enough_cash_every_name_gets_its_nearest_whole_shares() -> None:
    wants = [Want("A", Decimal("2.5"), Decimal(10), Decimal(10)), Want("B", Decimal("2.51"), Decimal(10), Decimal(10))]
    assert choose(wants, Decimal(1000), NO_FEES).quantities == {"A": 2, "B": 3}


def test_with_negative_cash_nothing_is_bought() -> None:
    wants = [Want("A", HALF * 3, Decimal(10), Decimal(10))]
    assert choose(wants, Decimal(-1), NO_FEES).quantities == {"A": 0}
