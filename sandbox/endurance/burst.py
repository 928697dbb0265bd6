"""`rebalancer sandbox burst`: many signals without a pause, to many accounts: none lost, none twice, all in order."""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console

from sandbox.ending import told_to_stop
from sandbox.fault_trials.cast import SHIPPED, STRATEGIES, Cast
from sandbox.fault_trials.run import table
from sandbox.fault_trials.stage import Stage
from sandbox.fault_trials.trial import Trial
from sandbox.gateway.scenario import SCENARIOS
from sandbox.wide_limits import WIDE_LIMITS

WORLD = ("market", "quotes", "fills", "instruments")
SETTINGS = {**WIDE_LIMITS, "LEASE_S": "60"}


def run(signals: int, accounts: int, patience_s: float) -> int:
    """Publish, wait for calm, judge.

    Returns:
        0 only if every signal was served once, in order.
    """
    console = Console(highlight=False)
    started = time.monotonic()

    def tell(text: str) -> None:
        console.print(f"[dim]{time.monotonic() - started:7.1f} s[/]  {text}")

    folder = Path(tempfile.mkdtemp(prefix="burst-"))
    with (
        told_to_stop(console, f"it ends here; its logs are left in {folder}"),
        Stage(folder / "data", crowd(accounts)) as stage,
    ):
        tell(f"up, with {accounts} accounts")
        trial = Trial(stage, seed=1, pause_s=0, patience_s=patience_s, tell=tell)
        findings = trial.run(signals, 0)
    console.print(table(findings))
    if findings.sound:
        shutil.rmtree(folder)
        return 0
    tell(f"ledger, books and logs are left in {folder}")
    return 1


def crowd(accounts: int) -> Cast:
    """So many accounts with cash and margin, spread over the strategies."""
    names, strategies = [f"DU4{number:06}" for number in range(accounts)], tuple(STRATEGIES)
    default: dict[str, Any] = yaml.safe_load((SCENARIOS / "default.yaml").read_text())
    return Cast(
        accounts=[
            {"account_id": name, "type": "paper", "strategy_name": strategies[number % len(strategies)]}
            for number, name in enumerate(names)
        ],
        targets=dict.fromkeys(strategies, SHIPPED),
        scenario={
            **{name: default[name] for name in WORLD},
            "accounts": {name: {"margin": True, "cash": 100_000} for name in names},
        },
        settings=SETTINGS,
    )
