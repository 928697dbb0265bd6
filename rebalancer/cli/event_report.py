"""`rebalancer event ID`: why it traded, or why it did not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal

from rich.console import RenderableType
from rich.markup import escape
from rich.table import Table

from rebalancer.cli.naming import EventArgument, accounts_by_id, read_event
from rebalancer.cli.output import Json, print_json, services
from rebalancer.cli.results import WEIGHTS, percent, usd
from rebalancer.cli.tables import put, table
from rebalancer.config.accounts_file import Account
from rebalancer.domain.accounts import MAIN_GATEWAY
from rebalancer.domain.currencies import CurrencyPair
from rebalancer.domain.errors import RequestRefused
from rebalancer.domain.money import ZERO
from rebalancer.ledger.queries.event_history import AttemptView, EventHistory, OrderView, SnapshotView, event_history
from rebalancer.planning.blends import member_lines
from rebalancer.planning.conversion import every_order
from rebalancer.planning.weights import CASH


def event(event: EventArgument, as_json: Json = False) -> None:
    """Show one event: its signals, attempts, plan, orders, fills, and weights before and after."""
    here = services()
    event_id = read_event(here, event)
    with here.ledger.begin() as session:
        found = event_history(session, event_id)
    if found is None:
        raise RequestRefused(f"no event {event_id}; `rebalancer events` lists them")
    if as_json:
        print_json(found)
        return
    known = accounts_by_id(here)
    several = any(account.gateway != MAIN_GATEWAY for account in known.values())
    for part in _told(found, known, several_logins=several):
        put(part)


def _told(found: EventHistory, known: Mapping[str, Account], *, several_logins: bool) -> Iterator[RenderableType]:
    event = found.event
    name = known[event.account_id].name if event.account_id in known else None
    called = f" {escape(name)}" if name else ""
    yield f"[bold]{event.exec_command} of {event.account_id}{called}[/] ({event.strategy})"
    yield f"[dim]event {event.event_id}[/]"
    if several_logins or event.gateway != MAIN_GATEWAY:
        yield f"login: {event.gateway}"
    yield f"{event.state}: {escape(event.reason)}"
    if event.needs_attention:
        yield "[red]needs attention[/]"
    for signal in found.signals:
        remark = f": {escape(signal.remark)}" if signal.remark else ""
        yield f"{signal.received_at:%Y-%m-%d %H:%M:%S}  signal from {signal.channel} for {signal.command}{remark}"
    for attempt in found.attempts:
        yield from _attempt(attempt)


def _attempt(attempt: AttemptView) -> Iterator[RenderableType]:
    error = f": [red]{escape(attempt.error)}[/]" if attempt.error else ""
    yield f"{attempt.started_at:%Y-%m-%d %H:%M:%S}  attempt {attempt.number}: {attempt.outcome or 'running'}{error}"
    if attempt.inputs:
        yield from (f"  {escape(f'{name}: {words}')}" for name, words in member_lines(attempt.inputs["targets"]))
    if attempt.orders:
        yield _orders(attempt.orders)
        yield from (f"  {order.side} {order.symbol}: {escape(order.why)}" for order in attempt.orders)
    elif proposed := every_order(attempt.plan or {}):
        yield _proposed(proposed)
    if attempt.before is not None:
        yield _weights(attempt.before, attempt.after)
        yield f"[dim]{WEIGHTS}[/]"


def _orders(orders: tuple[OrderView, ...]) -> Table:
    view = table("=order", ">shares", "filled", ">price", ">USD", ">fee", "status")
    for order in orders:
        view.add_row(
            f"{order.side} {order.symbol}",
            str(order.quantity),
            f"{order.filled:f} in {len(order.fills)} fill{'' if len(order.fills) == 1 else 's'}",
            _price(order.average_price, order.symbol),
            usd(order.notional),
            usd(order.commission),
            escape(_status(order)),
        )
    return view


def _status(order: OrderView) -> str:
    said = [f"{one.code} {one.text or ''}".strip() for one in order.reports if one.code]
    return "\n".join([order.status, *said])


def _proposed(orders: list[dict[str, str]]) -> Table:
    view = table("=proposed", ">shares", ">price", ">fee", "reason")
    for one in orders:
        name = f"{one['side']} {one['symbol']}"
        view.add_row(
            name, str(one["quantity"]), _price(one["price"], one["symbol"]), usd(one["fee"]), escape(one["reason"])
        )
    return view


def _price(amount: Decimal | str | None, symbol: str) -> str:
    """That of a pair of currencies has more digits."""
    return usd(amount) if amount is None or CurrencyPair.read(symbol) is None else f"{Decimal(amount):.5f}"


def _weights(before: SnapshotView, after: SnapshotView | None) -> Table:
    """Weights before and after the attempt beside the plan's targets, cash and equity last."""
    first = {line.symbol: line for line in before.weights}
    last = {line.symbol: line for line in after.weights} if after else {}
    symbols = sorted(first.keys() | last.keys(), key=lambda symbol: (symbol == CASH, symbol))
    view = table("=weight of", ">before", ">after", ">target")
    for symbol in symbols:
        now, then = last.get(symbol), first.get(symbol)
        known = now or then
        view.add_row(
            symbol,
            percent(then.current if then else ZERO),
            percent(now.current if now else ZERO) if after else "",
            percent(known.target if known else None),
        )
    view.add_row("equity, USD", usd(before.net_liquidation), usd(after.net_liquidation) if after else "", "")
    if base := before.base:
        later = usd(after.base.of(after.net_liquidation)) if after and after.base else ""
        view.add_row(f"equity, {base.currency}", usd(base.of(before.net_liquidation)), later, "")
    return view
