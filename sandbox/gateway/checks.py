"""Why an order is refused: one function per rule, in the order in which the gateway looks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rebalancer.domain.money import ZERO
from rebalancer.domain.order_states import OrderStatus
from rebalancer.domain.portfolio import OrderType, Side
from sandbox.gateway import scenario
from sandbox.gateway.exchange_accounts import Valuation
from sandbox.gateway.exchange_books import Book
from sandbox.gateway.exchange_events import Order
from sandbox.gateway.market import Listing, Market
from sandbox.gateway.tickets import Ticket

REJECTED = 201
_TIMES_IN_FORCE = ("", "DAY", "GTC")
_LIMITED = frozenset({OrderType.LIMIT, OrderType.LIMIT_ON_CLOSE})


@dataclass(frozen=True, slots=True)
class Refusal:
    """An IBKR error code and its text."""

    code: int
    text: str


_READ_ONLY = Refusal(321, "Error validating request: The API interface is currently in Read-Only mode.")


@dataclass(frozen=True, slots=True)
class Lingering(Refusal):
    """A refusal that is not told, or after which the order is still in a list.

    Attributes:
        listed: as open and Inactive.
        completed: as completed.
    """

    told: bool
    listed: bool
    completed: bool


@dataclass(frozen=True, slots=True)
class OrderChecks:
    """What the rules look at."""

    settings: scenario.Gateway
    market: Market
    book: Book

    def valuation(self, account: str) -> Valuation:
        """An account at market prices."""
        held = self.book.accounts[account].holdings
        units = {one: self.market.quote(one).mark * self.market.listing(one).spec.multiplier for one in held}
        return self.book.valuation(account, units)


def refuse_ticket(checks: OrderChecks, ticket: Ticket) -> Refusal | None:
    """First reason not to take an order at all; it then never reaches the book."""
    return next((refusal for rule in _TICKET_RULES if (refusal := rule(checks, ticket))), None)


def refuse_order(checks: OrderChecks, order: Order) -> Refusal | None:
    """First reason to reject a well-formed order: it appears in the book as cancelled."""
    return next((refusal for rule in _ORDER_RULES if (refusal := rule(checks, order))), None)


def refuse_change(checks: OrderChecks, order: Order, ticket: Ticket) -> Refusal | None:
    """Why an order cannot become what ``ticket`` asks."""
    if not order.open:
        return _ended(order)
    if ticket.order_type != order.ticket.order_type:
        return Refusal(329, "Order modify failed. Cannot change to the new order type.")
    if (ticket.algo_strategy, ticket.algo_params) != (order.ticket.algo_strategy, order.ticket.algo_params):
        return Refusal(440, "Order modify failed. Algorithm cannot be modified.")
    listing = checks.market.find(ticket.contract)
    same = (order.symbol, order.side, order.account) == (listing and listing.symbol, ticket.action, ticket.account)
    if not same or ticket.quantity <= order.filled:
        return Refusal(105, "Order being modified does not match original order")
    return None


def refuse_cost(checks: OrderChecks, order: Order, changed: Order) -> Refusal | None:
    """Why the account cannot carry the changed order instead of the present one."""
    if order.side is Side.SELL:
        more = changed.ticket.quantity - order.ticket.quantity
        enough = more <= checks.book.sellable(order.account, order.symbol)
    else:
        cost = checks.book.buying_cost(changed) - checks.book.buying_cost(order)
        enough = cost <= 0 or checks.valuation(order.account).affords(cost)
    return None if enough else Refusal(REJECTED, "Order rejected - reason:The account cannot carry the change")


def refuse_cancel(checks: OrderChecks, order_id: int, order: Order | None) -> Refusal | None:
    """Why a cancel changes nothing; ``order`` is what its number names, ``None`` where it names nothing."""
    if checks.settings.read_only:
        return _READ_ONLY
    if order is None:
        return Refusal(10147, f"OrderId {order_id} that needs to be cancelled is not found.")
    if not order.open or order.status is OrderStatus.PENDING_CANCEL:
        state = f"OrderId {order_id} that needs to be cancelled can not be cancelled, state: {order.status}."
        return Refusal(10148, state)
    return None


def _ended(order: Order) -> Refusal:
    if order.remaining == 0:
        return Refusal(104, "Cannot modify a filled order.")
    return Refusal(103, "Duplicate order id")


def _listing(checks: OrderChecks, ticket: Ticket) -> Listing | None:
    return checks.market.find(ticket.contract)


def _read_only(checks: OrderChecks, _ticket: Ticket) -> Refusal | None:
    return _READ_ONLY if checks.settings.read_only else None


def _known_contract(checks: OrderChecks, ticket: Ticket) -> Refusal | None:
    if not ticket.contract.exchange:
        return Refusal(321, "Error validating request: Missing order exchange")
    listing = _listing(checks, ticket)
    if listing is None:
        return Refusal(200, "No security definition has been found for the request")
    if not listing.traded:
        return Refusal(387, f"Unsupported order type for this exchange and security type: {listing.spec.security_type}")
    return None


def _smart_routed(checks: OrderChecks, ticket: Ticket) -> Refusal | None:
    listing = _listing(checks, ticket)
    if listing is not None and listing.pair:
        return None
    if ticket.contract.exchange != "SMART":
        return Refusal(10311, "This order will be directly routed to the exchange; precautionary settings forbid it.")
    return None


def _known_account(checks: OrderChecks, ticket: Ticket) -> Refusal | None:
    if not ticket.account and len(checks.book.accounts) > 1:
        return Refusal(435, "You must specify an account.")
    if ticket.account and ticket.account not in checks.book.accounts:
        return Refusal(REJECTED, "Order rejected - reason:Invalid or missing IBCustAcctNo")
    return None


def _simulated(_checks: OrderChecks, ticket: Ticket) -> Refusal | None:
    if ticket.unsupported:
        return Refusal(387, f"Unsupported order feature: {', '.join(ticket.unsupported)} is not simulated")
    if ticket.order_type not in frozenset(OrderType):
        return Refusal(387, f"Unsupported order type for this exchange and security type: {ticket.order_type}")
    if ticket.action not in frozenset(Side):
        return Refusal(321, f"Error validating request: Invalid side {ticket.action}")
    if ticket.time_in_force not in _TIMES_IN_FORCE:
        return Refusal(111, "The TIF (time in force) and the order type are incompatible.")
    return None


def _whole_quantity(_checks: OrderChecks, ticket: Ticket) -> Refusal | None:
    if ticket.quantity <= 0:
        return Refusal(434, "The order size cannot be zero.")
    if ticket.quantity != int(ticket.quantity):
        return Refusal(10243, "Fractional-sized order cannot be placed via API.")
    return None


def _conforming_size(checks: OrderChecks, ticket: Ticket) -> Refusal | None:
    listing = _listing(checks, ticket)
    if listing is None:
        return None
    least, step = listing.spec.min_size, listing.spec.size_increment
    if ticket.quantity < least:
        return Refusal(388, f"Order size {ticket.quantity:f} is smaller than the minimum required size of {least:f}.")
    if step and ticket.quantity % step:
        return Refusal(355, "Order size does not conform to market rule.")
    return None


def _limit_price(checks: OrderChecks, ticket: Ticket) -> Refusal | None:
    limit = ticket.limit
    if (limit is None and ticket.order_type in _LIMITED) or (limit is not None and limit <= 0):
        return Refusal(321, "Error validating request: Missing limit price")
    listing = _listing(checks, ticket)
    if listing and limit is not None and limit % listing.step_at(limit):
        return Refusal(110, "The price does not conform to the minimum price variation for this contract.")
    return None


def _not_too_many(checks: OrderChecks, order: Order) -> Refusal | None:
    mine = (order.account, order.symbol, order.side)
    alike = [other for other in checks.book.open_orders() if (other.account, other.symbol, other.side) == mine]
    if len(alike) >= checks.settings.max_orders_per_side:
        return Refusal(REJECTED, f"Order rejected - reason:Limit of {len(alike)} active orders per side is reached")
    return None


def _exchangeable(checks: OrderChecks, order: Order) -> Refusal | None:
    """Without margin no currency may be owed; with it IBKR lends what is missing."""
    account = checks.book.accounts[order.account]
    if order.pair is None or account.margin:
        return None
    usd, foreign = order.pair.changes(order.side, order.remaining, order.reserve_price)
    left = {"USD": account.cash + usd, order.pair.foreign: account.other_cash.get(order.pair.foreign, ZERO) + foreign}
    owed = ", ".join(f"{-amount:.2f} {currency}" for currency, amount in left.items() if amount < 0)
    return Refusal(REJECTED, f"Order rejected - reason:Your account would owe {owed}") if owed else None


def _affordable(checks: OrderChecks, order: Order) -> Refusal | None:
    if order.side is Side.SELL or order.pair:
        return None
    valuation = checks.valuation(order.account)
    cost = checks.book.buying_cost(order)
    if valuation.affords(cost):
        return None
    return Refusal(
        REJECTED,
        "Order rejected - reason:Your account has insufficient funds. "
        f"AVAILABLE FUNDS [{valuation.funds:.2f} USD], ORDER COST [{cost:.2f} USD]",
    )


def _held(checks: OrderChecks, order: Order) -> Refusal | None:
    selling = order.side is Side.SELL and not order.pair
    if selling and order.remaining > checks.book.sellable(order.account, order.symbol):
        return Refusal(REJECTED, f"Order rejected - reason:This account cannot hold short positions ({order.symbol})")
    return None


_TICKET_RULES: tuple[Callable[[OrderChecks, Ticket], Refusal | None], ...] = (
    _read_only,
    _known_contract,
    _smart_routed,
    _known_account,
    _simulated,
    _whole_quantity,
    _conforming_size,
    _limit_price,
)
_ORDER_RULES: tuple[Callable[[OrderChecks, Order], Refusal | None], ...] = (
    _not_too_many,
    _exchangeable,
    _affordable,
    _held,
)
