"""docs/sandbox.md names every key of a scenario, every request of the control port and every module."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from sandbox.gateway import scenario
from sandbox.gateway.control_port import ROUTES
from sandbox.gateway.fault_settings import Faults
from sandbox.gateway.fill_rules import FillRules

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docs" / "sandbox.md").read_text(encoding="utf-8")
PARTS: dict[str, type[BaseModel]] = {
    "gateway": scenario.Gateway,
    "market": scenario.Market,
    "quotes": scenario.Quotes,
    "fills": FillRules,
    "orders": scenario.Orders,
    "fees": scenario.Fees,
}


@pytest.mark.parametrize("key", [f"{part}.{name}" for part, model in PARTS.items() for name in model.model_fields])
def test_every_setting_is_documented(key: str) -> None:
    assert f"`{key}`" in TEXT


@pytest.mark.parametrize("name", [*scenario.Instrument.model_fields, *scenario.Account.model_fields])
def test_every_key_of_instruments_and_accounts_is_documented(name: str) -> None:
    assert f".{name}`" in TEXT


@pytest.mark.parametrize("name", [*Faults.model_fields])
def test_every_fault_is_documented(name: str) -> None:
    assert f"| `{name}: " in TEXT


def test_every_request_of_the_control_port_is_documented() -> None:
    for method, path in ROUTES:
        assert f"| `{method} {path}` |" in TEXT


def test_every_module_is_said_to_know_something_once() -> None:
    rows = TEXT.partition("### How it is built")[2].partition("\n## ")[0].splitlines()
    named = [name for row in rows if row.startswith("| `") for name in re.findall(r"`(\w+)`", row.split("|")[1])]
    modules = {path.stem for path in (ROOT / "sandbox" / "gateway").glob("*.py")} - {"__init__"}
    assert sorted(named) == sorted(modules)
