"""What an account traded last, and with what: the background of whatever is new."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from sqlalchemy import func, select

from rebalancer.domain.account_history import LastTrade
from rebalancer.domain.commands import Command
from rebalancer.domain.portfolio import StrategyPart, TargetWeight
from rebalancer.domain.units import Ratio
from rebalancer.ledger.models import Attempt, Event, Order
from rebalancer.ledger.orders import NEVER_SENT
from rebalancer.ledger.session import Session
from rebalancer.ledger.states import Outcome

_DEPTH = 100
"""Runs whose targets are remembered."""


def known(session: Session, account_id: str) -> LastTrade | None:
    """``None`` for an account that has never traded, as far as the ledger reaches back."""
    newest = func.max(Order.created_at)
    runs = (
        select(Order.event_id, Order.attempt, newest.label("at"))
        .where(Order.account_id == account_id, Order.status != NEVER_SENT)
        .group_by(Order.event_id, Order.attempt)
        .order_by(newest.desc())
        .limit(_DEPTH)
        .subquery()
    )
    rows = session.scalars(
        select(Attempt.inputs)
        .join(runs, (runs.c.event_id == Attempt.event_id) & (runs.c.attempt == Attempt.number))
        .where(Attempt.inputs.is_not(None))
        .order_by(runs.c.at.desc())
    ).all()
    if not rows:
        return None
    last = rows[0]
    gateway: Mapping[str, Any] = last.get("gateway") or {}
    return LastTrade(
        strategy=last["targets"]["strategy"],
        gateway=gateway.get("address"),
        login=gateway.get("login"),
        targets=len(_symbols(last)),
        symbols=frozenset(symbol for inputs in rows for symbol in _symbols(inputs)),
    )


def last_targets(session: Session, account_id: str) -> tuple[StrategyPart, ...]:
    """Of the account's newest successful rebalance, by strategy; empty without one."""
    found = session.scalar(
        select(Attempt.inputs["targets"])
        .join(Event, Event.id == Attempt.event_id)
        .where(
            Event.account_id == account_id,
            Event.command == Command.REBALANCE,
            Attempt.outcome == Outcome.SUCCEEDED,
            Attempt.inputs.is_not(None),
        )
        .order_by(Attempt.finished_at.desc())
        .limit(1)
    )
    return parts_on_record(found) if found else ()


def parts_on_record(targets: Mapping[str, Any]) -> tuple[StrategyPart, ...]:
    """Targets as the inputs of an attempt have them."""
    members = targets.get("members") or {targets["strategy"]: {**targets, "share": "1"}}
    return tuple(
        StrategyPart(
            strategy,
            Ratio(Decimal(one["share"])),
            tuple(TargetWeight(symbol, Ratio(Decimal(weight))) for symbol, weight in one["weights"].items()),
            _day(one.get("as_of")),
            _day(one.get("last_rebalance_on")),
        )
        for strategy, one in sorted(members.items())
    )


def _day(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None


def _symbols(inputs: Mapping[str, Any]) -> frozenset[str]:
    weights: Mapping[str, str] = inputs["targets"]["weights"]
    return frozenset(symbol for symbol, weight in weights.items() if Decimal(weight))
