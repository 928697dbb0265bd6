"""Where a trial takes place: the real processes under a supervisor, and the ways to disturb them."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import sys
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import httpx
import psutil
import redis
import yaml

from rebalancer.config.settings import Settings
from rebalancer.domain.accounts import MAIN_GATEWAY
from rebalancer.domain.errors import RecordUnavailable
from rebalancer.domain.loopback import LOOPBACK
from rebalancer.ledger import sources
from rebalancer.ledger.admin import connections
from rebalancer.ledger.queries import invariants
from rebalancer.ledger.session import Ledger
from rebalancer.runner.failure import StartFailed
from rebalancer.runner.folder import folder_at
from rebalancer.runner.ports import stable_port
from rebalancer.runner.probes import tcp_accepts, worker_answers
from rebalancer.runner.programs import Group, Program, Site, default_programs, program_of, rebalancer_command
from rebalancer.runner.stack import Stack, StackOptions
from rebalancer.runner.waiting import POLL_S, wait_until
from rebalancer.services import Services
from sandbox.fault_trials.cast import PARTNER, Cast
from sandbox.fault_trials.hand_halts import HandHalt
from sandbox.forked import clock
from sandbox.forked.ledgers import copy_ledger
from sandbox.forked.supervisor import begin_forked

READY_S = 30.0
FIRST_DAY = date(2026, 1, 1)
"""Before the first that a table is of; their age is nothing that a trial looks at."""
SETTINGS = {
    "TARGETS_MAX_AGE_DAYS": "3660",
    "WORKER_CONCURRENCY": "2",
    "RETRY_DELAY_S": "1",
    "SLOW_RETRY_DELAY_S": "3",
    "LEASE_S": "8",
}


class Stage:
    """A stack of its own with a listener, and a gateway and an Ably that can be told to fail.

    Args:
        ledger: a new one, to be copied; then all programs are forks, and end as by a power cut.

    Attributes:
        halts: by people.
        orders_by_hand: so many were entered for each account.
    """

    def __init__(self, data: Path, cast: Cast | None = None, ledger: Path | None = None) -> None:
        self._data = data
        self.cast = cast or Cast.of_seven()
        self._tables: dict[str, Mapping[str, float]] = {}
        self._shown = 0
        self._wanted: dict[str, set[str]] = defaultdict(set)
        self.accounts_file = data.with_name(data.name + "-accounts.yaml")
        self.write_accounts(self.cast.accounts)
        self._clock = data.with_name(data.name + "-clock")
        self.set_clock(0)
        environment = {
            **SETTINGS,
            **self.cast.settings,
            "ACCOUNTS_FILE": str(self.accounts_file),
            clock.VARIABLE: str(self._clock),
        }
        options = StackOptions(data, sandbox=True, environment=environment, programs=self._programs)
        if ledger is not None:
            copy_ledger(ledger, folder_at(data).postgres)
            options = replace(options, migrate=(), begin=begin_forked)
        self.stack = Stack(options)
        self._abruptly = ledger is not None
        self._http = httpx.Client(trust_env=False, timeout=10)
        self.ledger: Ledger
        self.services: Services
        self.halts: list[HandHalt] = []
        self.orders_by_hand: Counter[str] = Counter()
        self._stopped: set[str] = set()
        self._used: set[str] = set()
        self._ably: str
        self._gateways: dict[str, str] = {}
        """Control ports, by name; the main login's is the first."""

    def __enter__(self) -> Stage:
        self.stack.start()
        try:
            self.ledger = Ledger(self.stack.site.environment["DATABASE_URL"])
            self.services = Services.of(Settings.of_environment(self.stack.site.environment))
            for strategy, weights in self.cast.targets.items():
                self.set_targets(strategy, weights)
            self._wait_for_listener()
        except BaseException:
            self.stack.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()
        self.ledger.close()
        if self._abruptly:
            self.stack.kill()
        self.stack.stop()

    def publish(self, channel: str, item: Mapping[str, Any]) -> str:
        """Put one message on a channel; gives its id."""
        message_id = f"{uuid.uuid4().hex}:0"
        self.tell("publish", channel=channel, items=[{**item, "id": message_id}])
        self._used.add(channel)
        return message_id

    def show_table(self, strategy: str) -> None:
        """Put a strategy's targets into its file, as those of another day."""
        self._shown += 1
        day = FIRST_DAY + timedelta(days=self._shown)
        self._replace_table(strategy, json.dumps({"as_of": day.isoformat(), "weights": self._tables[strategy]}))

    def unread_tables(self) -> list[str]:
        """Strategies of which another table was accepted last than was shown."""
        with self.ledger.begin() as session:
            known = sources.everything(session)
        return [
            strategy
            for strategy, weights in sorted(self._tables.items())
            if strategy not in known or {one: float(it) for one, it in known[strategy].weights.items()} != weights
        ]

    def repeat(self, channel: str) -> None:
        """Have the newest message of a channel delivered again, if there is one."""
        if channel in self._used:
            self.tell("duplicate", channel=channel)

    def tell(self, knob: str, **arguments: Any) -> None:
        """Turn a knob of the Ably stand-in; see docs/sandbox-ably.md."""
        self._http.post(f"{self._ably}/control/{knob}", json=arguments).raise_for_status()

    def ask_gateway(self, method: str, path: str, body: object = None) -> Any:
        """Use the gateway's control port; see docs/sandbox.md. While the gateway is down it is waited for. Of two the
        same is asked, or that of the account that is named; the main one's answer counts.
        """
        account = body.get("account") if isinstance(body, Mapping) else None
        names = self._gateways if account is None else (self._gateway_of(account),)
        answers = [self._ask(self._gateways[name], method, path, body) for name in names]
        return answers[0]

    def books(self) -> list[dict[str, Any]]:
        """What the broker has, by login; the main one first."""
        return [self._ask(address, "GET", "/state") for address in self._gateways.values()]

    def _gateway_of(self, account: str) -> str:
        return PARTNER if account in self.cast.partners else MAIN_GATEWAY

    def _ask(self, address: str, method: str, path: str, body: object = None) -> Any:
        answer: list[Any] = []

        def answered() -> bool:
            try:
                answer.append(self._http.request(method, f"{address}{path}", json=body).raise_for_status().json())
            except httpx.TransportError:
                return False
            return True

        if not self.wait_until(answered, READY_S, poll_s=0.1):
            raise TimeoutError(f"{method} {path}: the gateway did not answer within {READY_S:.0f} s")
        return answer[-1]

    def wait_until(self, condition: Callable[[], bool], deadline_s: float, poll_s: float = POLL_S) -> bool:
        """As :func:`rebalancer.runner.waiting.wait_until`.

        Raises:
            Interrupted: the stack was told to stop meanwhile.
        """
        return wait_until(condition, deadline_s, interrupted=self.stack.stop_requested, poll_s=poll_s)

    def rest(self, seconds: float) -> None:
        """Let so much time pass.

        Raises:
            Interrupted: as above.
        """
        self.wait_until(lambda: False, seconds)

    def is_stopped(self, program: str) -> bool:
        """Whether it was stopped, as by SIGSTOP, and nobody let it go on: it answers nothing."""
        return program in self._stopped

    def go_on(self) -> None:
        """Let everything go on that was stopped."""
        for program in tuple(self._stopped):
            self.signal(program, signal.SIGCONT)

    def kill(self, program: str) -> None:
        """End a program as a power cut would, its children included; the supervisor starts it again."""
        self.signal(program, signal.SIGKILL)

    def signal(self, program: str, number: signal.Signals) -> None:
        """To a program and its children; to the first worker as ``worker``. Nothing happens while it is down."""
        if number == signal.SIGSTOP:
            self._stopped.add(program)
        elif number == signal.SIGCONT:
            self._stopped.discard(program)
        for state in self.stack.programs():
            if state.name == program and state.pid:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(state.pid, number)

    def kill_worker_child(self, program: str = "worker") -> None:
        """End one process of a worker's pool."""
        for state in self.stack.programs():
            if state.name == program and state.pid:
                with contextlib.suppress(psutil.NoSuchProcess, IndexError):
                    psutil.Process(state.pid).children()[0].kill()

    def cut_database_connections(self) -> None:
        """As an administrator or a failing network does; nothing happens while PostgreSQL is down."""
        with contextlib.suppress(RecordUnavailable), self.ledger.begin() as session:
            connections.end_all_others(session)

    def flush_redis(self) -> None:
        """Empty it, queues and locks and all; nothing happens while it is down."""
        with contextlib.suppress(redis.RedisError), redis.Redis.from_url(self._url("REDIS_URL")) as client:
            client.flushall()

    def log(self, program: str) -> str:
        """What a program has said."""
        return self.stack.site.folder.log(program).read_text(errors="replace")

    def set_targets(self, strategy: str, weights: Mapping[str, float]) -> None:
        """Have the provider, or the strategy's table, say so from now on."""
        self._wanted[strategy].update(weights)
        if strategy in self.cast.tables:
            self._tables[strategy] = dict(weights)
            self.show_table(strategy)
            return
        rows = [{"symbol": symbol, "allocation": weight} for symbol, weight in weights.items()]
        self._tell_provider("PUT", f"{strategy}/allocations", {"allocations": rows})

    def followers(self, symbol: str) -> set[str]:
        """Accounts with a strategy that has had such a target."""
        wanting = {strategy for strategy, symbols in self._wanted.items() if symbol in symbols}
        return {str(entry["account_id"]) for entry in self.cast.accounts if wanting & _strategies(entry)}

    def break_targets(self, strategy: str, status: int, body: str) -> None:
        """Have the provider answer literally; a table has those words."""
        if strategy in self.cast.tables:
            self._replace_table(strategy, body)
            return
        self._tell_provider("PUT", f"{strategy}/raw", {"status": status, "body": body})

    def mend_targets(self, strategy: str) -> None:
        """Have the provider, or the table, say the targets again."""
        if strategy in self.cast.tables:
            self.show_table(strategy)
            return
        self._tell_provider("DELETE", f"{strategy}/raw")

    def write_accounts(self, entries: Sequence[Mapping[str, Any]]) -> None:
        """Replace the accounts file as an editor does, at once."""
        content: dict[str, Any] = {"accounts": [self._entry(entry) for entry in entries]}
        if self.cast.partners:
            content["gateways"] = {PARTNER: {"port": 4012, "trading_mode": "paper"}}
        if self.cast.guards:
            content["strategies"] = {strategy: dict(guard) for strategy, guard in self.cast.guards.items()}
        if self.cast.tables:
            wide = {"min_symbols_percent": 0, "max_turnover_percent": 200, "weights": "fraction"}
            content["sources"] = {one: {"file": str(self._table(one)), **wide} for one in sorted(self.cast.tables)}
        new = self.accounts_file.with_suffix(".new")
        new.write_text(yaml.safe_dump(content))
        new.replace(self.accounts_file)

    def _entry(self, entry: Mapping[str, Any]) -> dict[str, Any]:
        gateway = self._gateway_of(entry["account_id"])
        return dict(entry) if gateway == MAIN_GATEWAY else {**entry, "gateway": gateway}

    def set_clock(self, ahead_s: float) -> None:
        """Put the wall clock of the product's programs forward, or back, where all are forks."""
        clock.set_clock(self._clock, ahead_s)

    def _table(self, strategy: str) -> Path:
        return self._data.with_name(f"{self._data.name}-{strategy}.json")

    def _replace_table(self, strategy: str, text: str) -> None:
        new = self._table(strategy).with_suffix(".new")
        new.write_text(text)
        new.replace(self._table(strategy))

    def _tell_provider(self, method: str, path: str, body: object = None) -> None:
        headers = {"x-api-key": self._url("ALLOCATIONS_API_KEY")}
        address = f"{self._url('ALLOCATIONS_BASE_URL')}/{path}"
        self._http.request(method, address, headers=headers, json=body).raise_for_status()

    def _programs(self, site: Site) -> tuple[Program, ...]:
        """Servers, allocations and beat as always; gateway and Ably with control ports; workers; the listener."""
        known = {program.name: program for program in default_programs(site)}
        others = [self._product(known[f"worker-{PARTNER}"])] if self.cast.partners else []
        return (
            *(self._gateway_program(site, name) for name in site.logins),
            known["allocations"],
            self._ably_program(site),
            *(self._product(self._worker(known["worker"], number, site)) for number in range(self.cast.workers)),
            *others,
            self._product(known["beat"]),
            self._product(known["listener"]),
        )

    def _gateway_program(self, site: Site, gateway: str) -> Program:
        name, books = program_of("gateway", gateway), f"{program_of('books', gateway)}.json"
        port, control = site.ports[name], stable_port(site.folder.ports / f"{name}-control")
        self._gateways[gateway] = f"http://{LOOPBACK}:{control}"
        options = ["--port", str(port), "--control-port", str(control), "--data", str(site.folder.root / books)]
        if self.cast.partners:
            options += ["--accounts", ",".join(site.logins[gateway])]
        if self.cast.scenario is not None:
            file = site.folder.root / f"{program_of('scenario', gateway)}.yaml"
            file.write_text(yaml.safe_dump(dict(self.cast.scenario)))
            options += ["--scenario", str(file)]
        argv = (sys.executable, rebalancer_command(), "sandbox", "gateway", *options)
        return Program(name, argv, Group.SERVERS, tcp_accepts(LOOPBACK, port))

    def _ably_program(self, site: Site) -> Program:
        port, control = site.ports["ably"], stable_port(site.folder.ports / "ably-control")
        self._ably = f"http://{LOOPBACK}:{control}"
        options = ["--port", str(port), "--control-port", str(control), "--key", site.environment["REALTIME_API_KEY"]]
        options += ["--data", str(site.folder.root / "ably.sqlite")]
        argv = (sys.executable, rebalancer_command(), "sandbox", "ably", *options)
        return Program("ably", argv, Group.SERVERS, tcp_accepts(LOOPBACK, port))

    def _worker(self, worker: Program, number: int, site: Site) -> Program:
        """The first has the usual name."""
        if not number:
            return worker
        node = f"worker-{number}@{socket.gethostname()}"
        argv = (sys.executable, "-m", "tasks", "worker", "--hostname", node)
        ready = worker_answers(site.environment["REDIS_URL"], node)
        return replace(worker, name=f"worker-{number}", argv=argv, is_ready=ready)

    def _product(self, program: Program) -> Program:
        """As it is, or broken."""
        python, *arguments = program.argv
        if not self.cast.broken:
            return program
        module = arguments[arguments.index("-m") + 1 :]
        return replace(program, argv=(python, "-m", "sandbox.chaos.sabotage", self.cast.broken, *module))

    def _url(self, name: str) -> str:
        return self.stack.site.environment[name]

    def _wait_for_listener(self) -> None:
        """What is published before a channel's first baseline is not for anybody."""
        heard = set(self.cast.targets) - self.cast.tables
        if not self.wait_until(lambda: self._attached() >= heard, READY_S, poll_s=0.25):
            raise StartFailed("listener", "did not attach", self.stack.site.folder.log("listener"), "see its log")
        if not self.wait_until(lambda: not self.unread_tables(), READY_S, poll_s=0.25):
            raise StartFailed("beat", "did not read the tables", self.stack.site.folder.log("beat"), "see its log")

    def _attached(self) -> set[str]:
        with self.ledger.begin() as session:
            return invariants.attached(session)


def _strategies(entry: Mapping[str, Any]) -> set[str]:
    """Names; of a blend those of its members."""
    blend = {str(one["name"]) for one in entry.get("strategies", ())}
    return blend or {str(entry["strategy_name"])}
