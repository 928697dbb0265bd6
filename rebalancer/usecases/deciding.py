"""From targets, snapshot and quotes to a plan: the one path for preview and live."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rebalancer import replacements
from rebalancer.funds import available_cash, must_settle, settled_cash
from rebalancer.model import AccountSnapshot, Plan, Quote, Targets, TargetWeight
from rebalancer.money import cents, optional_text
from rebalancer.planning import plan
from rebalancer.rules.apart import set_apart
from rebalancer.rules.inputs import check_quotes, check_targets
from rebalancer.sessions import trading_day
from rebalancer.usecases.books import known_books, snapshot_showing
from rebalancer.usecases.desk import Desk


@dataclass(frozen=True, slots=True)
class Decision:
    """A plan and everything that it was made from."""

    targets: Targets
    weights: tuple[TargetWeight, ...]
    snapshot: AccountSnapshot
    quotes: Mapping[str, Quote]
    plan: Plan


def decide(desk: Desk) -> Decision:
    """Read the world and plan; nothing is sent.

    Raises:
        Refused, QuoteUnavailable, AllocationsUnavailable, GatewayUnavailable: before any order.
    """
    targets = desk.targets.fetch(desk.account.strategy)
    guards, rules = desk.safeguards, desk.account.rules
    today = trading_day(desk.clock())
    check_targets(targets, today, guards.targets_max_age, allow_cash_share=rules.allow_cash_share)
    weights = replacements.apply(targets.weights, desk.replacements)
    snapshot = snapshot_showing(desk, known_books(desk))
    held = {position.symbol for position in snapshot.positions if position.tradable and position.quantity}
    quotes = desk.broker.quotes(sorted(held | {target.symbol for target in weights}))
    delayed = guards.allow_delayed or not desk.run.claim.command.touches_orders
    check_quotes(quotes, desk.clock(), guards.quotes_max_age, guards.max_from_close, allow_delayed=delayed)
    return Decision(targets, weights, snapshot, quotes, _plan(desk, snapshot, weights, quotes))


def _plan(desk: Desk, snapshot: AccountSnapshot, weights: Sequence[TargetWeight], quotes: Mapping[str, Quote]) -> Plan:
    """The plan within the funds that the broker would accept orders for."""
    left = set_apart(snapshot, weights, quotes, desk.account.rules.hold)
    made = plan(replace(left.snapshot, cash=available_cash(snapshot)), left.weights, quotes, desk.rules)
    made = replace(made, notes=(*made.notes, *left.notes))
    if not must_settle(snapshot, desk.policy.settled_cash_only):
        return made
    settled = cents(settled_cash(snapshot))
    waits = f"buys use settled cash only, now {settled} USD; what exceeds it waits until sale proceeds have settled"
    return replace(made, notes=(*made.notes, waits)) if made.buys else made


def inputs_record(decision: Decision) -> dict[str, Any]:
    """What the plan was made from, for the ledger; decimals as text."""
    targets = decision.targets
    return {
        "targets": {
            "strategy": targets.strategy,
            "as_of": targets.as_of and targets.as_of.isoformat(),
            "last_rebalance_on": targets.last_rebalance_on and targets.last_rebalance_on.isoformat(),
            "weights": {target.symbol: str(target.weight) for target in targets.weights},
        },
        "weights": {target.symbol: str(target.weight) for target in decision.weights},
        "quotes": {
            symbol: {
                "bid": str(quote.bid),
                "ask": str(quote.ask),
                "at": quote.at.isoformat(),
                "data_type": str(quote.data_type),
            }
            for symbol, quote in decision.quotes.items()
        },
        "snapshot": {
            "at": decision.snapshot.at.isoformat(),
            "net_liquidation": str(decision.snapshot.net_liquidation),
            "cash": str(decision.snapshot.cash),
            "previous_equity": optional_text(decision.snapshot.previous_equity),
        },
    }


def plan_record(made: Plan) -> dict[str, Any]:
    """A plan for the ledger; decimals as text, weights as fractions."""
    return {
        "equity": str(made.equity),
        "reserve": str(made.reserve),
        "investable": str(made.investable),
        "spendable_cash": str(made.spendable_cash),
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
            }
            for line in made.lines
        ],
        "orders": [
            {
                "symbol": order.symbol,
                "side": str(order.side),
                "quantity": order.quantity,
                "price": str(order.price),
                "fee": str(order.fee),
                "reason": order.reason,
            }
            for order in made.orders
        ],
        "notes": list(made.notes),
    }


def priced_positions(snapshot: AccountSnapshot, quotes: Mapping[str, Quote]) -> list[dict[str, Any]]:
    """Positions with their price, for the ledger; ``None`` for what is never traded."""
    rows = []
    for position in sorted(snapshot.positions, key=lambda position: position.symbol):
        quote = quotes.get(position.symbol) if position.tradable else None
        price = str(quote.mid) if quote else None
        rows.append({"symbol": position.symbol, "quantity": str(position.quantity), "price": price})
    return rows
