"""Orders that the gateway took and said nothing of: nothing more is sent for the account while one may wait there."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import timedelta

from rebalancer.usecases.context import NotNow, RunContext

AGAIN = timedelta(minutes=15)
"""After which the broker is asked again for them, whoever else halts the account."""


def release_unacknowledged(context: RunContext) -> None:
    """After a look at the broker's lists, release what a restart of the gateway has wiped out.

    Raises:
        NotNow: some may still wait behind a window of the gateway.
    """
    context.run.release_unacknowledged(context.policy.gateway)
    require_acknowledged(context)


def require_acknowledged(context: RunContext) -> None:
    """Stop while an order of the account may wait behind a window.

    Raises:
        NotNow: the account is halted for it.
    """
    if refs := context.run.unacknowledged():
        hold_for(context, refs)


def hold_for(context: RunContext, order_refs: Collection[str]) -> None:
    """Halt the account for orders of which the gateway has said nothing.

    Raises:
        NotNow: always; the account is looked at again by itself, and people are told.
    """
    blocked = context.run.hold_unacknowledged(order_refs)
    raise NotNow(replace(blocked, until=min(blocked.until, context.clock() + AGAIN)))
