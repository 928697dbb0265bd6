"""Plans that wait for a person, as tables of orders: what would be traded, at what price, and what it would change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from rebalancer.domain.approvals import Approval
from rebalancer.domain.currencies import CurrencyPair, dollars
from rebalancer.domain.money import ZERO
from rebalancer.ledger import approvals
from rebalancer.ledger.session import Session
from rebalancer.planning.conversion import every_order

IN_FULL = 5
"""Plans that the overview shows in full; beyond, each is a line that opens."""
LISTED_ORDERS = 80
"""Orders that are sent with the overview; those of further plans are fetched when they are looked at."""


@dataclass(frozen=True, slots=True)
class PlannedOrder:
    """One order of a plan; amounts in USD, unsigned.

    Attributes:
        before: its symbol's share of investable equity now; it and what else an old record lacks is ``None``.
        after: the same once the plan is carried out.
    """

    side: str
    symbol: str
    amount: Decimal
    shares: int | None = None
    price: Decimal | None = None
    before: Decimal | None = None
    after: Decimal | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class WaitingPlan:
    """A plan before a person.

    Attributes:
        orders: sells first, each side with the largest first; a conversion of currencies where it is sent.
        sold: USD of the sells.
        bought: USD of the buys.
        turnover: sells and buys as a fraction of equity.
        fees: USD that the plan expects to pay.
        listed: its orders are sent along where many plans are.
    """

    approval: Approval
    orders: tuple[PlannedOrder, ...]
    sold: Decimal
    bought: Decimal
    turnover: Decimal | None
    fees: Decimal | None
    listed: bool = True

    @property
    def largest(self) -> PlannedOrder | None:
        """By its amount."""
        return max(self.orders, key=lambda order: order.amount, default=None)


def waiting_plans(session: Session, account_id: str | None = None) -> tuple[WaitingPlan, ...]:
    """Plans that wait, oldest first; of one account, or of all."""
    found: list[WaitingPlan] = []
    listed = 0
    for approval in approvals.pending(session, account_id):
        listed += len(approval.orders)
        found.append(waiting_plan(approval, listed=not found or listed <= LISTED_ORDERS))
    return tuple(found)


def waiting_plan(approval: Approval, *, listed: bool = True) -> WaitingPlan:
    """One plan as a table."""
    plan = approval.plan
    known = every_order(plan)
    orders = _planned(plan) if known else _amounts(approval.orders)
    stocks = [order for order in orders if CurrencyPair.read(order.symbol) is None]
    exchanged = [order for order in orders if order not in stocks]
    last = exchanged if (plan.get("conversion") or {}).get("back") else []
    between = [] if last else exchanged
    sells, buys = ([order for order in stocks if order.side == side] for side in ("SELL", "BUY"))
    sold, bought = _total(sells), _total(buys)
    equity = Decimal(plan.get("equity") or 0)
    return WaitingPlan(
        approval=approval,
        orders=(*_largest_first(sells), *between, *_largest_first(buys), *last),
        sold=sold,
        bought=bought,
        turnover=(sold + bought) / equity if equity > 0 else None,
        fees=sum((Decimal(order["fee"]) for order in known), ZERO) if known else None,
        listed=listed,
    )


def _planned(plan: Mapping[str, Any]) -> list[PlannedOrder]:
    lines = {line["symbol"]: line for line in plan["lines"]}
    return [
        PlannedOrder(
            side=order["side"],
            symbol=order["symbol"],
            amount=dollars(order["symbol"], Decimal(order["quantity"]), Decimal(order["price"])),
            shares=order["quantity"],
            price=Decimal(order["price"]),
            before=_weight(lines.get(order["symbol"]), "current_weight"),
            after=_weight(lines.get(order["symbol"]), "planned_weight"),
            reason=order["reason"],
        )
        for order in every_order(plan)
    ]


def _amounts(orders: Mapping[str, Decimal]) -> list[PlannedOrder]:
    """What is known without the plan; sells are negative there."""
    return [PlannedOrder("SELL" if usd < 0 else "BUY", symbol, abs(usd)) for symbol, usd in orders.items()]


def _weight(line: Mapping[str, Any] | None, which: str) -> Decimal | None:
    return None if line is None else Decimal(line[which])


def _largest_first(orders: list[PlannedOrder]) -> list[PlannedOrder]:
    return sorted(orders, key=lambda order: (-order.amount, order.symbol))


def _total(orders: list[PlannedOrder]) -> Decimal:
    return sum((order.amount for order in orders), ZERO)
