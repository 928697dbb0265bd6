"""What the accounts file and the settings say of order styles."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from rebalancer.config.accounts_file import Accounts, load_accounts
from rebalancer.config.settings import Settings
from rebalancer.domain.errors import ConfigurationError
from rebalancer.domain.order_styles import OrderStyle, StyleRules
from rebalancer.usecases.policy import StylePolicy, style_rules

ACCOUNTS = """
accounts:
  - {account_id: DU1, type: paper, strategy_name: mine}
  - {account_id: DU2, type: paper, strategy_name: mine, order_style: midprice}
"""

Loaded = Callable[[str], Accounts]


@pytest.fixture
def loaded(tmp_path: Path) -> Loaded:
    def load(text: str) -> Accounts:
        path = tmp_path / "accounts.yaml"
        path.write_text(f"{ACCOUNTS}{text}\n", encoding="utf-8")
        return load_accounts(path, {})

    return load


def test_an_account_has_its_own_style_beside_those_of_symbols_and_sizes(loaded: Loaded) -> None:
    accounts = loaded("order_styles: {symbols: {BRK.B: walk}, over_usd: {50000: vwap, 1000: adaptive-patient}}")
    symbols = {"BRK B": OrderStyle.WALK}
    sizes = {Decimal(50_000): OrderStyle.VWAP, Decimal(1000): OrderStyle.ADAPTIVE_PATIENT}
    assert [account.rules.styles for account in accounts] == [
        StyleRules(symbols=symbols, over_usd=sizes),
        StyleRules(account=OrderStyle.MIDPRICE, symbols=symbols, over_usd=sizes),
    ]


def test_without_the_key_no_order_has_a_style(loaded: Loaded) -> None:
    first, second = loaded("")
    assert not first.rules.styles.any
    assert second.rules.styles == StyleRules(account=OrderStyle.MIDPRICE)
    settings = Settings.from_flat()
    assert StylePolicy.of(settings, first).further_rounds == 0
    assert StylePolicy.of(settings, second).further_rounds == 6, "the style, and five steps"


def test_the_settings_say_what_is_usual(loaded: Loaded) -> None:
    first, second = loaded("")
    settings = Settings.from_flat({"order_style": "Adaptive-Normal"})
    assert style_rules(settings, first) == StyleRules(usual=OrderStyle.ADAPTIVE_NORMAL)
    assert style_rules(settings, second) == StyleRules(OrderStyle.ADAPTIVE_NORMAL, OrderStyle.MIDPRICE)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[vwap]", "order_styles has to be a mapping with symbols and over_usd"),
        ("{symbol: {}}", "order_styles.symbol is unknown: did you mean symbols?"),
        ("{symbols: [BIL]}", "order_styles.symbols has to be a mapping to order styles"),
        ("{symbols: {bil: walk}}", "order_styles.symbols.bil is no ticker symbol in capitals"),
        (
            "{symbols: {BIL: midprise}}",
            "symbols.BIL = 'midprise' is no order style: did you mean midprice?",
        ),
        ("{symbols: {BIL: 12}}", "order_styles.symbols.BIL = 12 is no order style: known are"),
        ("{symbols: {BRK.B: walk, BRK B: vwap}}", "order_styles.symbols.BRK B is there twice under two spellings"),
        ("{over_usd: {many: vwap}}", "order_styles.over_usd.many has to be a whole number of USD above 0"),
        ("{over_usd: {0: vwap}}", "order_styles.over_usd.0 has to be a whole number of USD above 0"),
        ("{over_usd: {5000: [vwap]}}", "order_styles.over_usd.5000 = "),
    ],
)
def test_what_is_wrong_is_told_with_its_place(loaded: Loaded, text: str, problem: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        loaded(f"order_styles: {text}")
    (told,) = refused.value.problems
    assert problem in told
    assert "accounts.yaml:5: order_styles" in told


def test_an_account_names_a_style_that_there_is(loaded: Loaded) -> None:
    with pytest.raises(
        ConfigurationError, match=r"accounts\[2\].order_style = 'fast' is refused: use market or limit or"
    ):
        loaded("  - {account_id: DU3, type: paper, strategy_name: mine, order_style: fast}")


@pytest.mark.parametrize(
    ("given", "contradiction"),
    [
        (
            {"order_style": "moc", "extended_hours_enabled": True, "order_type": "LMT"},
            "with it ORDER_STYLE = moc has to be limit or walk",
        ),
        ({"order_style": "vwap"}, "raise TASK_SOFT_TIME_LIMIT_S to 1920 at least"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(given: dict[str, object], contradiction: str) -> None:
    with pytest.raises(ValueError, match=contradiction):
        Settings.from_flat(given)


@pytest.mark.parametrize(
    "given",
    [
        {"order_style": "walk", "extended_hours_enabled": True, "order_type": "LMT"},
        {"order_style": "vwap", "task_soft_time_limit_s": 1920},
        {"order_style": "vwap", "vwap_minutes": 18},
    ],
)
def test_settings_that_fit_are_taken(given: dict[str, object]) -> None:
    assert Settings.from_flat(given).styles.order_style == given["order_style"]
