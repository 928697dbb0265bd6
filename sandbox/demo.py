"""`make demo`: seven accounts brought to new targets, from nothing, on one machine, over the real connections."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from uuid import UUID, uuid4

from ably.sync import AblyRestSync
from ably.sync.types.message import Message
from rich._export_format import CONSOLE_SVG_FORMAT
from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from rebalancer.cli.keys import entrance
from rebalancer.config.accounts_file import Account
from rebalancer.config.running_stack import DEMO, shown
from rebalancer.config.settings import Settings
from rebalancer.domain.commands import Command
from rebalancer.domain.loopback import LOOPBACK
from rebalancer.domain.money import ZERO
from rebalancer.ledger.queries import event_search, invariants, signals
from rebalancer.ledger.queries.run_report import RunReport, run_report
from rebalancer.ledger.session import Ledger
from rebalancer.ledger.states import EventState
from rebalancer.planning.weights import CASH, WeightLine
from rebalancer.runner.anew import begin_anew
from rebalancer.runner.cli import explained_failures
from rebalancer.runner.programs import rebalancer_command
from rebalancer.runner.site import PAGE
from rebalancer.runner.stack import Stack, StackOptions
from rebalancer.runner.waiting import wait_until
from rebalancer.services import Services

DATA = DEMO
TO_TRY = ("accounts", "rebalance DU1000002 --dry-run", "events")
ROUND_S = 60.0
REFRESH_S = 0.05

MARKS = {
    EventState.QUEUED: "[cyan]queued[/]",
    EventState.RUNNING: "[bold cyan]running[/]",
    EventState.RETRYING: "[yellow]retrying[/]",
    EventState.HELD: "[magenta]held[/]",
    EventState.SUCCEEDED: "[green]done[/]",
    EventState.REMOVED: "[red]removed[/]",
}


@dataclass(frozen=True, slots=True)
class Round:
    """One command, run for every account."""

    command: Command
    reports: Mapping[str, RunReport]
    seconds: float


def run(*, keep: bool, picture: Path | None = None) -> int:
    """Run the demo, from an empty folder each time, whatever became of the one before.

    Args:
        keep: leave everything running until Ctrl-C.
        picture: also save the result as SVG.

    Returns:
        0 only if every account ended on target.
    """
    console = Console(highlight=False)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    with explained_failures() as failed:
        succeeded = _play(console, picture, keep=keep)
    if failed or succeeded is None:
        return 1
    if not keep:
        console.print("Everything is stopped again. To look around, leave it running: [bold]make demo KEEP=1[/]")
    return 0 if succeeded else 1


def _play(console: Console, picture: Path | None, *, keep: bool) -> bool | None:
    """Whether every account ended on target; ``None`` if somebody else has stopped the demo."""
    environment = {"WORKER_CONCURRENCY": "7", "ACCOUNTS_FILE": "accounts.yaml"}
    console.rule("[bold]Starting PostgreSQL, Redis, gateway, worker, API and Flower")
    progress = _progress(console)
    begin_anew(DATA, progress)
    with Stack(StackOptions(DATA, sandbox=True, environment=environment), progress) as stack:
        try:
            settings = Settings.of_environment(stack.site.environment)
            succeeded = Demo(console, settings, stack).perform(picture)
            if keep:
                _leave_running(console, stack, settings)
        except Exception:
            if stack.supervisor_exit() is None:
                raise
            console.print("[red]Stopped from elsewhere: by `rebalancer down`, or by another demo.[/]")
            return None
    return succeeded


class Demo:
    """The script: dry run, live run, proof; each is a message on the strategy's channel, published with Ably's SDK."""

    def __init__(self, console: Console, settings: Settings, stack: Stack) -> None:
        self._console = console
        self._stack = stack
        self._ledger = Ledger(settings.stores.database_url)
        self._accounts = list(Services.of(settings).accounts())
        self._channel = self._accounts[0].strategy
        self._ably = AblyRestSync(
            settings.signals.require("realtime_api_key"),
            endpoint=LOOPBACK,
            port=stack.site.ports["ably"],
            tls=False,
            use_token_auth=True,
        )

    def perform(self, picture: Path | None) -> bool:
        """Every account from where it is to its targets; true when a last dry run finds nothing left to do."""
        self._until("the listener is attached", self._attached)
        self._round("Signal {}: a dry run, the safe default", Command.PRINT_REBALANCE)
        self._console.print("[dim]The listener is down while the next signal is published.[/]")
        live = self._round('Signal {"exec": "rebalance"}: live, sells first', Command.REBALANCE, listener_down=True)
        check = self._round("Proof: what is left to do", Command.PRINT_REBALANCE)
        left = sum(_orders_left(check, account) for account in self._accounts)
        outcome = Group(_weights_table(self._accounts, live, check), _verdict(live, left))
        self._console.print(outcome)
        if picture is not None:
            _save(outcome, picture)
        return left == 0

    def _round(self, title: str, command: Command, *, listener_down: bool = False) -> Round:
        self._console.rule(f"[bold]{escape(title)}")
        if listener_down:
            self._stack.pause("listener")
        message_id = self._publish({"exec": "rebalance"} if command is Command.REBALANCE else {})
        if listener_down:
            self._stack.proceed("listener")
        self._until("the signal is on record", lambda: bool(self._served(message_id)))
        started = time.monotonic()
        event_ids = self._served(message_id)
        with Live(console=self._console, refresh_per_second=1 / REFRESH_S) as live:
            for states in self._states(event_ids):
                live.update(_progress_table(self._accounts, command, states))
        seconds = time.monotonic() - started
        with self._ledger.begin() as session:
            reports = {account: run_report(session, event_id) for account, event_id in event_ids.items()}
        return Round(command, {account: report for account, report in reports.items() if report}, seconds)

    def _publish(self, payload: dict[str, str]) -> str:
        message_id = f"{uuid4().hex}:0"
        self._ably.channels.get(self._channel).publish(Message(data=payload, id=message_id))
        return message_id

    def _served(self, message_id: str) -> dict[str, UUID]:
        """Event by account, of the signal that this message became."""
        with self._ledger.begin() as session:
            return signals.events_of_message(session, self._channel, message_id)

    def _attached(self) -> bool:
        with self._ledger.begin() as session:
            return self._channel in invariants.attached(session)

    def _until(self, what: str, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + ROUND_S
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{what}: not within {ROUND_S:.0f} s")
            time.sleep(REFRESH_S)

    def _states(self, event_ids: Mapping[str, UUID]) -> Iterator[dict[str, event_search.EventView]]:
        """The events as they are now, again and again, until all have ended or time is up."""
        deadline = time.monotonic() + ROUND_S
        while True:
            with self._ledger.begin() as session:
                found = {account: event_search.event(session, event_id) for account, event_id in event_ids.items()}
            states = {account: view for account, view in found.items() if view}
            yield states
            if all(view.finished_at for view in states.values()) or time.monotonic() > deadline:
                return
            time.sleep(REFRESH_S)


def _progress(console: Console) -> Callable[[str, str], None]:
    started = time.monotonic()

    def tell(stage: str, detail: str) -> None:
        console.print(f"[dim]{time.monotonic() - started:6.1f} s[/]  {stage} {detail}")

    return tell


def _progress_table(accounts: list[Account], command: Command, states: Mapping[str, event_search.EventView]) -> Table:
    table = Table("account", "command", "state", "reason", box=None)
    for account in accounts:
        view = states.get(account.account_id)
        state = MARKS[view.state] if view else ""
        reason = (view.last_error or "" if view.state is EventState.RETRYING else view.reason) if view else ""
        table.add_row(account.account_id, str(command), state, reason)
    return table


def _weights_table(accounts: list[Account], live: Round, check: Round) -> Table:
    table = Table(
        title="Weights in percent of investable equity: before → target → after", box=SIMPLE_HEAD, pad_edge=False
    )
    for heading in ("account", "weights", "orders", "fees", "s", "left"):
        left = heading in ("account", "weights")
        table.add_column(heading, justify="left" if left else "right", no_wrap=heading == "weights")
    for account in accounts:
        report = live.reports.get(account.account_id)
        if report is None:
            table.add_row(account.account_id, "[red]no run on record[/]")
            continue
        table.add_row(
            _label(account),
            "\n".join(_weight_lines(report)),
            str(report.orders),
            f"{report.commissions:.2f}",
            f"{report.seconds:.2f}" if report.outcome == "succeeded" else f"[red]{report.error or 'unfinished'}[/]",
            str(_orders_left(check, account)),
            end_section=True,
        )
    return table


def _label(account: Account) -> str:
    facts = [account.account_id, f"reserve {account.cash_reserve_percent} %"]
    if account.replacement_set:
        facts.append(f"set {account.replacement_set}")
    return "\n".join(facts)


def _weight_lines(report: RunReport) -> list[str]:
    first = {line.symbol: line for line in report.before}
    last = {line.symbol: line for line in report.after}
    lines = []
    for symbol in sorted(first.keys() | last.keys(), key=lambda symbol: (symbol == CASH, symbol)):
        before, after = first.get(symbol), last.get(symbol)
        target = (after or before or WeightLine(symbol, ZERO, ZERO)).target
        shares = (before.current if before else ZERO, target, after.current if after else ZERO)
        lines.append(f"{symbol:<5}" + " → ".join(f"{100 * share:6.2f}" for share in shares))
    return lines


def _orders_left(check: Round, account: Account) -> int:
    report = check.reports.get(account.account_id)
    if report is None or report.result is None:
        return 1
    return len(report.result["orders"])


def _verdict(live: Round, left: int) -> str:
    orders = sum(report.orders for report in live.reports.values())
    fees = sum(report.commissions for report in live.reports.values())
    summary = f"{len(live.reports)} accounts, {orders} orders, {fees:.2f} USD in fees, {live.seconds:.2f} s"
    return f"[green]Every account is on target:[/] {summary}" if left == 0 else f"[red]Not on target:[/] {summary}"


def _save(outcome: Group, path: Path) -> None:
    """Save as SVG, without the remote font that rich would name."""
    console = Console(record=True, width=92, file=StringIO())
    console.print(outcome)
    plain = re.sub(r"@font-face \{\{.*?\}\}", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    console.save_svg(str(path), title="make demo", code_format=plain)


def _leave_running(console: Console, stack: Stack, settings: Settings) -> None:
    """Say where everything is and what to try, until Ctrl-C or until somebody else stops it."""
    site, command = stack.site, shown(Path(rebalancer_command()))
    console.rule("[bold]It is running: look around")
    facts = {
        "page": site.addresses[PAGE],
        "sign in, once": entrance(Ledger(settings.stores.database_url), site.addresses[PAGE]),
        "management key": site.environment["MANAGEMENT_API_KEY"],
        "Flower": f"http://127.0.0.1:{site.ports['flower']}",
        "Flower's login": site.flower_login.replace(":", " / ", 1),
    }
    for name, fact in facts.items():
        console.print(f"{name:<15} {escape(fact)}", soft_wrap=True)
    console.print("Three commands to try, in a second terminal in this folder:")
    for words in TO_TRY:
        console.print(f"  {escape(command)} {words}", soft_wrap=True)
    console.print("Ctrl-C stops everything.")
    try:
        if wait_until(lambda: stack.supervisor_exit() is not None, float("inf"), poll_s=0.5):
            console.print("Stopped from elsewhere.")
    except KeyboardInterrupt:
        console.print("Stopping.")
