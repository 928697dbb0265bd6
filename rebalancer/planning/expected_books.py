"""An account after its fills, without waiting for the broker's own books to catch up.

IBKR pushes positions and cash some time after a fill; what a run needs next is known exactly from the fills.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal

from rebalancer.domain.currencies import CurrencyPair, dollars
from rebalancer.domain.money import ONE, ZERO
from rebalancer.domain.orders import Fill
from rebalancer.domain.portfolio import AccountSnapshot, Position, Side
from rebalancer.domain.units import NO_SHARES, NO_USD, Shares, Usd
from rebalancer.planning.buying_power import has_margin

_IMPRECISION = Decimal("0.001")
"""Of the turnover: interest, fees and corrections between two snapshots are no reason to wait."""
_MOST_COMMISSION = Decimal(5)
"""USD for an execution of a small conversion, of which IBKR takes 2; a larger one's is within the imprecision."""
_DOUBT = Decimal("0.05")
"""Of fills without a told execution: their price is the plan's, not the market's."""


def after_fills(
    snapshot: AccountSnapshot, fills: Iterable[Fill], commissions: Mapping[str, Decimal], unknown_fee: Usd
) -> AccountSnapshot:
    """Apply fills to a snapshot taken before them.

    Args:
        fills: one per execution, corrections already applied.
        commissions: USD by execution id.
        unknown_fee: USD to assume for a fill whose commission has not been reported.

    Returns:
        Positions and cash afterwards, that of the base currency too, but for the commissions in it. Net liquidation
        only loses the commissions: what a fill gained or lost against the mid price shows in the next real snapshot.
    """
    held = {position.symbol: position for position in snapshot.positions if position.tradable}
    others = tuple(position for position in snapshot.positions if not position.tradable)
    cash = paid = ZERO
    base = snapshot.base
    for fill in fills:
        if pair := CurrencyPair.read(fill.symbol):
            usd, foreign = pair.changes(fill.side, fill.quantity, fill.price)
            cash += usd  # its commission is in the base currency
            base = base and replace(base, cash=base.cash + (foreign if base.currency == pair.foreign else ZERO))
            continue
        fee = commissions.get(fill.execution_id, unknown_fee)
        cash -= fill.signed * fill.price + fee
        paid += fee
        before = held.get(fill.symbol, Position(fill.symbol, NO_SHARES))
        held[fill.symbol] = replace(before, quantity=Shares(before.quantity + fill.signed))
    return replace(
        snapshot,
        cash=Usd(snapshot.cash + cash),
        net_liquidation=Usd(snapshot.net_liquidation - paid),
        positions=tuple(position for position in held.values() if position.quantity) + others,
        base=base,
    )


@dataclass(frozen=True, slots=True)
class Books:
    """What the broker's books must show after our fills.

    Attributes:
        quantities: shares by symbol, of the symbols traded.
        cash: USD, exact to ``tolerance``.
        contracts: contract ids by symbol, as far as known; other listings of a symbol may be held beside.
        funds: the most that an account without margin can have left to spend, USD: sales pay for nothing until they
            have settled.
        base: cash in the base currency that must be left at most, in it; ``None`` where none of it was exchanged.
        base_least: and at least, where dollars were converted back.
    """

    quantities: Mapping[str, Shares]
    cash: Usd
    tolerance: Usd
    funds: Usd
    contracts: Mapping[str, int] = field(default_factory=dict)
    base: Decimal | None = None
    base_least: Decimal | None = None

    def lacking(self, snapshot: AccountSnapshot) -> str | None:
        """What the snapshot does not show yet, in words; ``None`` when it shows everything."""
        wrong = [
            f"{symbol} is {held} instead of {quantity}"
            for symbol, quantity in sorted(self.quantities.items())
            if (held := self._held(symbol, snapshot)) != quantity
        ]
        if abs(snapshot.cash - self.cash) > self.tolerance:
            wrong.append(f"cash is {snapshot.cash} USD instead of {self.cash}")
        if self.base is not None and snapshot.base is not None and snapshot.base.cash > self.base + ONE:
            wrong.append(f"{snapshot.base.currency} are {snapshot.base.cash}, where {self.base} at most can be left")
        if self.base_least is not None and snapshot.base is not None and snapshot.base.cash < self.base_least:
            wrong.append(f"{snapshot.base.currency} are {snapshot.base.cash}, where there must be {self.base_least}")
        told = snapshot.available_funds
        if told is not None and told > self.funds + self.tolerance and not has_margin(snapshot):
            wrong.append(f"funds are {told} USD, where {self.funds} at most can be left")
        return "; ".join(wrong) or None

    def _held(self, symbol: str, snapshot: AccountSnapshot) -> Shares:
        """Shares of the contract that was traded, or as many as there should be under an id that it has got since."""
        rows = [one for one in snapshot.positions if one.tradable and one.symbol == symbol]
        same = [one.quantity for one in rows if self.contracts.get(symbol, 0) in (0, one.contract_id)]
        if same:
            return same[-1]
        return self.quantities[symbol] if self.quantities[symbol] in [one.quantity for one in rows] else NO_SHARES


