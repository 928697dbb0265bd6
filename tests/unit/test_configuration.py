"""Every problem of settings, accounts and replacement sets, in one report."""

from __future__ import annotations

from pathlib import Path

import pytest

from rebalancer.config.configuration import refuse_wrong_configuration
from rebalancer.config.settings import FIELDS, environment_names
from rebalancer.domain.errors import ConfigurationError

WRONG_ENV = """TRADNG_MODE=paper
ALLOCATIONS_TIMEOUT_S=500
IB_PORT=4001
EXTENDED_HOURS_ENABLED=true
NOTIFY_URLS=phone=ntfys://a-topic
NOTIFY_ZONE=Mars/Olympus
"""
WRONG_ACCOUNTS = """accounts:
  - {account_id: DU1, type: paper, strategy_name: s}
  - {account_id: DU1, type: paper, strategy_name: s, cash_reserve_percent: 50}
  - {account_id: U2, type: paper, strategy_name: s, enabled: maybe}
  - {account_id: DU3, type: paper, strategy_name: 7, replacement_set: irra}
  - {account_id: DU4, type: paper, notify: {to: [phne]}, name: Ann}
  - {account_id: DU5, type: paper, strategy_name: s, cash_reserve_usd: 5, cash_reserve_percent: 1, hold: x, name: Ann}
  - {account_id: DU6, type: paper, strategy_name: s, enabled: true, enabled: false}
"""
WRONG_SETS = """ira:
  - {source: UVXY, target: VXX, scale: 0}
  - {source: SVXY, target: SVXY, scale: 1}
"""
EVERY = (
    ".env:1: TRADNG_MODE is unknown",
    ".env:2: ALLOCATIONS_TIMEOUT_S = '500' is refused",
    "IB_PORT = 4001 is a port of the other mode",
    "EXTENDED_HOURS_ENABLED = true needs ORDER_TYPE = LMT",
    "NOTIFY_ZONE = 'Mars/Olympus' is no time zone",
    "accounts.yaml:3: accounts[1].account_id = DU1 is there twice",
    "accounts.yaml:3: accounts[1].cash_reserve_percent = 50 is refused",
    "accounts.yaml:4: accounts[2].account_id = U2 is a live account",
    "accounts.yaml:4: accounts[2].enabled = 'maybe' is refused",
    "accounts.yaml:5: accounts[3].replacement_set = 'irra' is unknown: did you mean ira?",
    "accounts.yaml:5: accounts[3].strategy_name = 7 is refused",
    "accounts.yaml:6: accounts[4].strategy_name is missing",
    "accounts.yaml:7: accounts[5] sets the reserve twice",
    "accounts.yaml:7: accounts[5].hold has to be a list",
    "accounts.yaml:7: accounts[5].name = 'Ann' is there twice",
    "accounts.yaml:8: accounts[6].enabled was set before in line 8",
    "replacement-sets.yaml:2: ira[0].scale = 0 is refused",
    "replacement-sets.yaml:3: ira[1] replaces SVXY by itself",
)


@pytest.fixture(autouse=True)
def _bare_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (known for field in FIELDS for known in environment_names(field)):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("ENV_FILE", raising=False)
    monkeypatch.chdir(tmp_path)


def _problems() -> list[str]:
    with pytest.raises(ConfigurationError) as refused:
        refuse_wrong_configuration()
    return refused.value.problems


def _written(env: str = WRONG_ENV) -> None:
    Path(".env").write_text(env)
    Path("accounts.yaml").write_text(WRONG_ACCOUNTS)
    Path("replacement-sets.yaml").write_text(WRONG_SETS)


def test_every_problem_of_every_file_is_told_at_once() -> None:
    _written()
    problems = _problems()
    assert [expected for expected in EVERY if not any(one.startswith(expected) for one in problems)] == []
    assert len(problems) == len(EVERY), "\n".join(problems)


def test_targets_are_checked_where_the_settings_say_which_there_are() -> None:
    _written("NOTIFY_URLS=phone=ntfys://a-topic\n")
    found = [one for one in _problems() if "phne" in one]
    assert found == ["accounts.yaml:6: accounts[4].notify.to names 'phne', which is unknown: did you mean phone?"]


def test_a_wrong_value_causes_no_problem_that_is_not_one() -> None:
    """With TRADING_MODE refused, nobody knows whether 4001 is right."""
    Path(".env").write_text("TRADING_MODE=lve\nIB_PORT=4001\n")
    Path("accounts.yaml").write_text("- {account_id: U1, notification: {channel: s}}\n")
    assert _problems() == [".env:1: TRADING_MODE = 'lve' is refused: use paper or live (default paper)"]


def test_a_file_that_cannot_be_read_does_not_hide_the_others() -> None:
    _written()
    Path("accounts.yaml").write_text("accounts: [\n")
    problems = _problems()
    assert any("is not YAML" in one for one in problems)
    assert any(one.startswith("replacement-sets.yaml:2") for one in problems)
    assert any(one.startswith(".env:2") for one in problems)


def test_sets_that_nobody_names_need_no_file() -> None:
    Path("accounts.yaml").write_text("accounts:\n  - {account_id: DU1, type: paper, strategy_name: s}\n")
    refuse_wrong_configuration()
    Path("accounts.yaml").write_text(
        "accounts:\n  - {account_id: DU1, type: paper, strategy_name: s, replacement_set: ira}\n"
    )
    assert _problems() == [
        "accounts.yaml:2: accounts[0].replacement_set = 'ira' is unknown: no replacement set is defined"
    ]
