"""Who types, and that it goes on record before it is done."""

from __future__ import annotations

import getpass
import socket
from typing import Any

from rebalancer.domain.actors import COMMAND_LINE
from rebalancer.ledger import audit_log
from rebalancer.services import Services


def operator() -> str:
    """Who types, for the record."""
    return getpass.getuser() + COMMAND_LINE


def note(services: Services, action: str, subject: str, **detail: Any) -> None:
    """Put a change on record before it is made, where ``rebalancer audit`` and ``GET /audit`` show it.

    Raises:
        RecordUnavailable: it could not be recorded, so it must not be made.
    """
    with services.ledger.begin() as session:
        audit_log.note(session, operator(), socket.gethostname(), action=action, subject=subject, detail=detail)
