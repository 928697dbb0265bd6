"""The listener as a process of its own: how it ends, what it costs, what it says."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import psutil
import pytest

from tests.integration.listener.harness import CHANNEL, REBALANCE, Here, Play, account
from tests.programs import Started

EQUITY = {"exec": "print-equity"}


class Process:
    """`python -m listener` with the settings of a scenario."""

    def __init__(self, here: Here, **environment: str) -> None:
        settings = here.settings
        self.log = here.folder / "listener.log"
        given = {
            "ENV_FILE": os.devnull,
            "REALTIME_API_KEY": here.server.options.key,
            "REALTIME_ENDPOINT": str(settings.signals.realtime_endpoint),
            "REALTIME_TLS": "false",
            "ALLOCATIONS_API_KEY": "sandbox",
            "DATABASE_URL": settings.stores.database_url,
            "REDIS_URL": settings.stores.redis_url,
            "ACCOUNTS_FILE": str(settings.files.accounts_file),
            "REPLACEMENT_SETS_FILE": str(settings.files.replacement_sets_file),
        }
        self.process = Started(("-m", "listener"), os.environ | given | environment, output=self.log)

    def said(self) -> str:
        return self.log.read_text()

    def kill(self) -> None:
        self.process.kill()

    def terminate(self) -> int:
        self.process.terminate()
        return self.process.wait(20)


async def wait(ending: Callable[[], int], expected: int) -> None:
    """Without stopping the server, which runs in this loop."""
    assert await asyncio.to_thread(ending) == expected


@contextmanager
def running(here: Here, **environment: str) -> Iterator[Process]:
    made = Process(here, **environment)
    try:
        yield made
    finally:
        with suppress(ProcessLookupError):
            made.kill()


def test_sigterm_puts_on_record_what_was_received_and_ends_with_0(play: Play) -> None:
    async def scenario(here: Here) -> None:
        with running(here) as process:
            await here.server.log.wait_for("attached")
            ids = here.publish(*[EQUITY] * 200)
            await here.server.log.wait_for("deliver", 200)
            started = time.monotonic()
            await wait(process.terminate, 0)
            assert time.monotonic() - started < 5
            assert here.server.log.count("close") == 1, "it says goodbye"
        recorded = here.ids()
        assert recorded == ids[: len(recorded)]
        with running(here):  # what was still under way when it stopped to listen
            await here.recorded(*ids)
        assert here.ids() == ids

    play(scenario)


def test_kill_9_loses_nothing_and_doubles_nothing(play: Play) -> None:
    async def scenario(here: Here) -> None:
        ids: list[str] = []
        with running(here):
            await here.until(lambda: here.channels() and here.hears())
        for _ in range(3):
            with running(here) as process:
                await here.server.log.wait_for("attached", here.server.log.count("attached") + 1)
                ids += here.publish(*[EQUITY] * 40)
                await here.recorded(ids[-30])
                process.kill()
            ids += here.publish(REBALANCE)
        with running(here):
            await here.recorded(*ids)
        assert here.ids() == ids
        assert {row.command: row.requested_generation for row in here.events()} == {"print-equity": 120, "rebalance": 3}

    play(scenario)


def test_idle_it_costs_less_than_one_percent_of_a_core(play: Play) -> None:
    async def scenario(here: Here) -> None:
        here.write_accounts(account(1), account(2, "second"), account(3, "third"))
        with running(here) as process:
            await here.until(lambda: here.channels() and here.hears(CHANNEL, "second", "third"))
            usage = psutil.Process(process.process.pid)
            before, started = usage.cpu_times(), time.monotonic()
            await asyncio.sleep(10)  # the measurement itself
            after, seconds = usage.cpu_times(), time.monotonic() - started
        share = (after.user + after.system - before.user - before.system) / seconds
        print(f"idle: {100 * share:.2f} % of a core")
        assert share < 0.01

    play(scenario)


def test_no_key_reaches_the_log_even_when_all_is_logged(play: Play) -> None:
    async def scenario(here: Here) -> None:
        with running(here, LOG_LEVEL="DEBUG") as process:
            await here.server.log.wait_for("attached")
            here.server.drop()
            await here.server.log.wait_for("attached", 2)
            here.server.http_status(401, times=2)
            here.server.zombie(503)
            await here.server.log.wait_for("attached", 3)
            await here.recorded(*here.publish(REBALANCE))
            await wait(process.terminate, 0)
            said = process.said()
        secret = here.server.options.key.partition(":")[2]
        assert "signal_recorded" in said
        assert secret not in said
        assert "accessToken=" not in said

    play(scenario)


@pytest.mark.parametrize(
    ("environment", "complaint"),
    [
        ({"REALTIME_API_KEY": ""}, "REALTIME_API_KEY is not set"),
        ({"REALTIME_API_KEY": "no-colon-in-it"}, "NAME:SECRET"),
        ({"REALTIME_ENDPOINT": "ably:8080", "ALLOW_CLEAR_REALTIME": "ably"}, "needs a dot"),
        ({"REALTIME_ENDPOINT": "ably.example.org:8080"}, "in clear text to ably.example.org"),
        ({"ALLOCATIONS_API_KEY": ""}, "ALLOCATIONS_API_KEY is not set"),
        ({"ACCOUNTS_FILE": "/nowhere/accounts.yaml"}, "/nowhere/accounts.yaml"),
        ({"SIGNAL_MAX_AGE_S": "5"}, "SIGNAL_MAX_AGE_S"),
    ],
)
def test_a_wrong_configuration_ends_it_with_2_and_a_remedy(
    play: Play, environment: dict[str, str], complaint: str
) -> None:
    async def scenario(here: Here) -> None:
        with running(here, **environment) as process:
            await wait(process.process.wait, 2)
            assert complaint in process.said()
            assert "no-colon-in-it" not in process.said()

    play(scenario)
