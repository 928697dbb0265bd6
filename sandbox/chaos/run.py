"""`rebalancer sandbox chaos`: trials by seed, each from nothing; a short story where one fails."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog
from rich.console import Console
from rich.markup import escape

from rebalancer.runner.failure import StartFailed
from sandbox.chaos.report import Tally, document
from sandbox.chaos.sabotage.registry import BROKEN
from sandbox.chaos.story import Story, tell
from sandbox.chaos.trial import Outcome, Trial
from sandbox.fault_trials.stage import Stage
from sandbox.forked.ledgers import new_ledger

STARTS = 3
SHOWN = 3

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Played:
    """A trial that is over.

    Attributes:
        folder: ledger, books and logs.
        seconds: all in all.
    """

    seed: int
    story: Story
    outcome: Outcome
    folder: Path
    seconds: float

    @property
    def sound(self) -> bool:
        """Every promise was kept."""
        return not self.outcome.findings


def run(
    runs: int, seed: int, *, jobs: int = 1, kinds: Sequence[str] = (), shorten: bool = False, report: Path | None = None
) -> int:
    """Run so many trials, of this seed and those that follow it.

    Args:
        jobs: so many at a time.
        kinds: what goes wrong; everything by default.
        shorten: try a story that fails again with less in it.
        report: document to write of all of them.

    Returns:
        0 only if every promise was kept in all.
    """
    console = _console()
    tally, failed = Tally(seed), []
    with new_ledger() as ledger:
        stories = [(number, tell(number, kinds)) for number in range(seed, seed + runs)]
        for played in _played(stories, jobs, ledger):
            console.print(_line(played))
            tally.add(played.outcome)
            if played.sound:
                shutil.rmtree(played.folder)
            else:
                failed.append(played)
                _tell_failure(console, played)
        if report is not None:
            report.write_text(document(tally))
        for played in failed if shorten else ():
            console.print(f"seed {played.seed}: looking for a shorter story that fails")
            _tell_failure(console, _shortened(played, ledger))
    console.print(f"{runs - len(failed)} of {runs} sound")
    return 1 if failed else 0


def run_broken(names: Sequence[str], runs: int, seed: int, *, jobs: int = 1, kinds: Sequence[str] = ()) -> int:
    """Show that the judge sees a product that is broken: of each variant the first seed that caught it.

    Args:
        names: of variants, see :mod:`sandbox.chaos.sabotage`.
        runs: so many seeds at most.
        kinds: what goes wrong; by default what shows the variant.

    Returns:
        0 only if each was caught.
    """
    console = _console()
    missed = 0
    with new_ledger() as ledger, _pool(jobs) as pool:

        def stories(name: str) -> Iterator[tuple[int, Story]]:
            told = tuple(kinds) or tuple(BROKEN[name].kinds)
            return ((number, tell(number, told, name)) for number in range(seed, seed + runs))

        for name, caught in zip(names, pool.map(lambda name: _first_caught(stories(name), ledger), names), strict=True):
            missed += caught is None
            console.print(_verdict(name, caught, runs))
    console.print(f"{len(names) - missed} of {len(names)} caught")
    return 1 if missed else 0


def _console() -> Console:
    """For the verdicts: what is done in the name of people during a trial is told in its story."""
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    return Console(highlight=False, soft_wrap=True)


def _first_caught(stories: Iterator[tuple[int, Story]], ledger: Path) -> Played | None:
    """One after the other, since what is begun beside the first that fails would be for nothing."""
    for seed, story in stories:
        played = play(seed, story, ledger)
        shutil.rmtree(played.folder)
        if not played.sound:
            return played
    return None


def _verdict(name: str, caught: Played | None, runs: int) -> str:
    if caught is None:
        return f"{name}: [red]NOT CAUGHT[/] by {runs} seeds"
    return f"{name}: [green]caught[/] by seed {caught.seed}: {escape('; '.join(caught.outcome.findings[:SHOWN]))}"


def play(seed: int, story: Story, ledger: Path) -> Played:
    """One trial on a stack of its own, in a folder that is left.

    Args:
        ledger: see :func:`sandbox.forked.ledgers.new_ledger`.
    """
    started = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix=f"chaos-{seed}-"))
    with ExitStack() as held:
        stage = _up(held, folder, story, ledger)
        outcome = Trial(stage, story).run()
    return Played(seed, story, outcome, folder, time.monotonic() - started)


def _up(held: ExitStack, folder: Path, story: Story, ledger: Path) -> Stage:
    """A stage that has started; another one where somebody took a port of the first meanwhile."""
    for number in range(1, STARTS):
        try:
            return held.enter_context(Stage(folder / f"data{number}", story.cast, ledger))
        except StartFailed as failure:
            log.warning("stage_did_not_start", error=str(failure))
    return held.enter_context(Stage(folder / "data", story.cast, ledger))


def _played(stories: Sequence[tuple[int, Story]], jobs: int, ledger: Path) -> Iterator[Played]:
    with _pool(jobs) as pool:
        yield from pool.map(lambda one: play(one[0], one[1], ledger), stories)


@contextmanager
def _pool(jobs: int) -> Iterator[ThreadPoolExecutor]:
    """So many at a time; whoever leaves begins no more."""
    with ExitStack() as held:
        pool = held.enter_context(ThreadPoolExecutor(jobs))
        held.callback(pool.shutdown, wait=True, cancel_futures=True)
        yield pool


def _shortened(failed: Played, ledger: Path) -> Played:
    """What is left when nothing can be left out any more without all going well."""
    for story in failed.story.shorter():
        again = play(failed.seed, story, ledger)
        if not again.sound:
            shutil.rmtree(failed.folder)
            return _shortened(again, ledger)
        shutil.rmtree(again.folder)
    return failed


def _line(played: Played) -> str:
    outcome = played.outcome
    verdict = "[green]sound[/]" if played.sound else "[red]NOT SOUND[/]"
    return (
        f"seed {played.seed}: {verdict}, {outcome.orders} orders, calm after {outcome.calm_s:.1f} s, "
        f"{len(outcome.resumed)} times a person was needed, {played.seconds:.0f} s in all"
    )


def _tell_failure(console: Console, played: Played) -> None:
    decided = [f"decided by a person: {text}" for text in played.outcome.resumed]
    for line in (*played.outcome.findings, *decided, *map(str, played.story.steps)):
        console.print(f"  {line}", markup=False)
    console.print(f"  ledger, books and logs are left in {played.folder}")
