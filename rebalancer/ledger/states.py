"""States of signals, events and attempts."""

from __future__ import annotations

from enum import StrEnum


class EventState(StrEnum):
    """Where an event is; the first four are active."""

    QUEUED = "queued"
    RETRYING = "retrying"
    HELD = "held"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    REMOVED = "removed"


WAITING = (EventState.QUEUED, EventState.RETRYING, EventState.HELD)
ACTIVE = (*WAITING, EventState.RUNNING)


class SignalState(StrEnum):
    """What became of a signal when it arrived."""

    ACCEPTED = "accepted"
    QUARANTINED = "quarantined"
    UNADDRESSED = "unaddressed"
    """No enabled account follows its strategy."""


class Outcome(StrEnum):
    """How an attempt ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    HELD = "held"
    REMOVED = "removed"
    LOST = "lost"
    REJECTED = "rejected"
    """It was held with a plan that a person then refused."""


def sql_list(values: type[StrEnum]) -> str:
    """The members as an SQL list of literals."""
    return ", ".join(f"'{value}'" for value in values)
