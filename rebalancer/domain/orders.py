"""What we ask of the broker and what the broker says of it, as frozen values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from rebalancer.domain.money import CENT, ONE, ZERO, ceil_to_tick, floor_to_tick
from rebalancer.domain.order_states import OrderStatus
from rebalancer.domain.order_styles import StyleChoice
from rebalancer.domain.portfolio import OrderType, Side, TimeInForce


@dataclass(frozen=True, slots=True)
class PriceStep:
    """From this price on, prices are multiples of ``step``, until the next one begins; USD."""

    edge: Decimal
    step: Decimal


@dataclass(frozen=True, slots=True)
class Instrument:
    """A stock or ETF in USD as the broker defines it, or a pair of currencies.

    Attributes:
        contract_id: IBKR's conId.
        primary_exchange: where it is listed; it is traded through SMART.
        min_tick: USD, the smallest step at any price and on any exchange; orders need those of :attr:`price_steps`.
        liquid_hours: IBKR's text, e.g. ``20261123:0930-20261123:1600;20261126:CLOSED``, in ``time_zone``.
        trading_hours: the same including extended hours.
        price_steps: of the market rule, edges increasing from 0; without a rule a cent from 1 USD, below ``min_tick``.
        lot: shares; the quantity of every order is a multiple of it.
        security_type: IBKR's, ``CASH`` of a pair of currencies; its symbol is then ``EUR.USD``.
    """

    symbol: str
    contract_id: int
    primary_exchange: str
    min_tick: Decimal
    time_zone: str
    liquid_hours: str
    trading_hours: str
    price_steps: tuple[PriceStep, ...] = ()
    lot: int = 1
    security_type: str = "STK"

    def step_at(self, price: Decimal) -> Decimal:
        """USD between two possible prices of an order around ``price``."""
        return next(rule.step for rule in reversed(self._rules) if price >= rule.edge)

    def floor_price(self, price: Decimal) -> Decimal:
        """Highest possible price of an order that is not above ``price``; 0 if there is none."""
        below: Decimal | None = None
        for rule in reversed(self._rules):
            if price >= rule.edge:
                found = floor_to_tick(price if below is None else below, rule.step)
                if found == below:
                    found -= rule.step
                if found >= rule.edge:
                    return found
                # The edge is no multiple of its own step: the next lower price is in the steps below it.
                below = rule.edge
        return ZERO

    def ceil_price(self, price: Decimal) -> Decimal:
        """Lowest possible price of an order that is not below ``price``."""
        found = price
        while (rounded := ceil_to_tick(found, self.step_at(found))) != found:
            found = rounded
        return found

    @property
    def _rules(self) -> tuple[PriceStep, ...]:
        return self.price_steps or (PriceStep(ZERO, self.min_tick), PriceStep(ONE, max(CENT, self.min_tick)))


@dataclass(frozen=True, slots=True)
class Definitions:
    """Which contract each symbol stands for, and what of the holdings is left alone.

    Attributes:
        instruments: by symbol, what would be traded now: US primary exchange, STK, USD. No unknown and no stale one.
        unknown: by symbol, why there is none that may be traded, in words.
        foreign: by contract id of a holding, a listing elsewhere or none at all under that id that is not ours to
            trade, in words: never traded, never counted.
        stale: by symbol, the held contract differs from the one that would be traded, in words: that symbol is refused,
            the rest goes on.
    """

    instruments: Mapping[str, Instrument]
    unknown: Mapping[str, str]
    foreign: Mapping[int, str]
    stale: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Algorithm:
    """One of IBKR's algorithms, which works an order instead of sending it on at once.

    Attributes:
        strategy: IBKR's algoStrategy, e.g. ``Adaptive``.
        parameters: tags and values as IBKR names them, e.g. ``("adaptivePriority", "Patient")``.
    """

    strategy: str
    parameters: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """One order to send.

    Attributes:
        order_ref: our identifier, unique for ever, committed to the ledger before the order is sent.
        limit_price: USD per share; ``None`` exactly for those that have none.
        security_type: of the instrument; the quantity of a pair of currencies is in its first one.
        algorithm: works the order, a market or a limit order; ``None`` where it is sent on as it is.
        style: for the record alone; ``None`` for an order without one.
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
    security_type: str = "STK"
    algorithm: Algorithm | None = None
    style: StyleChoice | None = None


