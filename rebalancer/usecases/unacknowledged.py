"""Orders that the gateway took and said nothing of: nothing more is sent for the account while one may wait there."""

from __future__ import annotations

from collections.abc import Collection

from rebalancer.usecases.desk import Desk, NotNow
from rebalancer.usecases.leaving import leave_clean


def settle_unacknowledged(desk: Desk) -> None:
    """Look again: what is listed by now is cancelled and accounted for, what a restart has wiped out is released.

    Raises:
        NotNow: some may still wait behind a window of the gateway.
        GatewayUnavailable, OutcomeUnknown: the broker did not say.
    """
    if desk.run.unacknowledged():
        leave_clean(desk)
    desk.run.release_unacknowledged(desk.policy.gateway)
    require_acknowledged(desk)


def require_acknowledged(desk: Desk) -> None:
    """Stop while an order of the account may wait behind a window.

    Raises:
        NotNow: the account is halted for it.
    """
    if refs := desk.run.unacknowledged():
        hold_for(desk, refs)


def hold_for(desk: Desk, order_refs: Collection[str]) -> None:
    """Halt the account for orders of which the gateway has said nothing.

    Raises:
        NotNow: always; the account is looked at again by itself, and people are told.
    """
    raise NotNow(desk.run.hold_unacknowledged(order_refs).blocks)
