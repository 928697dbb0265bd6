"""What the accounts file says of a strategy."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from rebalancer.config.accounts_file import Accounts, load_accounts
from rebalancer.domain.errors import ConfigurationError
from rebalancer.domain.strategy_holds import CanaryTerms, HoldKind, StrategyGuard
from rebalancer.domain.units import Ratio

ACCOUNTS = """
accounts:
  - {account_id: DU1, type: paper, strategy_name: mine}
  - {account_id: DU2, type: paper, strategies: [{name: mine, weight: 60}, {name: other, weight: 40}]}
"""

Loaded = Callable[[str], Accounts]


@pytest.fixture
def loaded(tmp_path: Path) -> Loaded:
    def load(text: str) -> Accounts:
        path = tmp_path / "accounts.yaml"
        path.write_text(f"{ACCOUNTS}{text}\n", encoding="utf-8")
        return load_accounts(path, {})

    return load


def test_a_canary_with_its_defaults_or_its_own_terms(loaded: Loaded) -> None:
    guard = loaded("strategies: {mine: {canary: {}}}").guards["mine"]
    assert guard == StrategyGuard(CanaryTerms(Ratio(Decimal("0.005")), timedelta(hours=1)))
    guard = loaded("strategies: {mine: {canary: {max_slippage_bps: 20, within_minutes: 90}}}").guards["mine"]
    assert guard.canary == CanaryTerms(Ratio(Decimal("0.002")), timedelta(minutes=90))
    assert [guard.has(kind) for kind in HoldKind] == [True, False]


def test_each_account_has_the_guards_of_the_strategies_that_it_follows(loaded: Loaded) -> None:
    accounts = loaded("strategies: {mine: {canary: {}}, other: {breaker_accounts: 2}}")
    assert [sorted(account.guards) for account in accounts] == [["mine"], ["mine", "other"]]
    assert accounts.guards["other"] == StrategyGuard(breaker_accounts=2)


def test_without_the_key_nothing_is_guarded(loaded: Loaded) -> None:
    accounts = loaded("")
    assert (accounts.guards, [account.guards for account in accounts]) == ({}, [{}, {}])


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{min: {canary: {}}}", "strategies.min is followed by no account: did you mean mine?"),
        ("[mine]", "has to map strategies to what guards them"),
        ("{mine: {canary: true}}", "strategies.mine.canary"),
        ("{mine: {canary: {slippage: 3}}}", "slippage is unknown"),
        ("{mine: {canary: {within_minutes: 0}}}", "use 1 to 1440 (default 60)"),
        ("{mine: {breaker_accounts: 1}}", "use 2 to 1000"),
        ("{mine: {breaker_accounts: 2.5}}", "breaker_accounts"),
        ("{mine: {breakers: 2}}", "did you mean breaker_accounts?"),
    ],
)
def test_what_is_wrong_is_refused_with_its_line(loaded: Loaded, text: str, problem: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        loaded(f"strategies: {text}")
    (told,) = refused.value.problems
    assert problem in told
    assert "accounts.yaml:5: strategies" in told


def test_a_strategy_is_not_missed_while_its_account_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "accounts.yaml"
    path.write_text(
        f"{ACCOUNTS}  - {{account_id: DU3, strategy_name: third}}\nstrategies: {{third: {{canary: {{}}}}}}\n"
    )
    with pytest.raises(ConfigurationError) as refused:
        load_accounts(path, {})
    (told,) = refused.value.problems
    assert "accounts[2].type" in told
