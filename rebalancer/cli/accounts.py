"""The accounts: how they are configured, what they hold and are worth, how far they are from their targets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any

import typer

from rebalancer.cli.output import AccountArgument, Json, Limit, print_json, services, show
from rebalancer.cli.progress import outcome
from rebalancer.cli.results import WEIGHTS, percent, positions, report, usd
from rebalancer.cli.tables import console, named, put, table
from rebalancer.domain.accounts import MAIN_GATEWAY
from rebalancer.domain.commands import Command
from rebalancer.domain.errors import RecordUnavailable, RequestRefused
from rebalancer.domain.units import Usd
from rebalancer.ledger.queries import cash_flows as recorded_flows
from rebalancer.ledger.queries import portfolio
from rebalancer.ledger.queries.portfolio import Portfolio
from rebalancer.ledger.session import Session
from rebalancer.planning.weights import CASH

Fresh = Annotated[bool, typer.Option("--fresh", help="Ask the broker now instead of the newest record.")]
WaitSeconds = Annotated[float, typer.Option("--wait", min=0.1, help="With --fresh: seconds to wait for the broker.")]


STATE = (">equity, USD", ">today", ">drift", "last rebalance")


def accounts(as_json: Json = False) -> None:
    """List the configured accounts, each as its newest record has it."""
    here = services()
    configured = list(here.accounts())
    try:
        with here.ledger.begin() as session:
            known = states(session, [account.account_id for account in configured])
    except RecordUnavailable:
        typer.echo("The ledger cannot be reached: this is the configuration alone.", err=True)
        known = {}
    rows = [asdict(account) | known.get(account.account_id, {}) for account in configured]
    by_id = {account.account_id: account for account in configured}
    view = table("=account", "strategy", ">reserve", *STATE)
    for row in rows:
        view.add_row(
            named(row["account_id"], by_id),
            row["strategy"] + _at(row["gateway"]) + ("" if row["enabled"] else " [dim](disabled)[/]"),
            f"{row['cash_reserve_percent']} %",
            *shown(row),
        )
    show(as_json, rows, view, "No account.")


def _at(gateway: str) -> str:
    """Nothing where there is only the main one."""
    return "" if gateway == MAIN_GATEWAY else f" [dim]at {gateway}[/]"


def states(session: Session, account_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """What is on record of each account; money in USD, drift as a fraction."""
    newest, runs = portfolio.portfolios(session, account_ids), portfolio.runs(session, account_ids)
    return {one: _state(newest.get(one)) | asdict(runs[one]) for one in account_ids}


def shown(state: dict[str, Any]) -> tuple[str, str, str, str]:
    """Equity, today's gain, drift and last rebalance as a table has them; empty where unknown."""
    last: datetime | None = state.get("last_rebalance_at")
    gain: Decimal | None = state.get("gain_today")
    return (
        usd(state.get("net_liquidation")),
        "" if gain is None else f"{gain:+,.2f}",
        percent(state.get("drift")),
        f"{last:%Y-%m-%d %H:%M}" if last else "never",
    )


def show_positions(
    account: AccountArgument, fresh: Fresh = False, wait_s: WaitSeconds = 30, as_json: Json = False
) -> None:
    """Show what an account holds: from the newest record of a run, or asked now."""
    if fresh:
        _ask(account, Command.PRINT_POSITIONS, wait_s, as_json=as_json)
    found = _newest(account)
    held = [asdict(one) for one in found.holdings]
    if as_json:
        lines = [{**asdict(line), "drift": line.drift} for line in found.lines]
        print_json({"account_id": account, "timestamp": found.at, "positions": held, "weights": lines})
        return
    targets = {line.symbol: percent(line.target) for line in found.lines}
    rows = [{**one, "weight": percent(one["weight"]), "target": targets.get(one["symbol"])} for one in held]
    if (spare := found.cash_line) is not None:
        rows.append({"symbol": CASH, "weight": percent(spare.current), "target": percent(spare.target)})
    put(positions(rows))
    put(f"[dim]{WEIGHTS}; as of {found.at:%Y-%m-%d %H:%M:%S} UTC[/]")


def show_value(account: AccountArgument, fresh: Fresh = False, wait_s: WaitSeconds = 30, as_json: Json = False) -> None:
    """Show what an account is worth: from the newest record of a run, or asked now."""
    if fresh:
        _ask(account, Command.PRINT_EQUITY, wait_s, as_json=as_json)
    state = _state(_newest(account))
    if as_json:
        print_json({"account_id": account, "timestamp": state["as_of"], **state})
        return
    for heading, name in (("equity", "net_liquidation"), ("cash", "cash"), ("gain today", "gain_today")):
        console.print(f"{heading:<12} {usd(state[name]) or 'unknown':>16} USD", highlight=False)
    if base := state.get("base"):
        for heading, name in (("equity", "net_liquidation"), ("cash", "cash")):
            console.print(f"{heading:<12} {usd(base[name]):>16} {base['currency']}", highlight=False)
        console.print(f"[dim]{base['rate']} {base['currency']} for one USD, as the broker has it[/]", highlight=False)
    console.print(f"[dim]as of {state['as_of']:%Y-%m-%d %H:%M:%S} UTC[/]")


def cash_flows(account: AccountArgument, limit: Limit = 20, as_json: Json = False) -> None:
    """Show what came to an account or went without a trade, the newest first."""
    here = services()
    here.accounts().get(account)
    with here.ledger.begin() as session:
        rows = recorded_flows.newest(session, account, limit)
    view = table("=seen, UTC", "kind", ">USD")
    for row in rows:
        view.add_row(f"{row.at:%Y-%m-%d %H:%M}", str(row.kind or "unknown"), f"{row.amount:+,.2f}")
    show(as_json, rows, view, "Nothing came or went, as far as the record tells.")


def _state(newest: Portfolio | None) -> dict[str, Any]:
    if newest is None:
        return dict.fromkeys(("as_of", "net_liquidation", "cash", "gain_today", "drift"))
    return {
        "as_of": newest.at,
        "net_liquidation": newest.net_liquidation,
        "cash": newest.cash,
        **({"base": newest.base.told(Usd(newest.net_liquidation))} if newest.base else {}),
        "gain_today": newest.gain_today(datetime.now(UTC)),
        "drift": newest.drift,
    }


def _ask(account: str, command: Command, wait_s: float, *, as_json: bool) -> None:
    asked, found = outcome(services(), account, command, wait_s)
    raise typer.Exit(report(asked, found, as_json=as_json))


def _newest(account_id: str) -> Portfolio:
    here = services()
    here.accounts().get(account_id)
    with here.ledger.begin() as session:
        found = portfolio.portfolio(session, account_id)
    if found is None:
        raise RequestRefused(f"nothing is on record of {account_id} yet; ask the broker with --fresh")
    return found