@dataclass(frozen=True, slots=True)
class OpenOrder:
    """An order that may still fill, whoever placed it.

    Attributes:
        client_id: API client that owns it; 0 or negative order ids are a person's, placed in TWS.
        order_ref: empty when not ours.
        security_type / currency / contract_id: of what it trades; only ``STK`` in USD is ever ours.
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
    security_type: str = "STK"
    currency: str = "USD"
    contract_id: int = 0

    @property
    def lies_idle(self) -> bool:
        """It is Inactive, and nothing of it has filled."""
        return self.status is OrderStatus.INACTIVE and not self.filled

    @property
    def on_close(self) -> bool:
        """It rests until the closing auction, and from the cutoff on nobody can cancel it."""
        return self.order_type in {OrderType.MARKET_ON_CLOSE, OrderType.LIMIT_ON_CLOSE}


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
    """One execution of one of our orders, or shares that the broker states as filled without telling the execution.

    Attributes:
        execution_id: IBKR's; its part before the last dot identifies the execution, a higher last part corrects it.
        cumulative_quantity: shares of the order filled so far, this one included.
        stated_only: no execution was told: ``price`` is the plan's and ``at`` is when we heard of it.
        contract_id: of what was traded; 0 where that is not known.
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
    stated_only: bool = False
    contract_id: int = 0

    @property
    def signed(self) -> Decimal:
        """Shares that it adds to the account, negative when it sold them."""
        return self.quantity if self.side is Side.BUY else -self.quantity


@dataclass(frozen=True, slots=True)
class CommissionReport:
    """What one execution cost.

    Attributes:
        commission: in ``currency``, positive = paid.
        realized: gain (+) or loss that the broker books for it, in ``currency``; ``None`` for an execution that closes
            nothing, and where the broker does not say.
    """

    execution_id: str
    commission: Decimal
    currency: str
    realized: Decimal | None = None


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
class SentOrder:
    """One of our orders by all that can find it in the broker's lists.

    Attributes:
        side / quantity / intended_at: ``None`` and 0 where only its ref is known.
        perm_id / client_id: the broker's answer to it, as far as one came.
    """

    order_ref: str
    symbol: str = ""
    side: Side | None = None
    quantity: int = 0
    intended_at: datetime | None = None
    perm_id: int = 0
    client_id: int | None = None


@dataclass(frozen=True, slots=True)
class OrderTrace:
    """Everything that the broker knows of one of our orders, found after an uncertain send.

    Attributes:
        status: last known status.
        open: it may still fill.
        stated: shares filled, by the highest that any of its lists states; executions may be missing.
        by_likeness: found by symbol, side, quantity and time alone, so perhaps another's.
    """

    order_ref: str
    status: OrderStatus
    open: bool
    perm_id: int
    fills: tuple[Fill, ...]
    commissions: tuple[CommissionReport, ...]
    stated: Decimal = Decimal(0)
    by_likeness: bool = False

    @property
    def lies_idle(self) -> bool:
        """It is listed as Inactive, and nothing of it has filled."""
        return self.open and self.status is OrderStatus.INACTIVE and not self.stated and not self.fills


def split_execution_id(execution_id: str) -> tuple[str, int]:
    """IBKR's execution id without and with its last dotted part: a higher one corrects the same execution.

    >>> split_execution_id("0000e0d5.00000001.01.02")
    ('0000e0d5.00000001.01', 2)
    """
    base, _, revision = execution_id.rpartition(".")
    return (base, int(revision)) if base and revision.isdigit() else (execution_id, 0)
