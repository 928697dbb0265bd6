"""One trial on a stack of its own, and the end of all that are under way."""

from __future__ import annotations

import shutil
import tempfile
import time
import traceback
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog

from rebalancer.runner.failure import StartFailed
from rebalancer.runner.waiting import Interrupted
from sandbox.chaos.story import Story
from sandbox.chaos.trial import Outcome, Trial
from sandbox.fault_trials.stage import Stage

STARTS = 3

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


class Ground:
    """Where trials are played, each in a folder that is left.

    Args:
        ledger: see :func:`sandbox.forked.ledgers.new_ledger`.
    """

    def __init__(self, ledger: Path) -> None:
        self._ledger = ledger
        self._stages: dict[Stage, None] = {}
        self._ended = False

    def play(self, seed: int, story: Story) -> Played:
        """One trial. What breaks it off is a finding, as is what breaks a promise.

        Raises:
            Interrupted: all were ended; nothing of it is left.
        """
        started = time.monotonic()
        folder = Path(tempfile.mkdtemp(prefix=f"chaos-{seed}-"))
        try:
            with ExitStack() as held:
                outcome = Trial(self._up(held, folder, story), story).run()
        except Interrupted:
            shutil.rmtree(folder)
            raise
        except Exception as error:  # noqa: BLE001 - the edge of a trial: those that follow it are played all the same
            (folder / "broke-off.txt").write_text(traceback.format_exc())
            outcome = Outcome([f"the trial broke off: {type(error).__name__}: {error}"], [], 0.0, 0, broke_off=True)
        return Played(seed, story, outcome, folder, time.monotonic() - started)

    def play_all(self, stories: Iterable[tuple[int, Story]], jobs: int) -> Generator[Played]:
        """So many at a time, in the order in which they end."""
        with self.pool(jobs) as pool:
            for played in as_completed([pool.submit(self.play, *one) for one in stories]):
                yield played.result()

    @contextmanager
    def pool(self, jobs: int) -> Iterator[ThreadPoolExecutor]:
        """For so many at a time; whoever leaves begins no more, and ends those that are under way."""
        pool = ThreadPoolExecutor(jobs)
        try:
            yield pool
        finally:
            self.end()
            pool.shutdown(wait=True, cancel_futures=True)
            self._ended = False

    def end(self) -> None:
        """Those under way end soon."""
        self._ended = True
        for stage in tuple(self._stages):
            stage.stack.request_stop()

    def _up(self, held: ExitStack, folder: Path, story: Story) -> Stage:
        """A stage that has started; another one where somebody took a port of the first meanwhile."""
        for number in range(1, STARTS):
            try:
                return self._stage(held, folder / f"data{number}", story)
            except StartFailed as failure:
                log.warning("stage_did_not_start", error=str(failure))
        return self._stage(held, folder / "data", story)

    def _stage(self, held: ExitStack, data: Path, story: Story) -> Stage:
        stage = Stage(data, story.cast, self._ledger)
        self._stages[stage] = None
        held.callback(self._stages.pop, stage)
        if self._ended:
            raise Interrupted
        return held.enter_context(stage)
