"""What a run sees before it asks for any quote: targets, account, open orders, and what each symbol stands for."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

from rebalancer.domain.errors import OrderRejected, Refused
from rebalancer.domain.orders import Definitions, Instrument, OpenOrder
from rebalancer.domain.portfolio import AccountSnapshot, Targets, TargetWeight
from rebalancer.domain.rule_names import Rule
from rebalancer.planning import replacements
from rebalancer.risk.input_checks import without_cash
from rebalancer.usecases.context import RunContext
from rebalancer.usecases.snapshots import known_books, snapshot_showing
from rebalancer.usecases.targets import read_targets


@dataclass(frozen=True, slots=True)
class GatewayLogin:
    """Where an account is reached.

    Attributes:
        login: fingerprint of the accounts that the login manages.
    """

    address: str
    login: str


@dataclass(frozen=True, slots=True)
class View:
    """The account and its targets.

    Attributes:
        weights: after replacements.
        snapshot: listings elsewhere are marked as foreign.
        instruments: of what may be quoted and traded.
        left_alone: symbols that are not traded in this run, and why.
        foreign: why holdings are listings elsewhere, in words.
        open_orders: of all clients and people, but for those that were refused.
        refused: of our orders those that the broker has refused and lists as Inactive all the same.
        gateway: where all of it was read.
        reserve_symbol: what holds the reserve, if that is not cash.
    """

    targets: Targets
    weights: tuple[TargetWeight, ...]
    snapshot: AccountSnapshot
    instruments: Mapping[str, Instrument]
    left_alone: Mapping[str, str]
    foreign: tuple[str, ...]
    open_orders: tuple[OpenOrder, ...]
    refused: tuple[OrderRejected, ...]
    gateway: GatewayLogin
    reserve_symbol: str | None = None

    @property
    def wanted(self) -> frozenset[str]:
        """Symbols that the account is to hold and that may be traded."""
        return _wanted(self.weights, self.reserve_symbol) & self.instruments.keys()

    @property
    def bound(self) -> bool:
        """Whether something that this run never touches may bind funds: other instruments, shorts, their orders."""
        others = any(not one.tradable or one.quantity < 0 for one in self.snapshot.positions if one.quantity)
        return others or not all(self.tradable(order) for order in self.open_orders)

    def marked(self, snapshot: AccountSnapshot) -> AccountSnapshot:
        """A later snapshot with the same foreign listings."""
        return _without(snapshot, {one.contract_id for one in self.snapshot.positions if one.foreign})

    def tradable(self, order: OpenOrder) -> bool:
        """Whether an open order is in a stock that this run may trade; any other is none of its business."""
        known = self.instruments.get(order.symbol)
        return known is not None and _in_us_stock(order) and order.contract_id in (0, known.contract_id)

    @property
    def held(self) -> frozenset[str]:
        """Symbols that are held and may be traded."""
        return frozenset(
            entry.symbol for entry in self.snapshot.positions if entry.tradable and entry.symbol in self.instruments
        )


def look(context: RunContext) -> View:
    """Read everything but prices; nothing is sent.

    Raises:
        Refused, AllocationsUnavailable, GatewayUnavailable: before any order.
    """
    targets = read_targets(context)
    rules = context.account.rules
    weights = without_cash(
        replacements.apply(targets.weights, context.replacements),
        allow_cash_share=rules.allow_cash_share,
        stocks=rules.pinned.union(rules.hold, rules.kept),
    )
    snapshot = snapshot_showing(context, known_books(context))
    refused = context.run.refused()
    listed = context.broker.open_orders(context.account.account_id)
    dead = [order for order in listed if order.lies_idle and order.order_ref in refused]
    idle = {order.symbol: refused[order.order_ref] for order in dead}
    open_orders = tuple(order for order in listed if order not in dead)
    definitions = _define(context, weights, snapshot, open_orders)
    return View(
        targets=targets,
        weights=tuple(weights),
        snapshot=_without(snapshot, definitions.foreign),
        instruments={symbol: one for symbol, one in _tradable(definitions).items() if symbol not in idle},
        left_alone=_left_alone(definitions, _wanted(weights, rules.reserve_symbol), rules.hold) | _still_listed(idle),
        foreign=tuple(sorted(definitions.foreign.values())),
        open_orders=open_orders,
        refused=tuple(idle.values()),
        gateway=GatewayLogin(context.policy.gateway, _fingerprint(context.broker.managed_accounts())),
        reserve_symbol=rules.reserve_symbol,
    )


def _fingerprint(accounts: Collection[str]) -> str:
    return sha256(",".join(sorted(accounts)).encode()).hexdigest()[:12]


def _define(
    context: RunContext, weights: Sequence[TargetWeight], snapshot: AccountSnapshot, open_orders: Sequence[OpenOrder]
) -> Definitions:
    """Of what may be traded. On hold nothing is asked about but shorts, which are owed."""
    hold = context.account.rules.hold
    held = {
        position.contract_id: position.symbol
        for position in snapshot.positions
        if position.tradable and (position.symbol not in hold or position.quantity < 0)
    }
    ordered = {order.symbol for order in open_orders if _in_us_stock(order) and order.symbol not in hold}
    wanted = _wanted(weights, context.account.rules.reserve_symbol) - set(hold)
    instead = {context.substitutes[symbol].target for symbol in wanted & context.substitutes.keys()} - set(hold)
    return context.broker.define(sorted(wanted | instead | ordered | set(held.values())), held)


def _wanted(weights: Sequence[TargetWeight], reserve_symbol: str | None) -> frozenset[str]:
    fund = frozenset[str]() if reserve_symbol is None else {reserve_symbol}
    return frozenset(entry.symbol for entry in weights if entry.weight) | fund


def _in_us_stock(order: OpenOrder) -> bool:
    return order.security_type == "STK" and order.currency == "USD"


def _tradable(definitions: Definitions) -> Mapping[str, Instrument]:
    return {symbol: one for symbol, one in definitions.instruments.items() if symbol not in definitions.stale}


def _left_alone(definitions: Definitions, wanted: Collection[str], hold: Collection[str]) -> dict[str, str]:
    """What has no definition is left alone, unless it is wanted.

    Raises:
        Refused: ``symbol_unknown``, naming every wanted symbol that may not be traded.
    """
    missing = {symbol: why for symbol, why in definitions.unknown.items() if symbol in wanted and symbol not in hold}
    if missing:
        listing = "; ".join(f"{symbol} {why}" for symbol, why in sorted(missing.items()))
        raise Refused(Rule.SYMBOL_UNKNOWN, f"IBKR has no single US stock or ETF for: {listing}", missing)
    left = {**definitions.unknown, **definitions.stale}
    return {symbol: why for symbol, why in sorted(left.items()) if symbol not in hold}


def _still_listed(idle: Mapping[str, OrderRejected]) -> dict[str, str]:
    """Another order of such a symbol would be one too many, should somebody transmit the refused one."""
    return {symbol: f"{refusal}; it is still listed as Inactive" for symbol, refusal in sorted(idle.items())}


def _without(snapshot: AccountSnapshot, foreign: Collection[int]) -> AccountSnapshot:
    return replace(
        snapshot,
        positions=tuple(replace(one, foreign=one.contract_id in foreign) for one in snapshot.positions),
    )
