"""When a failed event is due again: never given up, never in a hurry."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from rebalancer.domain.errors import ConfigurationError, OrderRejected, Refused

TRANSIENT_PATIENCE = 10
"""Failures in a row before a person is told and the pace slows."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Delays between tries.

    Attributes:
        slow_delay: once a person has to resolve it.
        patience: refusals in a row before that.
    """

    delay: timedelta
    slow_delay: timedelta
    patience: int


@dataclass(frozen=True, slots=True)
class NextTry:
    """When, and whether a person has to look.

    Attributes:
        refused: the failure is of a kind that another try hardly changes.
    """

    delay: timedelta
    refused: bool
    needs_attention: bool


def next_try(error: BaseException, failures: int, refusals: int, policy: RetryPolicy) -> NextTry:
    """Decide on the next try.

    Args:
        error: why this try failed.
        failures: failures in a row before this one.
        refusals: those among them, in a row, that a person has to resolve.
    """
    if isinstance(error, ConfigurationError | OrderRejected | Refused):
        late = refusals + 1 >= policy.patience
        return NextTry(policy.slow_delay if late else policy.delay, refused=True, needs_attention=late)
    late = failures + 1 >= TRANSIENT_PATIENCE
    slower = min(5 * policy.delay, max(policy.slow_delay, policy.delay))
    return NextTry(slower if late else policy.delay, refused=False, needs_attention=late)
