"""What an account earned and where it differs from its strategy, from its looks on record."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterator, Mapping
from decimal import Decimal
from typing import Any
from uuid import UUID

from sqlalchemy import Select, select

from rebalancer.domain.cash_flows import LEAST, CashFlowKind
from rebalancer.domain.commands import Command
from rebalancer.domain.money import ZERO
from rebalancer.domain.portfolio import Side
from rebalancer.domain.symbols import is_cash
from rebalancer.ledger import fill_amounts
from rebalancer.ledger.models import EXCHANGED, Attempt, Event, FillRow, Order, SnapshotRow
from rebalancer.ledger.queries.spans import Span
from rebalancer.ledger.session import Session
from rebalancer.ledger.states import Outcome
from rebalancer.planning.recorded import recorded_quotes
from rebalancer.returns.gap import Returns, returns_of
from rebalancer.returns.looks import Apart, Look, Trade


def account_returns(session: Session, account_id: str, span: Span) -> Returns | None:
    """From the first run in that span to the newest look; ``None`` where there is nothing to measure."""
    return returns_of(account_id, list(_looks(session, account_id, span)))


def _looks(session: Session, account_id: str, span: Span) -> Iterator[Look]:
    trades = _trades(session, account_id, span)
    for row in session.execute(_rows(account_id, span)):
        filled = trades.get((row.event_id, row.attempt), ())
        carried_out = row.command == Command.REBALANCE and (filled or row.outcome == Outcome.SUCCEEDED)
        yield _look(row, tuple(filled) if carried_out else None)


def _rows(account_id: str, span: Span) -> Select[Any]:
    """Looks at which a plan was made."""
    made_in = (Attempt.event_id == SnapshotRow.event_id) & (Attempt.number == SnapshotRow.attempt)
    return (
        select(
            *(SnapshotRow.at, SnapshotRow.event_id, SnapshotRow.attempt, SnapshotRow.net_liquidation),
            *(SnapshotRow.cash, SnapshotRow.flow, SnapshotRow.flow_kind, SnapshotRow.positions),
            *(Event.command, Attempt.outcome),
            *(Attempt.inputs[name].label(name) for name in ("quotes", "targets", "weights")),
            *(Attempt.plan[name].label(name) for name in ("lines", "investable", "kept", "reserve_symbol")),
        )
        .join(Attempt, made_in)
        .join(Event, Event.id == SnapshotRow.event_id)
        .where(SnapshotRow.account_id == account_id, SnapshotRow.moment == "before", Attempt.plan.is_not(None))
        .where(*span.holds(SnapshotRow.at))
        .order_by(SnapshotRow.at, SnapshotRow.id)
    )


def _trades(session: Session, account_id: str, span: Span) -> dict[tuple[UUID, int], list[Trade]]:
    """What each attempt's orders filled, whoever saw it."""
    columns = (Order.event_id, Order.attempt, FillRow.symbol, FillRow.side, FillRow.quantity, FillRow.price)
    amounts = fill_amounts.value().label("value"), fill_amounts.commission().label("commission")
    chosen = select(*columns, FillRow.security_type, *amounts).join(Order, Order.order_ref == FillRow.order_ref)
    chosen = chosen.where(FillRow.account_id == account_id, *span.from_then_on(FillRow.at))
    found: dict[tuple[UUID, int], list[Trade]] = defaultdict(list)
    for row in session.execute(chosen.order_by(FillRow.at, FillRow.execution)):
        conversion = row.security_type == EXCHANGED
        shares = Side(row.side).sign * (row.value / row.price if conversion else row.quantity)
        found[row.event_id, row.attempt].append(
            Trade(row.symbol, shares, row.price, row.commission or ZERO, conversion=conversion)
        )
    return found


def _look(row: Any, trades: tuple[Trade, ...] | None) -> Look:
    kept = {symbol: Decimal(count) for symbol, count in (row.kept or {}).items()}
    priced = {one["symbol"]: one for one in row.positions if one.get("price") is not None}
    prices = {symbol: quote.mid for symbol, quote in recorded_quotes({"quotes": row.quotes}).items()}
    prices |= {symbol: Decimal(one["price"]) for symbol, one in priced.items()}
    shares = {symbol: Decimal(one["quantity"]) - kept.get(symbol, ZERO) for symbol, one in priced.items()}
    large = row.flow is not None and abs(row.flow) >= LEAST * abs(row.net_liquidation)
    paid_in = large and row.flow_kind != CashFlowKind.DIVIDEND
    wanted = _weights(row.weights)
    return Look(
        at=row.at,
        equity=row.net_liquidation,
        flow=row.flow if paid_in else ZERO,
        prices=prices,
        targets=_identity(row.targets),
        published={one: weight for one, weight in _weights(row.targets["weights"]).items() if _stock(one, wanted)},
        wanted=wanted,
        planned={line["symbol"]: Decimal(line["target_weight"]) for line in row.lines},
        investable=Decimal(row.investable),
        shares=shares,
        apart=_apart(row, kept, sum((count * prices[symbol] for symbol, count in shares.items()), ZERO)),
        fund=row.reserve_symbol,
        trades=trades,
    )


def _apart(row: Any, kept: Mapping[str, Decimal], traded: Decimal) -> Apart:
    """What equity there is beside cash and what is traded, if it is known what of; else it is not told apart."""
    unpriced = {one["symbol"]: Decimal(one["quantity"]) for one in row.positions if one.get("price") is None}
    holdings = {symbol: count for symbol, count in unpriced.items() if count} | dict(kept)
    return Apart(row.net_liquidation - row.cash - traded, holdings) if holdings else Apart()


def _weights(record: Mapping[str, str]) -> dict[str, Decimal]:
    return {symbol: Decimal(weight) for symbol, weight in record.items() if Decimal(weight)}


def _stock(symbol: str, wanted: Mapping[str, Decimal]) -> bool:
    """By names such as CASH a strategy means what is not invested, but where the account has taken it for a stock."""
    return symbol in wanted or not is_cash(symbol)


def _identity(targets: Mapping[str, Any]) -> Hashable:
    """What tells the strategy's targets from those of its rebalance before."""
    members = targets.get("members") or {targets["strategy"]: targets}
    return tuple(
        (name, one.get("share"), one.get("last_rebalance_on") or one.get("as_of"), *sorted(one["weights"].items()))
        for name, one in sorted(members.items())
    )
