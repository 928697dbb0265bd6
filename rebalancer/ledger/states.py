"""States of signals, events and attempts."""

from __future__ import annotations

from enum import StrEnum

from rebalancer.domain.rule_names import Rule


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
MENDABLE = (Rule.CLOCK_APART, Rule.OTHER_INSTALLATION, Rule.ORDERS_UNACCOUNTED)
"""What holds an event only until it looks again by itself: a person may have mended it before."""


def is_retriable(state: EventState, rule: str | None) -> bool:
    """Whether an event waits for nothing but its next try, which a person may have at once."""
    if state is EventState.HELD:
        return rule in MENDABLE
    return state is EventState.RETRYING and rule != Rule.BUSY


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
