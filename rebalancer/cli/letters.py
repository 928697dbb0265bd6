"""A letter as it is, or would be, sent; with amounts, since nothing leaves the house."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from rebalancer.cli.output import Json, known_accounts, print_json, services
from rebalancer.cli.tables import put, table
from rebalancer.domain.errors import RequestRefused
from rebalancer.domain.periods import Period
from rebalancer.notify.letter_sections import LetterTable, Section
from rebalancer.operations.letters import at_home, details
from rebalancer.services import Services


def letter(
    *,
    month: Annotated[str | None, typer.Option(help="As in 2026-10; the last one by default.")] = None,
    week: Annotated[str | None, typer.Option(help="First of the seven days, as in 2026-10-26.")] = None,
    account: Annotated[str | None, typer.Option(help="Only this account's.", autocompletion=known_accounts)] = None,
    pdf: Annotated[Path | None, typer.Option(help="Write it to this file instead.")] = None,
    as_json: Json = False,
) -> None:
    """Show the letter about a month or a week, whether or not any is sent."""
    here, period = services(), _period(month, week)
    if account is not None:
        here.accounts().get(account)
    found = details(here, period, None if account is None else [account])
    if as_json:
        print_json({"period": period.name, "accounts": found})
    elif not found:
        put(f"Nothing is on record of {period}.")
    elif pdf is not None:
        _write(here, period, found, pdf)
    else:
        _show(period, at_home(here, found))


def _period(month: str | None, week: str | None) -> Period:
    """The one that was asked for.

    Raises:
        RequestRefused: it is none, or two are.
    """
    if month and week:
        raise RequestRefused("--month and --week are two letters: ask for one")
    asked = month or week
    if asked is None:
        return Period.month(datetime.now(UTC).date().replace(day=1) - timedelta(days=1))
    try:
        found = Period.named(asked)
    except ValueError as wrong:
        raise RequestRefused(str(wrong)) from wrong
    if found.kind != ("month" if month else "week"):
        raise RequestRefused(f"--month takes a month as in 2026-10, --week a day as in 2026-10-26, not {asked}")
    return found


def _write(here: Services, period: Period, found: dict[str, dict[str, Any]], file: Path) -> None:
    from rebalancer.notify.letter_pdf import pdf  # noqa: PLC0415 - who reads it here does without

    try:
        file.write_bytes(pdf(f"Letter of {period}", at_home(here, found)))
    except OSError as error:
        raise RequestRefused(f"{file} cannot be written: {error.strerror}; name another one with --pdf") from error
    put(f"written: {escape(str(file))}")


def _show(period: Period, sections: list[Section]) -> None:
    put(f"[bold]Letter of {period}[/]")
    for one in sections:
        put(f"\n[bold]{escape(one.title)}[/]")
        for name, told in one.facts:
            put(f"{name:<13}{escape(told)}")
        for rows in one.tables:
            put(_table(rows))
            for remark in rows.remarks:
                put(f"[dim]{escape(remark)}[/]")


def _table(rows: LetterTable) -> Any:
    first, *others = rows.head
    view = table(f"={first}", *(f">{name}" for name in others), title=f"\n{rows.title}")
    for row in rows.rows:
        view.add_row(*map(escape, row))
    return view
