"""`rebalancer sandbox faults`: a trial from nothing, and one table at the end."""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from sandbox.fault_trials.stage import Stage
from sandbox.fault_trials.trial import Findings, Trial

PATIENCE_S = 120.0


def run(messages: int, faults: int, seed: int, pause_s: float) -> int:
    """Run a trial.

    Returns:
        0 only if nothing was lost, nothing happened twice and order was kept.
    """
    console = Console()
    started = time.monotonic()

    def tell(text: str) -> None:
        console.print(f"[dim]{time.monotonic() - started:7.1f} s[/]  {text}", highlight=False)

    folder = Path(tempfile.mkdtemp(prefix="faults-"))
    tell("starting the stack")
    with Stage(folder / "data") as stage:
        trial = Trial(stage, seed=seed, pause_s=pause_s, patience_s=PATIENCE_S, tell=tell)
        with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
            bar = progress.add_task("messages", total=messages)
            findings = trial.run(messages, faults, lambda count: progress.update(bar, completed=count))
    console.print(table(findings))
    if findings.sound:
        shutil.rmtree(folder)
    else:
        tell(f"the logs are left in {folder / 'data' / 'logs'}")
    return 0 if findings.sound else 1


def table(findings: Findings) -> Table:
    """The figures, then the faults by kind."""
    made = Table(title=f"{'Sound' if findings.sound else 'NOT SOUND'}, in {findings.seconds:.0f} s")
    made.add_column("what")
    made.add_column("count", justify="right")
    figures = {
        "messages published": findings.published,
        "recorded": findings.recorded,
        "lost": findings.lost,
        "recorded twice": findings.doubled,
        "never served": findings.unserved,
        "served twice": findings.repeated,
        "runs at once on one account": findings.overlapping,
        "out of order in their channel": findings.disordered,
        "still under way": findings.unfinished,
        "faults": sum(findings.faults.values()),
    }
    for name, count in figures.items():
        made.add_row(name, str(count))
    made.add_section()
    for kind, count in sorted(findings.faults.items()):
        made.add_row(f"  {kind}", str(count))
    return made
