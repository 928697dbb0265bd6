"""Life of an order at IBKR: statuses and the transitions between them, shared by product and sandbox.

Source: IBKR's TWS API documentation, "Possible order states"; ``ValidationError`` is ib_async's own for a warning.
"""

from __future__ import annotations

from enum import StrEnum


class OrderStatus(StrEnum):
    """Order statuses by IBKR's names."""

    API_PENDING = "ApiPending"
    PENDING_SUBMIT = "PendingSubmit"
    PRE_SUBMITTED = "PreSubmitted"
    SUBMITTED = "Submitted"
    PENDING_CANCEL = "PendingCancel"
    API_CANCELLED = "ApiCancelled"
    CANCELLED = "Cancelled"
    FILLED = "Filled"
    INACTIVE = "Inactive"
    VALIDATION_ERROR = "ValidationError"

    @property
    def final(self) -> bool:
        """True when nothing can follow; Inactive is not final, since IBKR can reactivate it."""
        return self in _FINAL

    @property
    def can_fill(self) -> bool:
        """True when a fill may still arrive: everything that is not final, PendingCancel included."""
        return self not in _FINAL


_FINAL = frozenset({OrderStatus.API_CANCELLED, OrderStatus.CANCELLED, OrderStatus.FILLED})

_WORKING = frozenset(
    {
        OrderStatus.PRE_SUBMITTED,
        OrderStatus.SUBMITTED,
        OrderStatus.PENDING_CANCEL,
        OrderStatus.INACTIVE,
        OrderStatus.VALIDATION_ERROR,
    }
)

TRANSITIONS: dict[OrderStatus, frozenset[OrderStatus]] = {
    OrderStatus.API_PENDING: _WORKING | _FINAL | {OrderStatus.PENDING_SUBMIT},
    OrderStatus.PENDING_SUBMIT: _WORKING | _FINAL,
    OrderStatus.PRE_SUBMITTED: _WORKING | _FINAL,
    OrderStatus.SUBMITTED: _WORKING | _FINAL,
    OrderStatus.VALIDATION_ERROR: _WORKING | _FINAL,
    OrderStatus.INACTIVE: _WORKING | _FINAL,
    OrderStatus.PENDING_CANCEL: _WORKING | _FINAL,
    # A cancel can lose the race against a fill that was already on its way.
    OrderStatus.CANCELLED: frozenset({OrderStatus.FILLED}),
    OrderStatus.API_CANCELLED: frozenset({OrderStatus.CANCELLED, OrderStatus.FILLED}),
    OrderStatus.FILLED: frozenset(),
}


def advance(current: OrderStatus, reported: OrderStatus) -> OrderStatus:
    """Status after a report: reports arrive twice and out of order, so an impossible step back is ignored.

    Args:
        current: what is on record.
        reported: what the broker now says.

    Returns:
        ``reported`` if it may follow ``current``, else ``current``.
    """
    return reported if reported in TRANSITIONS[current] else current
