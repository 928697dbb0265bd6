"""What a worker process has for itself: the rest it shares with those that were forked beside it."""

from __future__ import annotations

import multiprocessing
import tempfile

import billiard.util
import psutil
import pytest

from rebalancer.domain.commands import Command
from tasks import process
from tests.world import World, until

ACCOUNTS = ("DU1000001", "DU1000002", "DU1000003", "DU1000004", "DU1000005", "DU1000006")
MOST_MIB = 45
"""Half of what a process takes that shares nothing; seen: 34."""


def test_a_process_of_the_pool_has_less_than_half_of_its_memory_for_itself(here: World) -> None:
    worker = psutil.Process(here.start_worker(WORKER_CONCURRENCY="3").pid)
    until(lambda: len(worker.children()) == 3)
    for event_id in [here.submit(account, Command.PRINT_REBALANCE) for account in ACCOUNTS]:
        here.finish(event_id)
    private = [child.memory_full_info().uss / 2**20 for child in worker.children()]
    assert max(private) < MOST_MIB
    assert min(private) > 1  # it is measured at all


def test_a_worker_that_is_killed_leaves_no_folder_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(multiprocessing.current_process(), "_config", {})
    process.need_no_folder()
    assert billiard.util.get_temp_dir() == tempfile.gettempdir(), "none is made, so none has to be removed"
