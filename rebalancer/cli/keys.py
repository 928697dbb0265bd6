"""Keys of programs, and the one-time link with which a browser signs in."""

from __future__ import annotations

import re
import socket
from datetime import timedelta
from typing import Annotated, Any

import typer

from rebalancer.cli.chosen_stack import on_a_stack
from rebalancer.cli.operator_identity import operator
from rebalancer.cli.output import Json, done, print_json, services, show
from rebalancer.cli.tables import table
from rebalancer.config import api_settings
from rebalancer.domain import page_addresses
from rebalancer.domain.errors import RequestRefused
from rebalancer.domain.scopes import EVERYTHING, Scope
from rebalancer.ledger import audit_log, credentials
from rebalancer.ledger.session import Ledger, Session

LINK_LIFETIME = timedelta(minutes=10)
NAME = re.compile(api_settings.NAME)

app = typer.Typer(no_args_is_help=True, help="Keys of the API and sessions of browsers: make, list and revoke them.")


@app.command("add")
@on_a_stack
def add(
    name: Annotated[str, typer.Argument(help="What the record of changes calls it, for example grafana.")],
    scope: Annotated[list[Scope], typer.Option(help="What it may do, beside reading; may be repeated.")],
    as_json: Json = False,
) -> None:
    """Make a key and print it, this once: only a hash of it is kept."""
    if NAME.fullmatch(name) is None:
        raise RequestRefused(
            "a key's name has up to 40 letters, digits, dots, dashes and underscores, and begins with a letter"
        )
    with services().ledger.begin() as session:
        token = credentials.make_key(session, name, scope, operator())
        if token is None:
            raise RequestRefused(f"there is a key {name}: revoke it first, or take another name")
        _note(session, "make key", name, scopes=sorted(scope))
    done(as_json, token, key=token, name=name, scopes=sorted(scope))


@app.command("list")
@on_a_stack
def listed(as_json: Json = False) -> None:
    """Show what opens the API, beside MANAGEMENT_API_KEY: keys, links that nobody used yet, browsers signed in."""
    with services().ledger.begin() as session:
        rows = credentials.in_force(session)
    if as_json:
        print_json({"credentials": [_facts(row) for row in rows]})
        return
    view = table("=id", "=kind", "=name", "may", "made, UTC", "by", "until, UTC")
    for row in rows:
        until = f"{row.expires_at:%Y-%m-%d %H:%M}" if row.expires_at else "revoked"
        may, made = ", ".join(sorted(row.scopes)), f"{row.created_at:%Y-%m-%d %H:%M}"
        view.add_row(str(row.id), row.kind, row.name, may, made, row.created_by, until)
    show(False, rows, view, "No key was made, and no browser is signed in.")


@app.command("revoke")
@on_a_stack
def revoke(
    which: Annotated[str, typer.Argument(help="Name of a key, or the id of anything that `list` shows.")],
    as_json: Json = False,
) -> None:
    """End a key with the sessions that it opened, a session, or a link."""
    with services().ledger.begin() as session:
        found = [
            row
            for row in credentials.in_force(session)
            if which == str(row.id) or (row.kind is credentials.CredentialKind.KEY and which == row.name)
        ]
        if not found:
            raise RequestRefused(f"nothing of the name or id {which} opens: see `rebalancer keys list`")
        _note(session, "revoke", f"{found[0].kind} {found[0].name}")
        ended = credentials.end(session, found[0].id, operator())
    done(as_json, f"revoked {found[0].kind} {found[0].name}", name=found[0].name, ended=ended)


def open_page(
    scope: Annotated[
        list[Scope] | None, typer.Option(help="What the browser may do, beside reading; everything without this.")
    ] = None,
    url: Annotated[str | None, typer.Option(help="Address of the page, where it is reached by another one.")] = None,
    as_json: Json = False,
) -> None:
    """Print a link that signs one browser in to the page: once, and within ten minutes."""
    here = services()
    served = page_addresses.address(here.settings.api.api_host, here.settings.api.api_port)
    link = entrance(here.ledger, url or served, frozenset(scope) if scope else EVERYTHING)
    done(as_json, link, link=link, seconds=int(LINK_LIFETIME.total_seconds()))


def entrance(ledger: Ledger, address: str, scopes: frozenset[Scope] = EVERYTHING) -> str:
    """A new one-time link, on record."""
    with ledger.begin() as session:
        _note(session, "make link", "page", scopes=sorted(scopes))
        token = credentials.make_link(session, scopes, operator(), LINK_LIFETIME)
    return page_addresses.entrance(address, token)


def _note(session: Session, action: str, subject: str, **detail: Any) -> None:
    audit_log.note(session, operator(), socket.gethostname(), action=action, subject=subject, detail=detail)


def _facts(row: credentials.Credential) -> dict[str, Any]:
    times = {"created_at": row.created_at, "expires_at": row.expires_at}
    return {
        "id": row.id,
        "kind": row.kind,
        "name": row.name,
        "scopes": sorted(row.scopes),
        "by": row.created_by,
        **times,
    }
