"""Is all well, now and as it goes on?"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.live import Live
from rich.markup import escape
from rich.table import Table

from rebalancer.cli.accounts import STATE, shown, states
from rebalancer.cli.naming import accounts_by_id
from rebalancer.cli.output import Json, known_accounts, print_json, services, speak_plainly
from rebalancer.cli.stacks import remedy
from rebalancer.cli.tables import console, named, table
from rebalancer.domain.errors import RecordUnavailable
from rebalancer.health import order_trial, readiness
from rebalancer.health.doctor import examine
from rebalancer.health.readiness import Check
from rebalancer.ledger.queries import event_search
from rebalancer.ledger.queries.event_search import EventView, QueueDetail
from rebalancer.ledger.states import ACTIVE
from rebalancer.operations import halts_and_approvals
from rebalancer.services import Services

CONFIGURATION = {"settings", "accounts"}
STORES = {"database", "redis"}


def doctor(
    as_json: Json = False,
    orders: Annotated[
        bool, typer.Option("--orders", help="Only send, and cancel, an order for one share far below the market.")
    ] = False,
    account: Annotated[
        str | None, typer.Option(help="With --orders: for this account.", autocompletion=known_accounts)
    ] = None,
) -> None:
    """Try out everything that the set-up depends on and say the remedy; exit code 1 if anything is wrong."""
    speak_plainly()
    checks = order_trial.prove(services(), account, _typed) if orders else examine()
    found = []
    for check in checks:
        found.append(check)
        if not as_json:
            console.print(_line(check), soft_wrap=True, highlight=False)
    if as_json:
        print_json(found)
    wrong = {check.name for check in found if not check.ok}
    raise typer.Exit(2 if wrong & CONFIGURATION else 1 if wrong else 0)


def _typed(question: str, wanted: str) -> bool:
    """Whether a person types what is wanted; on standard error, since standard output may be for scripts."""
    answer: str = typer.prompt(f"{question} Type {wanted} to go on", default="", show_default=False, err=True)
    return answer.strip() == wanted


def health(as_json: Json = False) -> None:
    """Can a signal be traded now, and what waits? Exit code 1 if not all is well."""
    here = services()
    checks = readiness.check(here)
    ready = all(check.ok for check in checks)
    queue: QueueDetail | None = None
    if checks[0].ok:  # the database, without which there is nothing to count
        with here.ledger.begin() as session:
            queue = event_search.queue_detail(session)
    if as_json:
        print_json({"ready": ready, "checks": checks, "queue": queue})
    else:
        _print_health(checks, queue)
        if any(check.name in STORES and not check.ok for check in checks):
            console.print(escape(remedy()), soft_wrap=True, highlight=False)
    raise typer.Exit(0 if ready and queue is not None and not queue.attention else 1)


def watch(every_s: Annotated[float, typer.Option("--every", min=0.2, help="Seconds between two looks.")] = 1.0) -> None:
    """Show accounts and queue as they change, until Ctrl-C."""
    here = services()
    try:
        with Live(console=console, refresh_per_second=4) as live:
            while True:
                live.update(_picture(here))
                time.sleep(every_s)
    except KeyboardInterrupt:
        raise typer.Exit from None


def _print_health(checks: tuple[Check, ...], queue: QueueDetail | None) -> None:
    for check in checks:
        console.print(_line(check), soft_wrap=True, highlight=False)
    if queue is not None:
        states = ", ".join(f"{count} {state}" for state, count in queue.by_state.items()) or "nothing"
        console.print(f"waiting or running: {states}; {queue.attention} need attention", soft_wrap=True)


def _picture(services: Services) -> RenderableType:
    try:
        with services.ledger.begin() as session:
            queue = event_search.find_events(session, ACTIVE, 30)
            ids = [account.account_id for account in services.accounts()]
            known = states(session, ids)
        by_id = accounts_by_id(services)
        halts = halts_and_approvals.halted(services)
    except RecordUnavailable as error:
        return f"[red]the ledger cannot be reached:[/] {escape(str(error).splitlines()[0])}"
    accounts = table("=account", *STATE, title="Accounts")
    for account_id in ids:
        accounts.add_row(named(account_id, by_id), *shown(known[account_id]))
    broken = [_line(check) for check in readiness.check(services) if not check.ok]
    stopped = [f"[red]halted:[/] {escape(one.scope)}: {escape(one.reason)}" for one in halts]
    return Group(*broken, *stopped, accounts, _queue(queue))


def _queue(rows: list[EventView]) -> Table:
    view = table("=account", "=command", "=state", ">tries", "=due", "why", title="Queue")
    for row in rows:
        left_s = round((row.due_at - datetime.now(UTC)).total_seconds())
        due = f"in {left_s} s" if 0 < left_s < 86_400 else ""
        why = row.last_error if row.last_error and row.state == "retrying" else row.reason
        view.add_row(row.account_id, row.exec_command, row.state, str(row.times_queued), due, escape(why))
    return view


def _line(check: Check) -> str:
    mark = "[red]FAIL[/]" if not check.ok else "[yellow]WARN[/]" if check.warning else "[green]ok[/]  "
    return f"{mark} {check.name}: {escape(check.detail)}"
