"""What the gateway says, as frozen values, before anyone decides what it means."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from rebalancer.domain.order_states import OrderStatus
from rebalancer.domain.orders import CommissionReport, Fill, MarginChange, OpenOrder, PriceStep
from rebalancer.domain.portfolio import Position, Side


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
class PositionMessage:
    """A position or positionMulti message: what an account holds of a contract, 0 when it has just been closed.

    Attributes:
        request_id: which it answers; 0 where the whole login's positions were asked for.
        model_code: of the model that holds it; empty: the account.
    """

    account_id: str
    position: Position
    request_id: int = 0
    model_code: str = ""


@dataclass(frozen=True, slots=True)
class MarkMessage:
    """A portfolioValue message: what the broker values all of a holding at, in the currency of its contract."""

    account_id: str
    contract_id: int
    currency: str
    value: Decimal


@dataclass(frozen=True, slots=True)
class CompletedOrderRow:
    """A completedOrder message that is read when it is wanted: each list has those of the whole login and day, and
    hardly any of them matters.

    Attributes:
        account_id / order_ref: empty where the gateway left them out.
        read: its other fields too.
    """

    account_id: str
    order_ref: str
    read: Callable[[], CompletedOrderMessage]


@dataclass(frozen=True, slots=True)
class CompletedOrderMessage:
    """A completedOrder message; it carries neither order id nor client id.

    Attributes:
        account_id / order_ref: empty where the gateway left them out.
        filled: ``None`` where the gateway left it out.
        quantity: of the whole order; 0 where the gateway left it out, as of filled orders.
        ended_at: ``None`` where it cannot be read.
    """

    account_id: str
    order_ref: str
    perm_id: int
    status: OrderStatus
    filled: Decimal | None
    symbol: str
    side: Side
    quantity: Decimal
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class ExecutionMessage:
    """An execDetails message.

    Attributes:
        request_id: -1 when pushed, else the request that it answers.
        fill: of quantity 0 where the message says no more than its cumulative quantity.
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
class MarketRuleMessage:
    """A marketRule message.

    Attributes:
        steps: edges increasing; empty when the rule is not usable.
    """

    rule_id: int
    steps: tuple[PriceStep, ...]


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


@dataclass(frozen=True, slots=True)
class UnreadableMessage:
    """A message that could not be read, by its number (0: not even that): an answer that it belongs to is not whole."""

    number: int


Message = (
    StatusMessage
    | OpenOrderMessage
    | PositionMessage
    | MarkMessage
    | CompletedOrderRow
    | ExecutionMessage
    | WhatIfMessage
    | CommissionReport
    | MarketRuleMessage
    | ErrorMessage
    | UnreadableMessage
)
