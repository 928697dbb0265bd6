"""What the gateway says, as frozen values, before anyone decides what it means."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from rebalancer.order_states import OrderStatus
from rebalancer.orders import CommissionReport, Fill, MarginChange, OpenOrder


@dataclass(frozen=True, slots=True)
class StatusMessage:
    """An orderStatus message; ib_async's own inferences never take this form."""

    at: datetime
    order_id: int
    client_id: int
    perm_id: int
    status: OrderStatus
    filled: Decimal
    remaining: Decimal


@dataclass(frozen=True, slots=True)
class OpenOrderMessage:
    """An openOrder message; ``order.filled`` is unknown here and therefore zero."""

    at: datetime
    order: OpenOrder


@dataclass(frozen=True, slots=True)
class CompletedOrderMessage:
    """A completedOrder message; it carries neither order id nor client id.

    Attributes:
        filled: ``None`` where the gateway left it out.
    """

    account_id: str
    order_ref: str
    perm_id: int
    status: OrderStatus
    filled: Decimal | None


@dataclass(frozen=True, slots=True)
class ExecutionMessage:
    """An execDetails message.

    Attributes:
        request_id: -1 when pushed, else the request that it answers.
        liquidation: IBKR has sold by itself, to restore the account's margin.
    """

    request_id: int
    order_id: int
    client_id: int
    fill: Fill
    liquidation: bool = False


@dataclass(frozen=True, slots=True)
class WhatIfMessage:
    """An openOrder message that answers a what-if order.

    Attributes:
        change: ``None`` while the gateway has not computed it.
    """

    order_id: int
    change: MarginChange | None


@dataclass(frozen=True, slots=True)
class AccountValueMessage:
    """An accountUpdateMulti message; values are texts."""

    request_id: int
    account_id: str
    model_code: str
    tag: str
    value: str
    currency: str


@dataclass(frozen=True, slots=True)
class ErrorMessage:
    """An error message.

    Attributes:
        request_id: order id, request id, or -1 for the connection as a whole.
    """

    at: datetime
    request_id: int
    code: int
    text: str


Message = (
    StatusMessage
    | OpenOrderMessage
    | CompletedOrderMessage
    | ExecutionMessage
    | WhatIfMessage
    | CommissionReport
    | AccountValueMessage
    | ErrorMessage
)
