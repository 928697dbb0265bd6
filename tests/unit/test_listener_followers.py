"""Whom signals are for, as the accounts file has it at that moment."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from listener.followers import Roster
from rebalancer.config.settings import Settings
from rebalancer.services import Services
from tests.conftest import ROOT


def write(path: Path, *accounts: str) -> None:
    rows = [{"account_id": name, "type": "paper", "strategy_name": "a"} for name in accounts]
    path.write_text(yaml.safe_dump({"accounts": rows}))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "accounts.yaml"
    write(path, "DU1")
    return path


@pytest.fixture
def roster(path: Path) -> Roster:
    sets = ROOT / "replacement-sets.yaml"
    return Roster(Services.of(Settings.from_flat({"accounts_file": path, "replacement_sets_file": sets})))


def names(roster: Roster) -> list[str]:
    return [one.account_id for one in roster.addressees()["a"]]


def test_accounts_are_grouped_once_for_each_state_of_the_file(roster: Roster, path: Path) -> None:
    grouped = roster.addressees()
    assert roster.addressees() is grouped
    write(path, "DU1", "DU2")
    assert names(roster) == ["DU1", "DU2"]
    assert roster.addressees() is roster.addressees() is not grouped


def test_a_file_that_cannot_be_trusted_changes_nothing(roster: Roster, path: Path) -> None:
    grouped = roster.addressees()
    path.write_text("accounts: [")
    assert roster.addressees() is grouped