def books_after(
    snapshot: AccountSnapshot,
    fills: Collection[Fill],
    commissions: Mapping[str, Decimal],
    unknown_fee: Usd,
    *,
    turnover_before: Usd = NO_USD,
) -> Books:
    """What must follow a snapshot and the fills since; arguments as for :func:`after_fills`.

    Args:
        turnover_before: USD that were filled shortly before the snapshot, whose cash passed with that imprecision.
    """
    now = after_fills(snapshot, fills, commissions, unknown_fee)
    held = {position.symbol: position.quantity for position in now.positions if position.tradable}
    converted = any(CurrencyPair.read(fill.symbol) for fill in fills)
    traded = {fill.symbol for fill in fills if not CurrencyPair.read(fill.symbol)}
    unknown = sum(unknown_fee for fill in fills if fill.execution_id not in commissions)
    worth = [(fill, dollars(fill.symbol, fill.quantity, fill.price)) for fill in fills]
    turnover = sum((amount for _, amount in worth), ZERO)
    doubtful = sum((amount for fill, amount in worth if fill.stated_only), ZERO)
    tolerance = Usd(ONE + unknown + (turnover + turnover_before) * _IMPRECISION + doubtful * _DOUBT)
    quantities = {symbol: held.get(symbol, NO_SHARES) for symbol in traded}
    contracts = {fill.symbol: fill.contract_id for fill in fills}
    base = now.base.cash if converted and now.base else None
    left = max(_left(snapshot, fills), _abroad(now))
    return Books(quantities, now.cash, tolerance, left, contracts, base, _base_least(now, fills))


def _abroad(now: AccountSnapshot) -> Usd:
    """What there is in the base currency, USD: funds count it, though buys took as much from proceeds of sales."""
    return NO_USD if now.base is None else max(NO_USD, now.base.dollars(now.base.cash))


def _base_least(now: AccountSnapshot, fills: Iterable[Fill]) -> Decimal | None:
    """After fills that brought some of the base currency: what it must be at least, commissions in it allowed for."""
    pairs = ((CurrencyPair.read(fill.symbol), fill) for fill in fills)
    brought = [pair.changes(fill.side, fill.quantity, fill.price)[1] for pair, fill in pairs if pair]
    gained = sum((amount for amount in brought if amount > 0), ZERO)
    if now.base is None or not gained:
        return None
    return now.base.cash - gained * _IMPRECISION - len(brought) * _MOST_COMMISSION * now.base.rate


def _left(snapshot: AccountSnapshot, fills: Iterable[Fill]) -> Usd:
    """What purchases leave of the cash that had settled, as far as that was known, and of the worth of other
    currencies, which IBKR's funds count.
    """
    settled = snapshot.cash if snapshot.settled_cash is None else min(snapshot.cash, snapshot.settled_cash)
    bought = (fill for fill in fills if fill.side is Side.BUY and not CurrencyPair.read(fill.symbol))
    spent = sum((fill.quantity * fill.price for fill in bought), ZERO)
    return Usd(settled + (snapshot.other_cash or ZERO) - spent)
