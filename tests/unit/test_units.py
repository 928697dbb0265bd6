"""mypy refuses an amount, a quantity, a percentage and a fraction in each other's place."""

import re
import sys
from decimal import Decimal
from pathlib import Path

from mypy import api

from rebalancer.domain.units import Percent, Ratio, percent_text, ratio

ROOT = Path(__file__).parents[2]
SWAPPED = "# swapped"
SNIPPET = """
from decimal import Decimal

from rebalancer.domain.portfolio import Plan, PlanLine, TargetWeight
from rebalancer.domain.units import Percent, Ratio, Shares, Usd, percent_text, ratio
from rebalancer.planning.holdings import Stock
from rebalancer.planning.rules import PlanningRules
from rebalancer.risk.limits import Limits


def judged(
    amount: Usd, quantity: Shares, percent: Percent, share: Ratio, plan: Plan, line: PlanLine,
    limits: Limits, rules: PlanningRules, stock: Stock,
) -> None:
    PlanningRules(reserve_fraction=ratio(percent))  # fine
    PlanningRules(reserve_fraction=percent)  # swapped
    TargetWeight("VTI", share)  # fine
    TargetWeight("VTI", percent)  # swapped
    TargetWeight("VTI", Decimal(1))  # swapped
    limits.and_own(amount, share, share, 1)  # fine
    limits.and_own(share, amount, share, 1)  # swapped
    limits.and_own(amount, percent, share, 1)  # swapped
    rules.reserve(plan.equity)  # fine
    rules.reserve(line.held)  # swapped
    rules.band(line.target_weight)  # fine
    rules.band(line.target_shares)  # swapped
    stock.target_shares(plan.investable)  # fine
    stock.target_shares(stock.weight)  # swapped
    percent_text(line.drift)  # fine
    percent_text(percent)  # swapped
    ratio(share)  # swapped
    rules.reserve(quantity * line.price)  # swapped
    rules.reserve(Usd(quantity * line.price))  # fine
"""


def test_mypy_refuses_one_unit_in_the_place_of_another(tmp_path: Path) -> None:
    snippet = tmp_path / "units.py"
    snippet.write_text(SNIPPET, encoding="utf-8")
    options = ["--strict", "--python-executable", sys.executable, "--config-file", str(ROOT / "pyproject.toml")]
    told, wrong, _ = api.run([*options, "--cache-dir", str(tmp_path / "cache"), str(snippet)])
    refused = {int(number) for number in re.findall(r"units\.py:(\d+): error: .*\[arg-type\]$", told, re.MULTILINE)}
    lines = SNIPPET.splitlines()
    assert refused == {number for number, line in enumerate(lines, start=1) if line.endswith(SWAPPED)}, told + wrong
    assert told.count(": error: ") == len(re.findall(r"error: .*\[arg-type\]", told)), told


def test_a_percentage_becomes_a_fraction_and_words() -> None:
    assert ratio(Percent(Decimal("2.5"))) == Decimal("0.025")
    assert percent_text(Ratio(Decimal("0.2136"))) == "21.4 %"
    assert percent_text(Ratio(Decimal("0.2136")), 2) == "21.36 %"
