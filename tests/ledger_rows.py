"""Rows as a run leaves them, for tests of what is shown of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

from rebalancer.domain.outcomes import FOREVER
from rebalancer.ledger import account_snapshots
from rebalancer.ledger.models import (
    ApprovalRow,
    Attempt,
    Event,
    FillRow,
    Order,
    OrderReport,
    Signal,
    SignalEvent,
)
from rebalancer.ledger.session import Ledger, Session

NOON = datetime(2026, 3, 2, 17, 0, tzinfo=UTC)
STRATEGY = "etf-blend-301-20"
PLAN = {
    "equity": "100000.00",
    "reserve": "1000.00",
    "investable": "99000.00",
    "spendable_cash": "59000.00",
    "lines": [
        {
            "symbol": symbol,
            "held": held,
            "price": "100",
            "target_weight": target,
            "current_weight": current,
            "planned_shares": shares,
            "planned_weight": target,
            "note": None,
        }
        for symbol, held, target, current, shares in (
            ("SPY", "400", "0.6", "0.404040", "594"),
            ("TLT", "0", "0.4", "0.000000", "396"),
        )
    ],
    "orders": [
        {"symbol": "SPY", "side": "BUY", "quantity": 194, "price": "100", "fee": "1.00", "reason": "below its target"}
    ],
    "notes": [],
}
SWITCH: dict[str, Any] = PLAN | {
    "lines": [
        {
            "symbol": symbol,
            "held": held,
            "price": price,
            "target_weight": target,
            "current_weight": current,
            "planned_shares": shares,
            "planned_weight": planned,
            "note": None,
        }
        for symbol, held, price, target, current, shares, planned in (
            ("SPY", "400", "100", "0.6", "0.404040", "594", "0.600000"),
            ("MSFT", "138", "415.74", "0", "0.579516", "0", "0.000000"),
        )
    ],
    "orders": [
        {"symbol": "SPY", "side": "BUY", "quantity": 194, "price": "100", "fee": "1.00", "reason": "below its target"},
        {"symbol": "MSFT", "side": "SELL", "quantity": 138, "price": "415.74", "fee": "1.50", "reason": "no target"},
    ],
}
"""A plan that sells one security for another."""
INPUTS = {
    "targets": {"strategy": STRATEGY, "as_of": "2026-03-01", "last_rebalance_on": None, "weights": {"SPY": "0.6"}},
    "weights": {"SPY": "0.6", "TLT": "0.4"},
    "quotes": {},
    "snapshot": {
        "at": NOON.isoformat(),
        "net_liquidation": "100000.00",
        "cash": "60000.00",
        "previous_equity": "99250.50",
    },
}
RESULT = {
    "account_id": "DU1000001",
    "execution_mode": "live",
    "equity_info": {
        "total_equity": "100000.00",
        "reserve_percentage": "1.0",
        "reserve_amount": "1000.00",
        "available_for_trading": "99000.00",
    },
    "orders": [
        {"symbol": "SPY", "quantity": 194, "action": "BUY", "market_value": "19400.00", "status": "Filled"},
    ],
    "cancelled_orders": [],
    "notes": [],
    "status": "success",
    "message": "Live rebalancing completed successfully",
    "timestamp": NOON.isoformat(),
}


def add_event(session: Session, account_id: str = "DU1000001", **facts: Any) -> UUID:
    """An event with one signal; waiting, unless said otherwise."""
    values: dict[str, Any] = {
        "command": "rebalance",
        "state": "queued",
        "reason": "new",
        "data": {"exec": "rebalance"},
        "created_at": NOON,
        "due_at": NOON,
        "strategy": STRATEGY,
    }
    values |= facts
    event_id: UUID = values.pop("id", None) or uuid4()
    exclusive = values["command"] in ("rebalance", "cancel-orders")
    session.add(Event(id=event_id, account_id=account_id, exclusive=exclusive, **values))
    signal = Signal(
        channel=STRATEGY,
        message_id=event_id.hex,
        state="accepted",
        command=values["command"],
        payload=values["data"],
        received_at=values["created_at"],
    )
    session.add(signal)
    session.flush()
    session.add(SignalEvent(signal_id=signal.id, event_id=event_id, request_no=1))
    return event_id


def add_failing(
    session: Session,
    account_id: str = "DU1000001",
    error: str = "GatewayUnavailable: away",
    at: datetime = NOON,
    **facts: Any,
) -> UUID:
    """An event that has failed twice and is tried again in an hour."""
    values = {"state": "retrying", "reason": "retry", "times_queued": 3, "attempt": 2, "last_error": error}
    values |= {"created_at": at, "due_at": datetime.now(UTC) + timedelta(hours=1)} | facts
    event_id = add_event(session, account_id, **values)
    for number in (1, 2):
        session.add(
            Attempt(
                event_id=event_id,
                number=number,
                observed_generation=1,
                worker="w/1/1",
                started_at=at,
                finished_at=at + timedelta(seconds=2),
                outcome="failed",
                error=error,
            )
        )
    return event_id


def add_waiting(
    session: Session,
    account_id: str = "DU1000001",
    plan: dict[str, Any] | None = None,
    event_id: UUID | None = None,
    at: datetime = NOON,
    **facts: Any,
) -> UUID:
    """An event whose plan waits for a person; without ``plan``, only the amount of its order is on record."""
    orders = {one["symbol"]: _signed_usd(one) for one in plan["orders"]} if plan else {"SPY": "2000000.00"}
    event_id = add_event(
        session,
        account_id,
        id=event_id,
        created_at=at,
        state="held",
        rule="approval",
        reason="approval",
        due_at=FOREVER,
        attempt=1,
        observed_generation=1,
    )
    session.add(
        Attempt(
            event_id=event_id,
            number=1,
            observed_generation=1,
            worker="w/1/1",
            started_at=at,
            finished_at=at + timedelta(seconds=2),
            outcome="held",
            error="approval",
        )
    )
    asked = {"event_id": event_id, "account_id": account_id, "attempt": 1, "state": "pending", "orders": orders}
    asked |= {"plan": plan or {}, "reasons": ["an order of $2,000,000 is larger than $1,000,000"]}
    asked |= {"expires_at": datetime.now(UTC) + timedelta(hours=1)} | facts
    session.add(ApprovalRow(**asked))
    return event_id


def _signed_usd(order: dict[str, Any]) -> str:
    usd = order["quantity"] * Decimal(order["price"])
    return str(-usd if order["side"] == "SELL" else usd)


def add_traded(
    session: Session,
    account_id: str = "DU1000001",
    at: datetime = NOON,
    equity: str = "100000.00",
    plan: dict[str, Any] = PLAN,
    **facts: Any,
) -> UUID:
    """A live rebalance that bought SPY in two fills, or what else is planned, with weights before and after."""
    event_id = add_event(
        session,
        account_id,
        state="succeeded",
        reason="done",
        attempt=1,
        created_at=at,
        finished_at=at + timedelta(seconds=9),
        **facts,
    )
    session.add(
        Attempt(
            event_id=event_id,
            number=1,
            observed_generation=1,
            worker="w/1/1",
            started_at=at,
            finished_at=at + timedelta(seconds=9),
            outcome="succeeded",
            inputs=INPUTS,
            plan=plan,
            result=RESULT | {"account_id": account_id},
        )
    )
    for number, order in enumerate(plan["orders"], 1):
        ref, of = f"{event_id.hex[:12]}-1-{number:02}", {"event_id": event_id, "account_id": account_id}
        _add_order(session, ref, of, at, order)
    sold = [line for line in plan["lines"] if line["held"] != "0" and line["planned_shares"] == "0"]
    worth = sum((Decimal(line["held"]) * Decimal(line["price"]) for line in sold), Decimal(0))
    had = [
        {"symbol": line["symbol"], "quantity": line["held"], "price": line["price"], "weight": line["current_weight"]}
        for line in sold
    ]
    for moment, quantity, cash, weight, others in (
        ("before", 400, 60000 - worth, "0.400000", had),
        ("after", 594, 40599, "0.594000", []),
    ):
        held = {"symbol": "SPY", "quantity": str(quantity), "price": "100", "weight": weight}
        account_snapshots.keep(
            session,
            account_id=account_id,
            event_id=event_id,
            attempt=1,
            moment=moment,
            at=at + timedelta(seconds=1 if moment == "before" else 8),
            net_liquidation=Decimal(equity),
            cash=Decimal(cash),
            positions=[held, *others, {"symbol": "AAPL 260116C", "quantity": "1", "price": None, "weight": None}],
        )
    return event_id


def _add_order(session: Session, ref: str, of: dict[str, Any], at: datetime, order: dict[str, Any]) -> None:
    side, quantity = order["side"], order["quantity"]
    session.add(
        Order(
            order_ref=ref,
            **of,
            attempt=1,
            symbol=order["symbol"],
            contract_id=756733,
            side=side,
            quantity=quantity,
            order_type="MKT",
            time_in_force="DAY",
            planned_price=Decimal(order["price"]),
            planned_fee=Decimal(order["fee"]),
            reason=order["reason"],
            status="Filled",
            filled=Decimal(quantity),
            perm_id=77,
            created_at=at + timedelta(seconds=2),
            final_at=at + timedelta(seconds=6),
        )
    )
    session.flush()
    for second, part in ((4, 100), (5, quantity - 100)):
        left = quantity - 100 if second == 4 else 0
        status = "Filled" if left == 0 else "Submitted"
        session.add(
            OrderReport(
                order_ref=ref,
                at=at + timedelta(seconds=second),
                status=status,
                filled=Decimal(quantity - left),
                remaining=Decimal(left),
                confirmed=True,
            )
        )
        session.add(
            FillRow(
                order_ref=ref,
                execution=f"0000e0d5.{second}",
                revision=1,
                account_id=of["account_id"],
                symbol=order["symbol"],
                side=side,
                at=at + timedelta(seconds=second),
                quantity=Decimal(part),
                price=Decimal(order["price"]) + Decimal("0.01" if side == "BUY" else "-0.01"),
                commission=Decimal("0.50"),
                currency="USD",
            )
        )


def seeded(ledger: Ledger) -> dict[str, UUID]:
    """One event that traded, one that fails, one that waits."""
    with ledger.begin() as session:
        return {
            "traded": add_traded(session),
            "failing": add_failing(session, "DU1000002"),
            "waiting": add_event(session, "DU1000003", command="print-rebalance", data={}),
        }
