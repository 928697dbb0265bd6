"""Accounts that follow several strategies: what may be written, whom signals reach, how an event is told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from rebalancer.config.accounts_file import Accounts, load_accounts
from rebalancer.domain.accounts import StaleMember, TradingMode
from rebalancer.domain.errors import ConfigurationError
from rebalancer.planning.blends import member_lines

Written = Callable[[str], Accounts]
TWO = "strategies: [{name: b, weight: 40}, {name: a, weight: 60}]"


@pytest.fixture
def written(tmp_path: Path) -> Written:
    def read(text: str) -> Accounts:
        path = tmp_path / "accounts.yaml"
        path.write_text(f"accounts: [{{account_id: DU1, type: paper, {text}}}]", encoding="utf-8")
        return load_accounts(path, {})

    return read


def test_an_account_follows_each_of_its_strategies(written: Written) -> None:
    accounts = written(TWO)
    account = accounts.get("DU1")
    assert account.strategy == "a 60 + b 40"
    assert [(one.strategy, str(one.share)) for one in account.members] == [("b", "0.4"), ("a", "0.6")]
    assert accounts.strategies(TradingMode.PAPER) == accounts.channels(TradingMode.PAPER) == ("a", "b")
    for strategy in "ab":
        assert accounts.following(strategy, TradingMode.PAPER) == (account,)
    assert accounts.following("a 60 + b 40", TradingMode.PAPER) == ()


def test_a_stale_member_stops_the_run_unless_it_is_to_be_frozen(written: Written) -> None:
    assert written(TWO).get("DU1").rules.stale_member is StaleMember.REFUSE
    assert written(f"{TWO}, stale_member: freeze").get("DU1").rules.stale_member is StaleMember.FREEZE


def test_the_rest_is_cash_where_that_is_allowed(written: Written) -> None:
    account = written("allow_cash_share: true, strategies: [{name: a, weight: 12.5}]").get("DU1")
    assert account.strategy == "a 12.5"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("strategies: [{name: a, weight: 60}, {name: b, weight: 30.5}]", "sum to 90.5: make it 100, or set allow_cash"),
        ("strategies: [{name: a, weight: 60}, {name: b, weight: 60}]", "sum to 120: make it 100"),
        ("allow_cash_share: true, strategies: [{name: a, weight: 60}, {name: b, weight: 60}]", "sum to 120"),
        ("strategies: [{name: a, weight: 60}, {name: a, weight: 40}]", "has a twice: write each name once"),
        (f"strategy_name: c, {TWO}", "strategies is there beside strategy_name: keep one"),
        ("enabled: true", "strategy_name is missing: use a letter or digit"),
        ("strategy_name: null", "strategies is missing, and so is strategy_name: write one of them"),
        ("strategies: []", "has to be a list of mappings with name and weight"),
        ("strategies: [a, b]", "has to be a list of mappings with name and weight"),
        ("strategies: {a: 60, b: 40}", "has to be a list of mappings with name and weight"),
        ("strategies: [{name: a, weight: 100, hold: true}]", "has to be a list of mappings with name and weight"),
        ("strategies: [{name: a b, weight: 100}]", "has the name a b: use a letter or digit"),
        ("strategies: [{name: 1, weight: 100}]", "has the name 1: use a letter or digit"),
        ("strategies: [{name: a, weight: 0}, {name: b, weight: 100}]", "has the weight 0 for a: use more than 0"),
        ("strategies: [{name: a, weight: .nan}]", "has the weight .nan for a"),
        ("strategies: [{name: a, weight: 60%}]", "has the weight 60% for a"),
        ("strategy_name: a, stale_member: freeze", "stale_member is for accounts with strategies: remove it"),
        (f"{TWO}, stale_member: keep", "stale_member = 'keep' is refused: use refuse or freeze"),
    ],
)
def test_what_is_no_blend_is_refused_by_name(written: Written, text: str, problem: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        written(text)
    (found,) = refused.value.problems
    assert problem in found


def test_an_event_tells_each_member_and_what_it_moved() -> None:
    one = {"as_of": "2026-11-23", "frozen": None}
    members = {"b": {**one, "share": "0.4", "frozen": "it is old"}, "a": {**one, "share": "0.6", "as_of": None}}
    moved = {"a": {"GLD": "-0.06", "SPY": "0.06"}, "b": {}, "c": {"TLT": "-0.5"}}
    assert list(member_lines({"members": members, "moved": moved})) == [
        ("a, 60.0 %", "as of an unknown day; moved GLD -6.0 %, SPY +6.0 % of the account"),
        ("b, 40.0 %", "as of 2026-11-23; as at the last rebalance, since it is old; moved nothing"),
        ("c, no longer a member", "moved TLT -50.0 % of the account"),
    ]
    assert next(iter(member_lines({"members": members}))) == ("a, 60.0 %", "as of an unknown day")
    assert list(member_lines({"strategy": "a", "weights": {}})) == []
