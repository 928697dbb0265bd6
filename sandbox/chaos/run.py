"""`rebalancer sandbox chaos`: trials by seed, each from nothing, and one line for each."""

from __future__ import annotations

import random
import shutil
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from sandbox.chaos.cast import cast
from sandbox.chaos.story import Step, story
from sandbox.chaos.strikes import STRIKES
from sandbox.chaos.trial import Outcome, Trial
from sandbox.fault_trials.stage import Stage


def run(runs: int, seed: int, kinds: Sequence[str] = ()) -> int:
    """Run so many trials, of this seed and those that follow it.

    Args:
        kinds: what goes wrong; everything by default.

    Returns:
        0 only if every promise was kept in all.
    """
    console = Console(highlight=False)
    broken = 0
    for number in range(seed, seed + runs):
        started = time.monotonic()
        outcome, steps, folder = trial(number, kinds)
        verdict = "[green]sound[/]" if not outcome.findings else "[red]NOT SOUND[/]"
        console.print(
            f"seed {number}: {verdict}, {outcome.orders} orders, calm after {outcome.calm_s:.1f} s, "
            f"{len(outcome.resumed)} halts lifted, {time.monotonic() - started:.0f} s in all"
        )
        if outcome.findings:
            broken += 1
            for line in (*outcome.findings, *(f"lifted: {text}" for text in outcome.resumed), *map(str, steps)):
                console.print(f"  {line}", markup=False)
            console.print(f"  ledger, books and logs are left in {folder}")
        else:
            shutil.rmtree(folder)
    return 1 if broken else 0


def trial(seed: int, kinds: Sequence[str] = ()) -> tuple[Outcome, Sequence[Step], Path]:
    """One, on a stack of its own in a folder that is left."""
    chance = random.Random(seed)  # noqa: S311 - reproducible, not secret
    folder = Path(tempfile.mkdtemp(prefix=f"chaos-{seed}-"))
    with Stage(folder / "data", cast(chance)) as stage:
        steps = story(chance, tuple(kinds) or tuple(STRIKES))
        return Trial(stage, chance).run(steps), steps, folder
