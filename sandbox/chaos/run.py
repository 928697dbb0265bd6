"""`rebalancer sandbox chaos`: trials by seed, each from nothing; a short story where one fails."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import as_completed
from contextlib import closing, contextmanager
from pathlib import Path

import structlog
from rich.console import Console
from rich.markup import escape

from sandbox.chaos.playing import Ground, Played
from sandbox.chaos.report import document
from sandbox.chaos.results import Caught, Results
from sandbox.chaos.sabotage.registry import BROKEN
from sandbox.chaos.story import tell
from sandbox.ending import told_to_stop
from sandbox.forked.ledgers import new_ledger

SHOWN = 3
NOT_COUNTED = "the trials that are under way end, and are not counted"


def run(
    runs: int, seed: int, *, jobs: int = 1, kinds: Sequence[str] = (), shorten: bool = False, report: Path | None = None
) -> int:
    """Run so many trials, of this seed and those that follow it.

    Args:
        jobs: so many at a time.
        kinds: what goes wrong; everything by default.
        shorten: try a story that fails again with less in it.
        report: document to write of all trials on record; those that are on record already are not played again.

    Returns:
        0 only if every promise was kept in all.
    """
    console, results = _console(), Results() if report is not None else None
    seeds = range(seed, seed + runs)
    known = {number: results.trials[number] for number in seeds if number in results.trials} if results else {}
    failed: list[Played] = []
    with told_to_stop(console, NOT_COUNTED), new_ledger() as ledger, _written(report, results):
        ground = Ground(ledger)
        stories = [(number, tell(number, kinds)) for number in seeds if number not in known]
        with closing(ground.play_all(stories, jobs)) as trials:
            for played in trials:
                console.print(_line(played))
                if results is not None:
                    results.add(played.seed, played.outcome)
                if played.sound:
                    shutil.rmtree(played.folder)
                else:
                    failed.append(played)
                    _tell_failure(console, played)
        for played in failed if shorten else ():
            console.print(f"seed {played.seed}: looking for a shorter story that fails")
            _tell_failure(console, _shortened(played, ground))
    not_sound = len(failed) + sum(bool(outcome.findings) for outcome in known.values())
    console.print(f"{runs - not_sound} of {runs} sound{_before(known)}")
    return 1 if not_sound else 0


def run_broken(
    names: Sequence[str],
    runs: int,
    seed: int,
    *,
    jobs: int = 1,
    kinds: Sequence[str] = (),
    report: Path | None = None,
) -> int:
    """Show that the judge sees a product that is broken: of each variant the first seed that caught it.

    Args:
        names: of variants, see :mod:`sandbox.chaos.sabotage`.
        runs: so many seeds at most.
        kinds: what goes wrong; by default what shows the variant.
        report: as for :func:`run`.

    Returns:
        0 only if each was caught.
    """
    console, results = _console(), Results() if report is not None else None
    on_record = results.variants if results else {}
    known = {name for name in names if name in on_record and on_record[name].seed is not None}
    missed = 0
    with told_to_stop(console, NOT_COUNTED), new_ledger() as ledger, _written(report, results):
        ground = Ground(ledger)

        def first_caught(name: str) -> tuple[str, Caught]:
            told = tuple(kinds) or tuple(BROKEN[name].kinds)
            for number in range(seed, seed + runs):
                played = ground.play(number, tell(number, told, name))
                shutil.rmtree(played.folder)
                if not (played.sound or played.outcome.broke_off):
                    return name, Caught(number, runs, "; ".join(played.outcome.findings[:SHOWN]))
            return name, Caught(None, runs)

        with ground.pool(jobs) as pool:
            for done in as_completed([pool.submit(first_caught, name) for name in names if name not in known]):
                name, caught = done.result()
                missed += caught.seed is None
                console.print(_verdict(name, caught))
                if results is not None:
                    results.add_variant(name, caught)
    console.print(f"{len(names) - missed} of {len(names)} caught{_before(known)}")
    return 1 if missed else 0


@contextmanager
def _written(report: Path | None, results: Results | None) -> Iterator[None]:
    """The document of what is on record, however the block ends."""
    try:
        yield
    finally:
        if report is not None and results is not None and results.trials:
            report.write_text(document(results))


def _console() -> Console:
    """For the verdicts: what is done in the name of people during a trial is told in its story."""
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    return Console(highlight=False, soft_wrap=True)


def _before(known: Collection[object]) -> str:
    return f", {len(known)} of them on record before" if known else ""


def _verdict(name: str, caught: Caught) -> str:
    if caught.seed is None:
        return f"{name}: [red]NOT CAUGHT[/] by {caught.seeds} seeds"
    return f"{name}: [green]caught[/] by seed {caught.seed}: {escape(caught.finding)}"


def _shortened(failed: Played, ground: Ground) -> Played:
    """What is left when nothing can be left out any more without all going well."""
    for story in failed.story.shorter():
        again = ground.play(failed.seed, story)
        if not again.sound:
            shutil.rmtree(failed.folder)
            return _shortened(again, ground)
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
