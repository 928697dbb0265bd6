"""What accounts earned, and where they differ from their strategies."""

from __future__ import annotations

from dataclasses import asdict
from decimal import Decimal
from typing import Annotated

import typer
from rich.markup import escape

from rebalancer.cli.days import Since, Until, span_of
from rebalancer.cli.output import Json, known_accounts, print_json, services
from rebalancer.cli.tables import put, table
from rebalancer.domain.units import Ratio, percent_text
from rebalancer.ledger.queries.account_returns import account_returns
from rebalancer.returns.gap import Performance, Returns
from rebalancer.returns.wording import MEANINGS, NOTHING, remarks


def returns(
    account: Annotated[
        str | None, typer.Argument(help="Account id; every account if it is left out.", autocompletion=known_accounts)
    ] = None,
    since: Since = None,
    until: Until = None,
    as_json: Json = False,
) -> None:
    """Show what accounts earned, what their strategies did, and what the gap is made of."""
    here, span = services(), span_of(since, until)
    known = here.accounts()
    asked = [one.account_id for one in known] if account is None else [known.get(account).account_id]
    with here.ledger.begin() as session:
        found = {one: account_returns(session, one, span) for one in asked}
    if as_json:
        told = [asdict(one) | {"gap": one.gap, "gap_rate": one.gap_rate} for one in found.values() if one]
        print_json({"returns": told, "nothing": [name for name, one in found.items() if one is None]})
        return
    for name, one in found.items():
        if one is None:
            put(f"{name}: {NOTHING}")
        else:
            _put(one)


def _put(found: Returns) -> None:
    span = f"{found.begin:%Y-%m-%d} to {found.end:%Y-%m-%d}, {found.runs} rebalances"
    view = table("row", ">USD", ">return", "what it is", title=f"{found.account_id}, {span}")
    if found.strategy is not None:
        view.add_row("strategy", f"{found.strategy.final:,.2f}", _rate(found.strategy.time_weighted))
    for one in found.parts:
        view.add_row(
            f"  {one.part}", f"{one.usd:+,.2f}", f"{one.rate * 10_000:+.2f} bp", f"[dim]{MEANINGS[one.part]}[/]"
        )
    view.add_row("account", f"{found.account.final:,.2f}", _rate(found.account.time_weighted))
    put(view)
    put(f"earned {found.earned:+,.2f} USD on {found.start:,.2f}; {found.came:+,.2f} USD came or went")
    put(f"account: {_measures(found.account)}")
    if found.strategy is not None:
        put(f"strategy: {_measures(found.strategy)}")
    for remark in remarks(found):
        put(f"[dim]{escape(remark)}[/]")


def _measures(one: Performance) -> str:
    figures = f"time-weighted {_rate(one.time_weighted)}, money-weighted {_rate(one.money_weighted)}"
    if one.time_weighted_annual is None:
        return figures
    return f"{figures}; a year {_rate(one.time_weighted_annual)} and {_rate(one.money_weighted_annual)}"


def _rate(rate: Decimal | None) -> str:
    return "unknown" if rate is None else percent_text(Ratio(rate), 2)
