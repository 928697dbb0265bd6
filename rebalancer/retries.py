"""When a failed event is due again: never given up, never in a hurry."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from rebalancer.errors import ConfigurationError, OrderRejected, Refused

PATIENCE = 3
"""Tries of a permanent kind before a person is asked and the pace slows."""
TRANSIENT_PATIENCE = 10
"""Tries of a transient kind before the pace slows."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Delays between tries."""

    delay: timedelta
    slow_delay: timedelta


@dataclass(frozen=True, slots=True)
class NextTry:
    """When, and whether a person has to look."""

    delay: timedelta
    needs_attention: bool


def next_try(error: BaseException, failures: int, policy: RetryPolicy) -> NextTry:
    """Decide on the next try.

    Args:
        error: why this try failed.
        failures: failures in a row before this one.
    """
    tries = failures + 1
    if isinstance(error, ConfigurationError | OrderRejected | Refused):
        late = tries >= PATIENCE
        return NextTry(policy.slow_delay if late else policy.delay, late)
    if tries >= TRANSIENT_PATIENCE:
        return NextTry(min(5 * policy.delay, max(policy.slow_delay, policy.delay)), needs_attention=True)
    return NextTry(policy.delay, needs_attention=False)
