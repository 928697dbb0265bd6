"""Replacing symbols: the worked example and the corners."""

from __future__ import annotations

from decimal import Context, Decimal, localcontext

import pytest

from rebalancer.domain.errors import Refused
from rebalancer.domain.money import ZERO
from rebalancer.domain.portfolio import Replacement, TargetWeight
from rebalancer.planning import replacements

IRA = [
    Replacement("DBC", "PDBC", Decimal(1)),
    Replacement("UVXY", "VXX", Decimal("1.5")),
    Replacement("SVXY", "USMV", Decimal("0.5")),
]


def apply(weights: dict[str, str], rules: list[Replacement] | None = None) -> dict[str, Decimal]:
    entries = [TargetWeight(symbol, Decimal(weight)) for symbol, weight in weights.items()]
    return {entry.symbol: entry.weight for entry in replacements.apply(entries, IRA if rules is None else rules)}


def test_worked_example() -> None:
    """UVXY becomes 0.3 VXX; the excess of 0.1 comes from SPY, since native VXX counts as replaced."""
    assert apply({"SPY": "0.6", "UVXY": "0.2", "VXX": "0.2"}) == {"SPY": Decimal("0.5"), "VXX": Decimal("0.5")}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param({"SPY": "1"}, {"SPY": "1"}, id="no rule applies"),
        pytest.param({"DBC": "0.4", "SPY": "0.6"}, {"PDBC": "0.4", "SPY": "0.6"}, id="scale 1"),
        pytest.param({"SVXY": "0.4", "SPY": "0.6"}, {"USMV": "0.2", "SPY": "0.6"}, id="scale below 1 leaves cash"),
        pytest.param({"SPY": "0.5"}, {"SPY": "0.5"}, id="less than 100 % is never inflated"),
        pytest.param({"UVXY": "1"}, {"VXX": "1"}, id="nothing to take the excess from"),
        pytest.param(
            {"UVXY": "0.4", "A": "0.1", "B": "0.1"}, {"VXX": "0.6", "A": "0", "B": "0"}, id="excess takes all"
        ),
        pytest.param(
            {"UVXY": "0.2", "A": "0.6", "B": "0.2"}, {"VXX": "0.3", "A": "0.525", "B": "0.175"}, id="pro rata"
        ),
    ],
)
def test_corner(given: dict[str, str], expected: dict[str, str]) -> None:
    assert apply(given) == {symbol: Decimal(weight) for symbol, weight in expected.items()}


def test_others_keep_a_tenth_when_the_excess_is_more_than_they_have() -> None:
    replaced = apply({"UVXY": "0.9", "SPY": "0.1"})
    assert replaced["SPY"] / replaced["VXX"] == pytest.approx(Decimal("0.01") / Decimal("1.35"))
    assert Decimal("0.999999999") < sum(replaced.values()) <= 1


def test_from_others_without_weight_nothing_is_taken() -> None:
    assert apply({"UVXY": "0.5", "A": "0"}) == {"VXX": Decimal("0.5"), "A": ZERO}


def test_replacements_are_not_chained() -> None:
    rules = [Replacement("A", "B", Decimal(1)), Replacement("B", "C", Decimal(1))]
    assert apply({"A": "0.4", "B": "0.6"}, rules) == {"B": Decimal("0.4"), "C": Decimal("0.6")}


@pytest.mark.parametrize("scale", ["-1", "NaN", "Infinity"])
def test_a_scale_that_is_no_amount_is_refused(scale: str) -> None:
    with pytest.raises(Refused, match="replacement_scale"):
        apply({"A": "1"}, [Replacement("A", "B", Decimal(scale))])


def test_scaled_weights_are_rounded_down_to_the_quantum() -> None:
    """Two thirds of 0.4 have no end: rounded up anywhere, the total would be too large."""
    weights = apply({"UVXY": "0.4", "A": "0.2", "B": "0.4"})
    assert weights == {"VXX": Decimal("0.6"), "A": Decimal("0.133333333333"), "B": Decimal("0.266666666666")}


def test_weights_that_need_no_room_keep_every_digit() -> None:
    assert apply({"DBC": "0.4", "SPY": "0.1234567890123456"})["SPY"] == Decimal("0.1234567890123456")


def test_the_context_of_the_caller_does_not_matter() -> None:
    with localcontext(Context(prec=3)):
        assert apply({"DBC": "0.12345", "PDBC": "0.12345"}) == {"PDBC": Decimal("0.2469")}
