"""Where a trial takes place: the real processes under a supervisor, and the ways to disturb them."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx
import psutil
import redis
import yaml

from rebalancer.domain.loopback import LOOPBACK
from rebalancer.ledger.queries import invariants
from rebalancer.ledger.session import Ledger
from rebalancer.runner import Group, Program, Site, Stack, StackOptions, StartFailed
from rebalancer.runner.ports import stable_port
from rebalancer.runner.probes import tcp_accepts
from rebalancer.runner.programs import default_programs, rebalancer_command
from rebalancer.runner.waiting import wait_until

# Seven accounts of the default scenario; the strategies share the weights of the shipped one.
SHIPPED = "etf-blend-301-20"
STRATEGIES: Mapping[str, Sequence[int]] = {"alpha": (1, 2, 3), "beta": (4, 5), "gamma": (6, 7)}
READY_S = 30.0
KEPT = frozenset({"gateway", "allocations", "worker", "beat"})
SETTINGS = {
    "WORKER_CONCURRENCY": "2",
    "RETRY_DELAY_S": "1",
    "SLOW_RETRY_DELAY_S": "3",
    "LEASE_S": "8",
}


class Stage:
    """A stack of its own with a listener and an Ably that can be told to fail."""

    def __init__(self, data: Path) -> None:
        self._data = data
        accounts = data.with_name(data.name + "-accounts.yaml")
        accounts.write_text(yaml.safe_dump({"accounts": _accounts()}))
        environment = {**SETTINGS, "ACCOUNTS_FILE": str(accounts)}
        self.stack = Stack(StackOptions(data, sandbox=True, environment=environment, programs=self._programs))
        self._http = httpx.Client(trust_env=False, timeout=10)
        self.ledger: Ledger
        self._control: str

    def __enter__(self) -> Stage:
        self.stack.start()
        try:
            self.ledger = Ledger(self.stack.site.environment["DATABASE_URL"])
            self._publish_targets()
            self._wait_for_listener()
        except BaseException:
            self.stack.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()
        self.ledger.close()
        self.stack.stop()

    def publish(self, channel: str, item: Mapping[str, Any]) -> str:
        """Put one message on a channel; gives its id."""
        message_id = f"{uuid.uuid4().hex}:0"
        self.tell("publish", channel=channel, items=[{**item, "id": message_id}])
        return message_id

    def tell(self, knob: str, **arguments: Any) -> None:
        """Turn a knob of the Ably stand-in; see docs/sandbox-ably.md."""
        self._http.post(f"{self._control}/{knob}", json=arguments).raise_for_status()

    def kill(self, program: str) -> None:
        """End a program as a power cut would, its children included; the supervisor starts it again."""
        for state in self.stack.programs():
            if state.name == program and state.pid:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(state.pid, signal.SIGKILL)

    def kill_worker_child(self) -> None:
        """End one process of the worker's pool."""
        for state in self.stack.programs():
            if state.name == "worker" and state.pid:
                with contextlib.suppress(psutil.NoSuchProcess, IndexError):
                    psutil.Process(state.pid).children()[0].kill()

    def flush_redis(self) -> None:
        """Empty it, queues and locks and all; nothing happens while it is down."""
        with contextlib.suppress(redis.RedisError), redis.Redis.from_url(self._url("REDIS_URL")) as client:
            client.flushall()

    def log(self, program: str) -> str:
        """What a program has said."""
        return self.stack.site.folder.log(program).read_text(errors="replace")

    def _programs(self, site: Site) -> tuple[Program, ...]:
        """Servers, gateway, worker and beat as always; Ably with a control port; the listener."""
        port, control = site.ports["ably"], stable_port(site.folder.ports / "ably-control")
        self._control = f"http://{LOOPBACK}:{control}/control"
        ably = (
            *(rebalancer_command(), "sandbox", "ably", "--port", str(port), "--control-port", str(control)),
            *("--key", site.environment["REALTIME_API_KEY"], "--data", str(site.folder.root / "ably.sqlite")),
        )
        return (
            *(program for program in default_programs(site) if program.name in KEPT),
            Program("ably", ably, Group.SERVERS, tcp_accepts(LOOPBACK, port)),
            Program("listener", (sys.executable, "-m", "listener"), Group.SOURCES),
        )

    def _url(self, name: str) -> str:
        return self.stack.site.environment[name]

    def _wait_for_listener(self) -> None:
        """What is published before a channel's first baseline is not for anybody."""
        if not wait_until(lambda: self._attached() >= set(STRATEGIES), READY_S, poll_s=0.25):
            raise StartFailed("listener", "did not attach", self.stack.site.folder.log("listener"), "see its log")

    def _attached(self) -> set[str]:
        with self.ledger.begin() as session:
            return invariants.attached(session)

    def _publish_targets(self) -> None:
        base, headers = self._url("ALLOCATIONS_BASE_URL"), {"x-api-key": self._url("ALLOCATIONS_API_KEY")}
        shipped = self._http.get(f"{base}/{SHIPPED}/allocations", headers=headers).raise_for_status().json()["data"]
        for strategy in STRATEGIES:
            body = {"allocations": shipped["allocations"]}
            self._http.put(f"{base}/{strategy}/allocations", headers=headers, json=body).raise_for_status()


def _accounts() -> list[dict[str, Any]]:
    return [
        {"account_id": f"DU100000{number}", "type": "paper", "strategy_name": strategy}
        for strategy, numbers in STRATEGIES.items()
        for number in numbers
    ]
