"""Scenario files: what is shipped, and how mistakes are told."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from rebalancer.domain.errors import ConfigurationError
from sandbox.gateway.scenario import SCENARIOS, load_scenario

TARGETS = {"EDC": ".2141", "QLD": ".1779", "QQQ": ".141", "BTAL": ".2817", "SPXL": ".0368", "TQQQ": ".1475"}


def holdings(account: str) -> dict[str, Decimal]:
    setup = load_scenario("default")
    return {symbol: held.quantity for symbol, held in setup.accounts[account].positions.items()}


def equity(account: str) -> Decimal:
    setup = load_scenario("default")
    value = sum(quantity * setup.instruments[symbol].price for symbol, quantity in holdings(account).items())
    return setup.accounts[account].cash + value


@pytest.mark.parametrize("path", sorted(SCENARIOS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_scenario_is_valid(path: Path) -> None:
    assert load_scenario(path).accounts


def test_the_default_accounts_are_what_the_demo_needs() -> None:
    setup = load_scenario("default")
    assert list(setup.accounts) == [f"DU100000{number}" for number in range(1, 8)]
    assert all(25_000 < equity(account) < 1_100_000 for account in setup.accounts)
    assert holdings("DU1000001") == {}
    assert not holdings("DU1000002").keys() & TARGETS.keys()
    assert setup.accounts["DU1000002"].cash < 1000
    assert setup.accounts["DU1000003"].type == "IRA"
    assert holdings("DU1000005").keys() == TARGETS.keys()
    assert any(quantity % 1 for quantity in holdings("DU1000006").values())
    assert len(holdings("DU1000007").keys() - TARGETS.keys()) == 2


def test_the_fourth_account_is_within_one_share_of_every_target() -> None:
    prices = load_scenario("default").instruments
    for symbol, weight in TARGETS.items():
        wanted = Decimal(weight) * equity("DU1000004") * Decimal("0.995") / prices[symbol].price
        assert abs(holdings("DU1000004")[symbol] - wanted) < 1


def test_the_fifth_account_has_two_targets_too_many_and_four_too_few() -> None:
    prices = load_scenario("default").instruments
    drifts = {
        symbol: holdings("DU1000005")[symbol] * prices[symbol].price / equity("DU1000005") - Decimal(weight)
        for symbol, weight in TARGETS.items()
    }
    assert sum(drift > Decimal("0.01") for drift in drifts.values()) == 2
    assert sum(drift < Decimal("-0.01") for drift in drifts.values()) == 4


@pytest.mark.parametrize(
    ("overrides", "parts"),
    [
        ({"fils": {}}, ["fils is unknown", "docs/sandbox.md"]),
        ({"market": {"mode": "sometimes"}}, ["market.mode", "'open', 'closed' or 'calendar'"]),
        ({"accounts": {"DU1000001": {"cash": None}}}, ["accounts.DU1000001.cash", "required"]),
        ({"accounts": {"DU1000001": {"positions": {"ZZZ": 1}}}}, ["ZZZ", "instruments", "add it there"]),
        ({"instruments": {"SPY": {"con_id": 265598}}}, ["con_id 265598", "make it unique"]),
        ({"fills": {"by_symbol": {"ZZZ": {"mode": "never"}}}}, ["fills.by_symbol names ZZZ"]),
        ({"fills": {"fraction": 1.5}}, ["fills.fraction", "less than or equal to 1"]),
    ],
)
def test_mistakes_are_told_with_file_key_and_remedy(overrides: dict[str, Any], parts: list[str]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_scenario("default", overrides)
    assert "default.yaml" in str(caught.value)
    for part in parts:
        assert part in str(caught.value)


@pytest.mark.parametrize(("text", "part"), [("", "is empty"), ("- 1", "mapping"), ("a: [", "is not YAML")])
def test_files_that_are_no_mapping_are_refused(tmp_path: Path, text: str, part: str) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=part):
        load_scenario(path)


def test_a_missing_file_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"nowhere\.yaml"):
        load_scenario("nowhere")
