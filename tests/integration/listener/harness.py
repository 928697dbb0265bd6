"""The listener in this process against the Ably stand-in, a real PostgreSQL and a real Redis.

Both run in one event loop, so that a test can wait for what happens instead of sleeping.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from sqlalchemy import select

from listener.service import Listener
from listener.timing import Timing
from rebalancer.config.settings import Settings
from rebalancer.ledger.models import Channel, Event, GapRow, Signal
from rebalancer.ledger.session import Ledger
from rebalancer.services import Services
from sandbox.ably.options import AblyOptions
from sandbox.ably.server import AblyServer

FAST = AblyOptions(min_idle_interval_ms=50)
QUICK = Timing(
    ping_every=0.1,
    ping_timeout=0.3,
    unconnected=1.0,
    unattached=0.6,
    rebuild_pause=0.05,
    longest_pause=0.5,
    gate=2.0,
    retry_pause=0.05,
    health_every=0.1,
    health_pause=0.01,
    deaf_after=0.5,
    files_every=0.05,
    goodbye=0.5,
)
DEADLINE_S = 20
CHANNEL = "blend"
REBALANCE = {"exec": "rebalance"}
SETS = "ira:\n  - {source: EDC, target: EEM, scale: 1.5}\n"


def account(number: int, strategy: str = CHANNEL, **more: Any) -> dict[str, Any]:
    return {"account_id": f"DU{number}", "type": "paper", "strategy_name": strategy, **more}


class Told:
    """Everything that was printed so far."""

    def __init__(self) -> None:
        self._text = ""

    def __call__(self, capsys: pytest.CaptureFixture[str]) -> str:
        self._text += capsys.readouterr().out
        return self._text


@dataclass(slots=True)
class Here:
    """Everything around a listener; `listening` starts one."""

    server: AblyServer
    ledger: Ledger
    redis_url: str
    folder: Path
    overrides: dict[str, Any] = field(default_factory=dict)
    timing: Timing = QUICK

    def write_accounts(self, *accounts: dict[str, Any]) -> None:
        (self.folder / "accounts.yaml").write_text(yaml.safe_dump({"accounts": list(accounts)}))

    @property
    def settings(self) -> Settings:
        sets = self.folder / "replacement-sets.yaml"
        if not sets.exists():
            sets.write_text(SETS)
        given = {
            "realtime_api_key": self.server.options.key,
            "realtime_endpoint": f"127.0.0.1:{self.server.port}",
            "realtime_tls": False,
            "allocations_api_key": "sandbox",
            "database_url": self.ledger.url,
            "redis_url": self.redis_url,
            "accounts_file": self.folder / "accounts.yaml",
            "replacement_sets_file": sets,
            "history_sweep_s": 3600,
        }
        return Settings.from_flat(given | self.overrides)

    @asynccontextmanager
    async def listening(self, *, wait: bool = True) -> AsyncIterator[Listener]:
        """A listener that has attached its channels and read their history."""
        stop = asyncio.Event()
        listener = Listener(Services.of(self.settings), self.timing)
        task = asyncio.create_task(listener.run(stop))
        try:
            if wait:
                await self.until(lambda: task.done() or self.hears())
            yield listener
        finally:
            stop.set()
            await task

    def hears(self, *channels: str) -> bool:
        """Whether each channel is attached and its history read, and nothing is missing from it."""
        rows = {row.channel: row for row in self.channels()}
        return all(channel in rows and _complete(rows[channel]) for channel in channels or (CHANNEL,))

    async def until(self, condition: Callable[[], Any], deadline_s: float = DEADLINE_S) -> None:
        """Ask the ledger until the condition holds; nothing in it tells us."""
        end = time.monotonic() + deadline_s
        while not await asyncio.to_thread(condition):
            assert time.monotonic() < end, f"not within {deadline_s} s; on record: {self.signals()}"
            await asyncio.sleep(0.01)

    async def recorded(self, *ids: str) -> None:
        """Wait until these messages are on record."""
        await self.until(lambda: set(ids) <= {row.message_id for row in self.signals()})

    def publish(self, *datas: Any, channel: str = CHANNEL) -> list[str]:
        """Publish one message per payload from inside the server; gives their ids."""
        return [self.server.publish_raw(channel, [wire(data)]).id + ":0" for data in datas]

    def signals(self, channel: str = CHANNEL) -> list[Signal]:
        """In the order of recording."""
        return self._all(select(Signal).where(Signal.channel == channel).order_by(Signal.id))

    def signal(self, message_id: str) -> Signal:
        return next(row for row in self.signals() if row.message_id == message_id)

    def ids(self, channel: str = CHANNEL) -> list[str]:
        return [row.message_id for row in self.signals(channel)]

    def events(self) -> list[Event]:
        return self._all(select(Event).order_by(Event.account_id, Event.command))

    def channels(self) -> list[Channel]:
        return self._all(select(Channel))

    def channel(self, name: str = CHANNEL) -> Channel:
        return next(row for row in self.channels() if row.channel == name)

    def gaps(self) -> list[GapRow]:
        return self._all(select(GapRow).order_by(GapRow.id))

    def _all(self, query: Any) -> list[Any]:
        with self.ledger.begin() as session:
            return list(session.scalars(query))


def _complete(row: Channel) -> bool:
    """Heard since the beginning, which only a history that was read can say."""
    return bool(row.attached_since and row.heard_until > row.baseline_at and not row.trouble)


def wire(data: Any) -> dict[str, Any]:
    """A payload as an SDK puts it on the wire."""
    return {"data": json.dumps(data), "encoding": "json"} if isinstance(data, dict | list) else {"data": data}


Scenario = Callable[[Here], Awaitable[None]]
Play = Callable[..., None]


@contextmanager
def playing(ledger: Ledger, redis_url: str, folder: Path) -> Iterator[Callable[..., None]]:
    """Gives a function that plays a scenario against a server of its own."""

    def play(scenario: Scenario, options: AblyOptions = FAST, timing: Timing = QUICK, **overrides: Any) -> None:
        async def main() -> None:
            async with asyncio.timeout(4 * DEADLINE_S), AblyServer(options) as server:
                here = Here(server, ledger, redis_url, folder, overrides, timing)
                here.write_accounts(account(1), account(2))
                await scenario(here)

        asyncio.run(main())

    yield play
