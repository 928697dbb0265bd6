"""Inputs and plans as they go on record and come back from it: decimals as text, weights as fractions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields
from datetime import datetime
from decimal import Decimal
from typing import Any

from rebalancer.domain.currencies import CurrencyPair
from rebalancer.domain.portfolio import (
    AccountSnapshot,
    FeeSchedule,
    MarketDataType,
    Plan,
    Position,
    ProposedOrder,
    Quote,
    TargetWeight,
)
from rebalancer.domain.rebalance_kinds import RebalanceMode
from rebalancer.domain.units import Ratio, Shares, Usd
from rebalancer.planning.inputs import PlanInputs
from rebalancer.planning.rules import PlanningRules

PLANNER = "planner"
"""Where the inputs of a run's record have what :func:`planner_record` gives."""
_OF_FEES = ("per_share", "minimum", "maximum_rate")
_RULES = tuple(one.name for one in fields(PlanningRules) if one.name not in ("fees", "kind"))


def planner_record(inputs: PlanInputs) -> dict[str, Any]:
    """What the planner was told and the rest of a run's record does not say: all but the quotes."""
    rules, snapshot = inputs.rules, inputs.snapshot
    record: dict[str, Any] = {
        "equity": str(snapshot.net_liquidation),
        "cash": str(snapshot.cash),
        "positions": [_position(one) for one in snapshot.positions if one.quantity],
        "weights": {entry.symbol: str(entry.weight) for entry in inputs.weights},
        "rules": {name: str(getattr(rules, name)) for name in _RULES}
        | {"kind": str(rules.kind), "fees": {name: str(getattr(rules.fees, name)) for name in _OF_FEES}},
    }
    lots = {symbol: lot for symbol, lot in inputs.lots.items() if lot != 1}
    optional = {"lots": lots, "reserve_symbol": inputs.reserve_symbol, "raised": inputs.raised and str(inputs.raised)}
    return record | {name: value for name, value in optional.items() if value}


def recorded_inputs(inputs: Mapping[str, Any], account_id: str) -> PlanInputs | None:
    """The planner's inputs from a run's record; ``None`` of a run that was recorded before they were kept."""
    record = inputs.get(PLANNER)
    if record is None:
        return None
    at = datetime.fromisoformat(inputs["snapshot"]["at"])
    snapshot = AccountSnapshot(
        account_id=account_id,
        at=at,
        net_liquidation=Usd(Decimal(record["equity"])),
        cash=Usd(Decimal(record["cash"])),
        settled_cash=None,
        available_funds=None,
        positions=tuple(_read_position(one) for one in record["positions"]),
    )
    return PlanInputs(
        snapshot=snapshot,
        weights=tuple(TargetWeight(symbol, Ratio(Decimal(weight))) for symbol, weight in record["weights"].items()),
        quotes={symbol: one for symbol, one in recorded_quotes(inputs).items() if CurrencyPair.read(symbol) is None},
        rules=_read_rules(record["rules"]),
        lots=record.get("lots", {}),
        reserve_symbol=record.get("reserve_symbol"),
        raised=Usd(Decimal(record.get("raised", 0))),
    )


def recorded_quotes(inputs: Mapping[str, Any]) -> dict[str, Quote]:
    """Quotes by symbol from a run's record, that of a pair of currencies too."""
    return {
        symbol: Quote(
            symbol,
            Decimal(quote["bid"]),
            Decimal(quote["ask"]),
            datetime.fromisoformat(quote["at"]),
            MarketDataType(quote["data_type"]),
        )
        for symbol, quote in inputs["quotes"].items()
    }


def plan_record(plan: Plan) -> dict[str, Any]:
    """A plan for the ledger."""
    return {
        "equity": str(plan.equity),
        "reserve": str(plan.reserve),
        "investable": str(plan.investable),
        "spendable_cash": str(plan.spendable_cash),
        "lines": [
            {
                "symbol": line.symbol,
                "held": str(line.held),
                "price": str(line.price),
                "target_weight": str(line.target_weight),
                "current_weight": f"{line.current_weight:.6f}",
                "planned_shares": str(line.planned_shares),
                "planned_weight": f"{line.planned_weight:.6f}",
                "note": line.note,
                "lot": line.lot,
            }
            for line in plan.lines
        ],
        "orders": [order_record(order) for order in plan.orders],
        "notes": list(plan.notes),
    }


def order_record(order: ProposedOrder) -> dict[str, Any]:
    """A proposed order for the ledger."""
    return {
        "symbol": order.symbol,
        "side": str(order.side),
        "quantity": order.quantity,
        "price": str(order.price),
        "fee": str(order.fee),
        "reason": order.reason,
    }


def differences(plan: Plan, record: Mapping[str, Any]) -> Iterator[str]:
    """What of a plan is not as it is on record, by name. The notes of a record may go on after those of the plan: the
    run has added what the planner does not know.
    """
    made = plan_record(plan)
    notes = made.pop("notes")
    yield from (name for name, value in made.items() if record.get(name) != value)
    if record.get("notes", [])[: len(notes)] != notes:
        yield "notes"


def _position(one: Position) -> dict[str, Any]:
    """What it is as well, where it is no US stock."""
    record: dict[str, Any] = {"symbol": one.symbol, "quantity": str(one.quantity)}
    if not one.tradable:
        record |= {"security_type": one.security_type, "currency": one.currency, "foreign": one.foreign}
    return record


def _read_position(record: Mapping[str, Any]) -> Position:
    return Position(**{**record, "quantity": Shares(Decimal(record["quantity"]))})


def _read_rules(record: Mapping[str, Any]) -> PlanningRules:
    fees: dict[str, Any] = {name: Decimal(record["fees"][name]) for name in _OF_FEES}
    amounts: dict[str, Any] = {name: Decimal(record[name]) for name in _RULES}
    return PlanningRules(**amounts, fees=FeeSchedule(**fees), kind=RebalanceMode(record["kind"]))
