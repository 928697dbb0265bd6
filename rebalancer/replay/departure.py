"""How an account that had been traded by other rules would differ from the one that is on record."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal

from rebalancer.domain.errors import QuoteUnavailable
from rebalancer.domain.money import ZERO
from rebalancer.domain.portfolio import AccountSnapshot, Position, ProposedOrder, Quote
from rebalancer.domain.units import NO_USD, Shares, Usd
from rebalancer.planning.conversion import Exchange, may_convert
from rebalancer.planning.conversion_terms import ConversionTerms


@dataclass(frozen=True, slots=True)
class Departure:
    """The difference in what was traded since the first run that is replayed; at first none.

    Attributes:
        shares: by symbol, more (+) or fewer than on record.
        cash: USD, more (+) or less.
        base: of the account's base currency, in it, more (+) or less.
    """

    shares: Mapping[str, Decimal] = field(default_factory=dict)
    cash: Usd = NO_USD
    base: Decimal = ZERO

    def worth(self, quotes: Mapping[str, Quote], exchange: Exchange | None = None) -> Usd:
        """USD of equity that the account would have more (+) or less.

        Raises:
            QuoteUnavailable: naming each symbol whose price is not on record.
        """
        missing = [symbol for symbol in sorted(self.shares) if symbol not in quotes]
        if self.base and exchange is None:
            missing.append("the base currency")
        if missing:
            raise QuoteUnavailable(f"no price of {', '.join(missing)} is on record")
        base = self.base / exchange.per_dollar if exchange else ZERO
        return Usd(sum((count * quotes[symbol].mid for symbol, count in self.shares.items()), self.cash) + base)

    def fitted(
        self, snapshot: AccountSnapshot, quotes: Mapping[str, Quote], exchange: Exchange | None = None
    ) -> Departure:
        """The same where its owner has meanwhile sold by hand what it would not have had: only what it had.

        Raises:
            QuoteUnavailable: as :meth:`worth`.
        """
        self.worth(quotes, exchange)
        held, cash, base = _held(snapshot), self.cash, self.base
        if exchange is not None:
            base = max(base, min(ZERO, -exchange.base.cash))
            cash = Usd(cash + (self.base - base) / exchange.per_dollar)
        shares: dict[str, Decimal] = {}
        for symbol, count in self.shares.items():
            possible = max(count, min(ZERO, -held.get(symbol, ZERO)))
            cash = Usd(cash + (count - possible) * quotes[symbol].mid)
            if possible:
                shares[symbol] = possible
        return Departure(shares, cash, base)

    def terms(self, terms: ConversionTerms | None) -> ConversionTerms | None:
        """What would have decided on conversions; ``None`` where there would have been nothing to convert."""
        if terms is None:
            return None
        exchange, back = terms.exchange, terms.back
        base = replace(exchange.base, cash=exchange.base.cash + self.base)
        if not may_convert(base, exchange.kept, back=back is not None):
            return None
        return ConversionTerms(
            exchange=replace(exchange, base=base),
            dollars=Usd(terms.dollars + self.cash),
            back=back and replace(back, dollars=Usd(back.dollars + self.cash)),
        )

    def applied(
        self, snapshot: AccountSnapshot, quotes: Mapping[str, Quote], terms: ConversionTerms | None = None
    ) -> AccountSnapshot:
        """The account as it would have been, with what might have been converted counted as dollars.

        Raises:
            QuoteUnavailable: as :meth:`worth`.
        """
        cash = Usd(self.cash + _counted(self.terms(terms)) - _counted(terms))
        more = Departure(self.shares, cash).worth(quotes)
        held = _held(snapshot)
        changed = tuple(_with(one, self.shares) for one in snapshot.positions)
        new = tuple(Position(symbol, Shares(count)) for symbol, count in self.shares.items() if symbol not in held)
        return replace(
            snapshot,
            positions=changed + new,
            cash=Usd(snapshot.cash + cash),
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
        return Departure({symbol: count for symbol, count in shares.items() if count}, cash, self.base)

    def after_exchanges(
        self, would: Iterable[ProposedOrder], was: Iterable[ProposedOrder], exchange: Exchange
    ) -> Departure:
        """As :meth:`after`, of orders for currencies."""
        cash, base = self.cash, self.base
        for sign, orders in ((1, would), (-1, was)):
            for order in orders:
                usd, foreign = exchange.pair.changes(order.side, Decimal(order.quantity), order.price)
                cash = Usd(cash + sign * usd)
                base += sign * (foreign - order.fee * exchange.per_dollar)
        return Departure(self.shares, cash, base)


def _counted(terms: ConversionTerms | None) -> Usd:
    return NO_USD if terms is None else terms.exchange.counted


def _held(snapshot: AccountSnapshot) -> dict[str, Decimal]:
    return {one.symbol: one.quantity for one in snapshot.positions if one.tradable}


def _with(position: Position, shares: Mapping[str, Decimal]) -> Position:
    if not position.tradable or position.symbol not in shares:
        return position
    return replace(position, quantity=Shares(position.quantity + shares[position.symbol]))
