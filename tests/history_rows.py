"""Monthly runs of an account as workers leave them in the ledger, with every input of the planner."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

from rebalancer.domain.money import ZERO
from rebalancer.domain.units import Shares, Usd
from rebalancer.ledger import account_snapshots
from rebalancer.ledger.models import Attempt, Event, FillRow, Order
from rebalancer.ledger.session import Session
from rebalancer.replay.runs import RecordedRun
from tests.recorded_history import ACCOUNT, History, on_record

STRATEGY = "etf-blend-301-20"


def add_history(session: Session, history: History, account_id: str = ACCOUNT, **facts: Any) -> list[RecordedRun]:
    """All of it; fills at the planned price and fee.

    Args:
        facts: of every event and attempt: ``command``, ``outcome``.
    """
    runs = list(history.runs())
    for run in runs:
        add_run(session, run, account_id, **facts)
    return runs


def add_run(
    session: Session,
    run: RecordedRun,
    account_id: str = ACCOUNT,
    *,
    command: str = "rebalance",
    outcome: str = "succeeded",
    filled: bool = True,
    planner: bool = True,
    further: Sequence[RecordedRun] = (),
) -> None:
    """One run.

    Args:
        filled: its orders were sent, and filled.
        planner: the record has the planner's inputs.
        further: later plans of the same run.
    """
    assert run.inputs is not None
    event_id, at = uuid4(), run.at
    session.add(
        Event(
            id=event_id,
            account_id=account_id,
            command=command,
            exclusive=command == "rebalance",
            strategy=STRATEGY,
            state="succeeded" if outcome == "succeeded" else "removed",
            reason="done",
            data={},
            created_at=at,
            due_at=at,
            finished_at=at + timedelta(seconds=9),
            attempt=1,
        )
    )
    session.flush()
    rounds = [{"why": "again", "inputs": inputs_of(one), "plan": dict(one.plan)} for one in further]
    inputs = inputs_of(run)
    if not planner:
        del inputs["planner"]
    session.add(
        Attempt(
            event_id=event_id,
            number=1,
            observed_generation=1,
            worker="w/1/1",
            started_at=at,
            finished_at=at + timedelta(seconds=9),
            outcome=outcome,
            inputs=inputs,
            plan=dict(run.plan) | ({"further_rounds": rounds} if rounds else {}),
        )
    )
    snapshot = run.inputs.snapshot
    of = {"account_id": account_id, "event_id": event_id, "attempt": 1}
    held, cash = {one.symbol: one.quantity for one in snapshot.positions}, snapshot.cash
    _look(session, run, held, cash, **of, moment="before", at=at)
    if not filled:
        return
    for place, order in enumerate(run.plan["orders"]):
        _add_filled(session, order, at, **of, order_ref=f"{event_id.hex[:12]}-1-{place:02}")
        signed = order["quantity"] if order["side"] == "BUY" else -order["quantity"]
        held[order["symbol"]] = Shares(held.get(order["symbol"], ZERO) + signed)
        cash = Usd(cash - signed * Decimal(order["price"]) - Decimal(order["fee"]))
    _look(session, run, held, cash, **of, moment="after", at=at + timedelta(seconds=8))


def _look(session: Session, run: RecordedRun, held: Mapping[str, Decimal], cash: Decimal, **of: Any) -> None:
    assert run.inputs is not None
    mids = {symbol: quote.mid for symbol, quote in run.inputs.quotes.items()}
    account_snapshots.keep(
        session,
        **of,
        net_liquidation=cash + sum((count * mids[symbol] for symbol, count in held.items()), ZERO),
        cash=cash,
        positions=[
            {"symbol": symbol, "quantity": str(count), "price": str(mids[symbol])}
            for symbol, count in sorted(held.items())
        ],
    )


def inputs_of(run: RecordedRun) -> dict[str, Any]:
    """As a run records them."""
    assert run.inputs is not None
    weights = {one.symbol: str(one.weight) for one in run.inputs.weights}
    targets = {"strategy": STRATEGY, "as_of": f"{run.at:%Y-%m-%d}", "last_rebalance_on": None, "weights": weights}
    record: dict[str, Any] = on_record(run.inputs, run.terms) | {"targets": targets, "weights": weights}
    return record


def _add_filled(session: Session, order: dict[str, Any], at: datetime, **of: Any) -> None:
    of |= {"symbol": order["symbol"], "side": order["side"]}
    price, quantity = Decimal(order["price"]), Decimal(order["quantity"])
    session.add(
        Order(
            **of,
            contract_id=1,
            quantity=int(quantity),
            order_type="MKT",
            time_in_force="DAY",
            planned_price=price,
            planned_fee=Decimal(order["fee"]),
            reason=order["reason"],
            status="Filled",
            filled=quantity,
            created_at=at + timedelta(seconds=2),
            final_at=at + timedelta(seconds=3),
        )
    )
    session.flush()
    session.add(
        FillRow(
            **{name: of[name] for name in ("order_ref", "account_id", "symbol", "side")},
            execution=f"{of['order_ref']}.01",
            revision=1,
            at=at + timedelta(seconds=3),
            quantity=quantity,
            price=price,
            commission=Decimal(order["fee"]),
            currency="USD",
        )
    )
