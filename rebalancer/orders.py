"""What we ask of the broker and what the broker says of it, as frozen values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from rebalancer.model import OrderType, Side, TimeInForce
from rebalancer.order_states import OrderStatus


@dataclass(frozen=True, slots=True)
class Instrument:
    """A US stock or ETF as the broker defines it.

    Attributes:
        contract_id: IBKR's conId.
        min_tick: USD.
        liquid_hours: IBKR's text, e.g. ``20261123:0930-20261123:1600;20261126:CLOSED``, in ``time_zone``.
        trading_hours: the same including extended hours.
    """

    symbol: str
    contract_id: int
    primary_exchange: str
    min_tick: Decimal
    time_zone: str
    liquid_hours: str
    trading_hours: str


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """One order to send.

    Attributes:
        order_ref: our identifier, unique for ever, committed to the ledger before the order is sent.
        limit_price: USD per share; ``None`` exactly for market orders.
    """

    order_ref: str
    account_id: str
    symbol: str
    contract_id: int
    side: Side
    quantity: int
    order_type: OrderType
    time_in_force: TimeInForce
    limit_price: Decimal | None = None
    outside_regular_hours: bool = False


@dataclass(frozen=True, slots=True)
class OpenOrder:
    """An order that may still fill, whoever placed it.

    Attributes:
        client_id: API client that owns it; 0 or negative order ids are a person's, placed in TWS.
        order_ref: empty when not ours.
    """

    account_id: str
    order_id: int
    client_id: int
    perm_id: int
    order_ref: str
    symbol: str
    side: Side
    quantity: Decimal
    filled: Decimal
    order_type: str
    status: OrderStatus


@dataclass(frozen=True, slots=True)
class StatusUpdate:
    """The broker reported a status of one of our orders.

    Attributes:
        code / text: the broker's error or warning that came with it, if any.
        confirmed: the broker itself sent this status (``False``: inferred by the client library from an error).
        refused: ``code`` refuses the order for good; the same order again would be refused again.
        unacknowledged: the gateway has answered later questions, but said nothing of the order, and lists it nowhere.
    """

    order_ref: str
    at: datetime
    status: OrderStatus
    filled: Decimal
    remaining: Decimal
    order_id: int
    client_id: int
    perm_id: int
    code: int | None = None
    text: str | None = None
    confirmed: bool = True
    refused: bool = False
    unacknowledged: bool = False


@dataclass(frozen=True, slots=True)
class Fill:
    """One execution of one of our orders.

    Attributes:
        execution_id: IBKR's; its part before the last dot identifies the execution, a higher last part corrects it.
        cumulative_quantity: shares of the order filled so far, this one included.
    """

    order_ref: str
    execution_id: str
    at: datetime
    account_id: str
    symbol: str
    side: Side
    quantity: Decimal
    price: Decimal
    cumulative_quantity: Decimal
    perm_id: int


@dataclass(frozen=True, slots=True)
class CommissionReport:
    """What one execution cost.

    Attributes:
        commission: in ``currency``, positive = paid.
    """

    execution_id: str
    commission: Decimal
    currency: str


@dataclass(frozen=True, slots=True)
class MarginChange:
    """What the broker says that an order would do; USD.

    Attributes:
        initial / maintenance: change of the margin requirement.
        commission: estimate, ``None`` when it gave none.
    """

    initial: Decimal
    maintenance: Decimal
    commission: Decimal | None


OrderUpdate = StatusUpdate | Fill | CommissionReport


@dataclass(frozen=True, slots=True)
class OrderTrace:
    """Everything that the broker knows of one of our orders, found by its order ref after an uncertain send.

    Attributes:
        status: last known status.
        open: it may still fill.
    """

    order_ref: str
    status: OrderStatus
    open: bool
    perm_id: int
    fills: tuple[Fill, ...]
    commissions: tuple[CommissionReport, ...]
