"""A decision as it goes on record; decimals as text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rebalancer.domain.money import optional_text
from rebalancer.domain.order_styles import StyleChoice
from rebalancer.domain.portfolio import AccountSnapshot, Quote, StrategyPart, Targets
from rebalancer.planning import recorded
from rebalancer.planning.recorded_conversions import TERMS, conversion_record, terms_record
from rebalancer.usecases.decision import Decision


def inputs_record(decision: Decision) -> dict[str, Any]:
    """What the plan was made from, for the ledger; decimals as text."""
    return {
        "targets": targets_record(decision.view.targets),
        "weights": {target.symbol: str(target.weight) for target in decision.view.weights},
        "gateway": {"address": decision.view.gateway.address, "login": decision.view.gateway.login},
        "quotes": {
            symbol: {
                "bid": str(quote.bid),
                "ask": str(quote.ask),
                "at": quote.at.isoformat(),
                "data_type": str(quote.data_type),
            }
            for symbol, quote in (*decision.quotes.items(), *_pair_quote(decision))
        },
        "snapshot": {
            "at": decision.snapshot.at.isoformat(),
            "net_liquidation": str(decision.snapshot.net_liquidation),
            "cash": str(decision.snapshot.cash),
            "previous_equity": optional_text(decision.snapshot.previous_equity),
        },
        recorded.PLANNER: recorded.planner_record(decision.inputs) | _terms_record(decision),
    }


def _terms_record(decision: Decision) -> dict[str, Any]:
    return {} if decision.terms is None else {TERMS: terms_record(decision.terms)}


def _pair_quote(decision: Decision) -> tuple[tuple[str, Quote], ...]:
    exchange = decision.exchange
    return ((exchange.instrument.symbol, exchange.quote),) if exchange else ()


def targets_record(targets: Targets) -> dict[str, Any]:
    """Targets for the ledger, of a blend each member's, too; decimals as text."""
    record: dict[str, Any] = {"strategy": targets.strategy, **_published(targets)}
    if targets.members:
        record["members"] = {
            part.strategy: {"share": str(part.share), **_published(part), "frozen": part.frozen}
            for part in targets.members
        }
    if targets.moved:
        record["moved"] = {name: {one: str(by) for one, by in moves.items()} for name, moves in targets.moved.items()}
    return record


def _published(one: Targets | StrategyPart) -> dict[str, Any]:
    return {
        "as_of": one.as_of and one.as_of.isoformat(),
        "last_rebalance_on": one.last_rebalance_on and one.last_rebalance_on.isoformat(),
        "weights": {target.symbol: str(target.weight) for target in one.weights},
    }


def plan_record(decision: Decision) -> dict[str, Any]:
    """A plan for the ledger; decimals as text, weights as fractions."""
    made, kept = decision.plan, decision.left.kept
    return {
        **({"reserve_symbol": decision.parking.symbol} if decision.parking else {}),
        **({"kept": {symbol: str(count) for symbol, count in kept.items()}} if kept else {}),
        **_conversion_record(decision),
        **_styles_record(decision),
        **recorded.plan_record(made),
    }


def _styles_record(decision: Decision) -> dict[str, Any]:
    """By symbol, how the plan's orders are worked; nothing where none has a style."""
    found = {order.symbol: style_record(decision.style(order)) for order in decision.plan.orders}
    styles = {symbol: record for symbol, record in found.items() if record}
    return {"styles": styles} if styles else {}


def style_record(choice: StyleChoice | None) -> dict[str, str | None]:
    """How an order is worked and why; nothing without a style."""
    if choice is None:
        return {}
    return {"style": choice.style, "style_why": choice.why, "style_instead_of": choice.instead_of}


def _conversion_record(decision: Decision) -> dict[str, Any]:
    """Nothing where nothing may be converted."""
    exchange = decision.exchange
    return {} if exchange is None else {"conversion": conversion_record(exchange, decision.conversion, decision.back)}


def priced_positions(snapshot: AccountSnapshot, quotes: Mapping[str, Quote]) -> list[dict[str, Any]]:
    """Positions with their price, for the ledger; ``None`` for what is never traded."""
    rows = []
    for position in sorted(snapshot.positions, key=lambda position: position.symbol):
        quote = quotes.get(position.symbol) if position.tradable else None
        price = str(quote.mid) if quote else None
        row = {"symbol": position.symbol, "quantity": str(position.quantity), "price": price}
        rows.append(row | {"contract_id": position.contract_id} if position.contract_id else row)
    return rows
