"""The commands, and how an unattended message becomes one.

Dry run is the safe default: on a channel only the exact payload ``{"exec": "rebalance"}`` trades.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum


class Command(StrEnum):
    """What can be done for one account; only REBALANCE places orders."""

    REBALANCE = "rebalance"
    PRINT_REBALANCE = "print-rebalance"
    PRINT_POSITIONS = "print-positions"
    PRINT_EQUITY = "print-equity"
    PRINT_ORDERS = "print-orders"
    CANCEL_ORDERS = "cancel-orders"

    @property
    def touches_orders(self) -> bool:
        """True when the command can change the account's orders."""
        return self in (Command.REBALANCE, Command.CANCEL_ORDERS)


@dataclass(frozen=True, slots=True)
class Reading:
    """What a channel message was taken for.

    Attributes:
        command: the command to run.
        remark: why a message that asked for something else became a dry run; ``None`` when it was taken literally.
    """

    command: Command
    remark: str | None = None


def read_payload(payload: object) -> Reading:
    """Read a channel message's payload; anything doubtful is a dry run.

    Args:
        payload: the message's data: an object, JSON text of an object, or whatever else arrived.

    Returns:
        REBALANCE only for the exact object ``{"exec": "rebalance"}`` (further keys are allowed beside ``exec``).
    """
    if isinstance(payload, str | bytes | bytearray):
        try:
            payload = json.loads(payload)
        except (ValueError, RecursionError):
            return Reading(Command.PRINT_REBALANCE, "payload is not JSON")
    if not isinstance(payload, dict):
        return Reading(Command.PRINT_REBALANCE, f"payload is {type(payload).__name__}, not an object")
    if "exec" not in payload:
        return Reading(Command.PRINT_REBALANCE, "payload has no exec")
    wanted = payload["exec"]
    if isinstance(wanted, str) and wanted in frozenset(Command):
        return Reading(Command(wanted))
    return Reading(Command.PRINT_REBALANCE, f"unknown exec {str(wanted)[:80]!r}")
