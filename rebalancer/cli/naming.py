"""Which event is meant: by its id, by how that begins, or by the account whose plan waits."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from typing import Annotated
from uuid import UUID

import typer

from rebalancer.cli.output import known_accounts
from rebalancer.config.accounts_file import Account
from rebalancer.domain.errors import ConfigurationError, RequestRefused
from rebalancer.ledger.queries import event_search
from rebalancer.services import Services

LEAST = 4
"""Digits below which a beginning of an id is more likely a slip."""
START = re.compile(rf"[0-9a-f]{{{LEAST},32}}")

EventArgument = Annotated[
    str, typer.Argument(metavar="EVENT", help=f"Event id, or its first digits, at least {LEAST}: `rebalancer events`.")
]
PlanArgument = Annotated[
    str,
    typer.Argument(
        metavar="ACCOUNT",
        help="Account whose plan waits, or the event's id or first digits: `rebalancer approvals`.",
        autocompletion=known_accounts,
    ),
]


def accounts_by_id(services: Services) -> dict[str, Account]:
    """For names; none while the accounts file is wrong, which does not concern who looks at events."""
    try:
        return {account.account_id: account for account in services.accounts()}
    except ConfigurationError:
        return {}


def read_event(services: Services, text: str) -> UUID:
    """The event that a person named.

    Raises:
        RequestRefused: none is meant, or more than one.
    """

    def matching(start: str) -> Collection[UUID]:
        with services.ledger.begin() as session:
            return event_search.events_beginning(session, start)

    return _one(text, matching, "`rebalancer events` lists them")


def read_waiting(services: Services, text: str) -> UUID:
    """The event whose plan waits for a person, of an account by id or name, or by its own id.

    Raises:
        RequestRefused: no plan is meant, or more than one.
    """
    from rebalancer.operations.halts_and_approvals import waiting  # noqa: PLC0415 - who only looks does without

    pending, known = waiting(services), accounts_by_id(services)
    listing = "`rebalancer approvals` lists those that do"
    own = {account_id for account_id, account in known.items() if text in (account_id, account.name)}
    of_account = {row.event_id for row in pending if row.account_id in own | {text}}
    start = _digits(text) if _is_start(text) else "none"
    found = of_account | {row.event_id for row in pending if row.event_id.hex.startswith(start)}
    if len(found) > 1:
        raise RequestRefused(f"{text} is more than one plan: name the event; {listing}")
    if not found and own:
        raise RequestRefused(f"no plan of {text} waits for approval; {listing}")
    return found.pop() if found else _one(text, lambda _: (), listing, "no plan waits for approval with the id")


def _one(text: str, matching: Callable[[str], Collection[UUID]], listing: str, none: str = "no event") -> UUID:
    try:
        return UUID(text)
    except ValueError:
        pass
    if not _is_start(text):
        raise RequestRefused(f"{text!r} is no event id, nor {LEAST} or more of its first digits; {listing}")
    found = matching(_digits(text))
    if len(found) > 1:
        begin = ", ".join(map(str, found))
        raise RequestRefused(f"more than one event begins with {text}: {begin}; give more digits")
    if not found:
        raise RequestRefused(f"{none} {text}; {listing}")
    return next(iter(found))


def _digits(text: str) -> str:
    return text.replace("-", "").lower()


def _is_start(text: str) -> bool:
    return START.fullmatch(_digits(text)) is not None
