"""Is all well?"""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape

from rebalancer.cli.check_lines import check_line, headline_line
from rebalancer.cli.output import Json, known_accounts, print_json, services, speak_plainly
from rebalancer.cli.stacks import remedy
from rebalancer.cli.tables import console
from rebalancer.domain.errors import RecordUnavailable
from rebalancer.health import order_trial, readiness
from rebalancer.health.doctor import examine
from rebalancer.health.headline import Standing, standing
from rebalancer.health.readiness import Check
from rebalancer.ledger import approvals

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
            console.print(check_line(check), soft_wrap=True, highlight=False)
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
    stands: Standing | None = None
    try:
        with here.ledger.begin() as session:
            stands = standing(here, session, approvals.count(session))
        checks = stands.checks
    except RecordUnavailable:
        checks = readiness.check(here)
    ready = all(check.ok for check in checks)
    if as_json:
        remarks = stands.remarks if stands else ()
        queue = stands.queue if stands else None
        print_json({"ready": ready, "checks": checks, "remarks": remarks, "queue": queue})
    else:
        _print_health(checks, stands)
        if any(check.name in STORES and not check.ok for check in checks):
            console.print(escape(remedy()), soft_wrap=True, highlight=False)
    raise typer.Exit(0 if ready and stands is not None and not stands.queue.attention else 1)


def _print_health(checks: tuple[Check, ...], stands: Standing | None) -> None:
    if stands is not None:
        console.print(headline_line(stands.headline), soft_wrap=True, highlight=False)
    for check in (*checks, *(stands.remarks if stands else ())):
        console.print(check_line(check), soft_wrap=True, highlight=False)
    if stands is not None:
        states = ", ".join(f"{count} {state}" for state, count in stands.queue.by_state.items()) or "nothing"
        console.print(f"waiting or running: {states}; {stands.queue.attention} need attention", soft_wrap=True)
