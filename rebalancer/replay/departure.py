"""How an account that had been traded by other rules would differ from the one that is on record."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal

from rebalancer.domain.errors import QuoteUnavailable
from rebalancer.domain.money import ZERO
from rebalancer.domain.portfolio import AccountSnapshot, Position, ProposedOrder, Quote
from rebalancer.domain.units import NO_USD, Shares, Usd


@dataclass(frozen=True, slots=True)
class Departure:
    """The difference in what was traded since the first run that is replayed; at first none.

    Attributes:
        shares: by symbol, more (+) or fewer than on record.
        cash: USD, more (+) or less.
    """

    shares: Mapping[str, Decimal] = field(default_factory=dict)
    cash: Usd = NO_USD

    def worth(self, quotes: Mapping[str, Quote]) -> Usd:
        """USD of equity that the account would have more (+) or less.

        Raises:
            QuoteUnavailable: naming each symbol whose price is not on record.
        """
        missing = [symbol for symbol in sorted(self.shares) if symbol not in quotes]
        if missing:
            raise QuoteUnavailable(f"no price of {', '.join(missing)} is on record")
        return Usd(sum((count * quotes[symbol].mid for symbol, count in self.shares.items()), self.cash))

    def fitted(self, snapshot: AccountSnapshot, quotes: Mapping[str, Quote]) -> Departure:
        """The same where its owner has meanwhile sold by hand what it would not have had: only what it had.

        Raises:
            QuoteUnavailable: as :meth:`worth`.
        """
        self.worth(quotes)
        held, cash = _held(snapshot), self.cash
        shares: dict[str, Decimal] = {}
        for symbol, count in self.shares.items():
            possible = max(count, min(ZERO, -held.get(symbol, ZERO)))
            cash = Usd(cash + (count - possible) * quotes[symbol].mid)
            if possible:
                shares[symbol] = possible
        return Departure(shares, cash)

    def applied(self, snapshot: AccountSnapshot, quotes: Mapping[str, Quote]) -> AccountSnapshot:
        """The account as it would have been.

        Raises:
            QuoteUnavailable: as :meth:`worth`.
        """
        more = self.worth(quotes)
        held = _held(snapshot)
        changed = tuple(_with(one, self.shares) for one in snapshot.positions)
        new = tuple(Position(symbol, Shares(count)) for symbol, count in self.shares.items() if symbol not in held)
        return replace(
            snapshot,
            positions=changed + new,
            cash=Usd(snapshot.cash + self.cash),
            net_liquidation=Usd(snapshot.net_liquidation + more),
        )

    def after(self, would: Iterable[ProposedOrder], was: Iterable[ProposedOrder]) -> Departure:
        """With the orders of two plans filled at their prices and fees: ``would`` in place of ``was``."""
        shares, cash = dict(self.shares), self.cash
        for sign, orders in ((1, would), (-1, was)):
            for order in orders:
                signed = sign * order.side.sign * order.quantity
                shares[order.symbol] = shares.get(order.symbol, ZERO) + signed
                cash = Usd(cash - signed * order.price - sign * order.fee)
        return Departure({symbol: count for symbol, count in shares.items() if count}, cash)


def _held(snapshot: AccountSnapshot) -> dict[str, Decimal]:
    return {one.symbol: one.quantity for one in snapshot.positions if one.tradable}


def _with(position: Position, shares: Mapping[str, Decimal]) -> Position:
    if not position.tradable or position.symbol not in shares:
        return position
    return replace(position, quantity=Shares(position.quantity + shares[position.symbol]))
