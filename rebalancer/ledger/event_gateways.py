"""Waiting events follow their account when the accounts file gives it to another gateway."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import exists, select, update

from rebalancer.domain.accounts import MAIN_GATEWAY
from rebalancer.domain.commands import Command
from rebalancer.ledger.models import Event
from rebalancer.ledger.session import Session
from rebalancer.ledger.states import WAITING

ANY = select(exists().where(Event.state.in_(WAITING), Event.gateway != MAIN_GATEWAY))
"""Without one, and without gateways in the accounts file, :func:`follow` finds nothing."""
ANY_WAITING = select(exists().where(Event.state.in_(WAITING)))
"""Without one it finds nothing whatever the file says."""


@dataclass(frozen=True, slots=True)
class Moved:
    """An event that waits for another gateway's workers now."""

    event_id: UUID
    account_id: str
    command: Command
    gateway: str


def follow(session: Session, gateway_of: Callable[[str], str | None]) -> list[Moved]:
    """Give every waiting event to the gateway of its account; one that runs is left alone until it waits again.

    Args:
        gateway_of: by account; ``None`` for one that the file does not know, whose orders are where they were.
    """
    waiting = select(Event.id, Event.account_id, Event.command, Event.gateway).where(Event.state.in_(WAITING))
    found = [
        Moved(row.id, row.account_id, Command(row.command), gateway)
        for row in session.execute(waiting.with_for_update(skip_locked=True))
        if (gateway := gateway_of(row.account_id)) not in (None, row.gateway)
    ]
    for one in found:
        session.execute(update(Event).where(Event.id == one.event_id).values(gateway=one.gateway, dispatched_at=None))
    return found
