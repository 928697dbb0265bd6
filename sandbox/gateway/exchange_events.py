"""What happens at the exchange, as sessions hear of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal

from rebalancer.domain.currencies import CurrencyPair
from rebalancer.domain.money import ZERO
from rebalancer.domain.order_states import OrderStatus
from rebalancer.domain.portfolio import Side
from sandbox.gateway.tickets import Ticket

Lagging = Literal["positions", "values", "funds"]
"""What is shown of an account, each perhaps later than it is so."""


@dataclass(frozen=True, slots=True)
class Order:
    """An order in the book.

    Attributes:
        client_id / order_id: its owner and the owner's number; 0 and 0 or less when entered by hand in TWS.
        perm_id: the login-wide number that survives sessions.
        symbol: what its contract turned out to be; of a pair of currencies its name.
        reserve_price: USD per share that its remaining quantity binds, when it is a buy.
        notional: sum of quantity x price over its fills, USD.
        ended_at: when it became final; ``end_text`` says why in words.
        rejected: it never worked; one that is open all the same stays Inactive and binds nothing.
        liquidation: IBKR itself sells, to restore the account's margin.
    """

    client_id: int
    order_id: int
    perm_id: int
    ticket: Ticket
    symbol: str
    side: Side
    status: OrderStatus
    placed_at: datetime
    reserve_price: Decimal
    filled: Decimal = ZERO
    notional: Decimal = ZERO
    last_price: Decimal = ZERO
    commission: Decimal = ZERO
    ended_at: datetime | None = None
    end_text: str = ""
    rejected: bool = False
    liquidation: bool = False

    def __hash__(self) -> int:
        """That of its number, which is quick."""
        return hash(self.perm_id)

    @property
    def account(self) -> str:
        """Account that it trades for."""
        return self.ticket.account

    @property
    def remaining(self) -> Decimal:
        """Shares not yet filled."""
        return self.ticket.quantity - self.filled

    @property
    def average_price(self) -> Decimal:
        """USD per share over its fills, 0 without any."""
        return self.notional / self.filled if self.filled else ZERO

    @property
    def open(self) -> bool:
        """True while it may still fill."""
        return not self.status.final

    @property
    def pair(self) -> CurrencyPair | None:
        """The currencies that it exchanges, if it does."""
        return CurrencyPair.read(self.symbol)

    @property
    def by_hand(self) -> bool:
        """True when a person entered it in TWS."""
        return self.client_id == 0 and self.order_id <= 0


@dataclass(frozen=True, slots=True)
class Execution:
    """One fill.

    Attributes:
        cumulative / average_price: of its order, this fill included.
        realized: profit that it realized, USD; ``None`` for a buy.
        commission_currency: of the commission; that of a conversion is charged in the account's base currency.
    """

    execution_id: str
    order: Order
    at: datetime
    quantity: Decimal
    price: Decimal
    cumulative: Decimal
    average_price: Decimal
    commission: Decimal
    realized: Decimal | None
    commission_currency: str = "USD"

    @property
    def notional(self) -> Decimal:
        """quantity x price, USD."""
        return self.quantity * self.price


@dataclass(frozen=True, slots=True)
class Split:
    """So many new shares for each old one; the price has changed.

    Attributes:
        announced_at: when the price changed.
        close_follows: the last close is told anew when every account shows its new holdings.
        booked_at: when holdings followed; ``None``: not yet.
        close_at: when the last close did.
    """

    symbol: str
    ratio: Decimal
    announced_at: datetime
    close_follows: bool = False
    booked_at: datetime | None = None
    close_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Movement:
    """Cash or shares that came (+) or went without a trade, as statements tell it.

    Attributes:
        kind: the statement's word for it.
        quantity: shares of ``symbol``.
        amount: of ``currency``.
    """

    at: datetime
    account: str
    kind: str
    symbol: str = ""
    quantity: Decimal = ZERO
    amount: Decimal = ZERO
    currency: str = "USD"


@dataclass(frozen=True, slots=True)
class OrderChanged:
    """An order has a new status, quantity or price.

    Attributes:
        with_order: also send the whole order (openOrder), not its status alone.
        with_commission: the order says what it cost.
    """

    order: Order
    with_order: bool = True
    with_commission: bool = False


@dataclass(frozen=True, slots=True)
class OrderNotice:
    """An error or a warning about an order, to its owner."""

    client_id: int
    order_id: int
    code: int
    text: str


@dataclass(frozen=True, slots=True)
class Executed:
    """An order filled, wholly or in part."""

    execution: Execution


@dataclass(frozen=True, slots=True)
class Commissioned:
    """The commission of a fill is known."""

    execution: Execution


@dataclass(frozen=True, slots=True)
class AccountChanged:
    """An account's cash, and perhaps the holding of one symbol, changed."""

    account: str
    symbol: str | None = None


@dataclass(frozen=True, slots=True)
class SystemNotice:
    """An error or a warning to every client, of no request."""

    code: int
    text: str


Event = OrderChanged | OrderNotice | Executed | Commissioned | AccountChanged | SystemNotice
