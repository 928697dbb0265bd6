"""Instruments and their moving quotes."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from rebalancer.model import Side
from rebalancer.money import ceil_to_tick, floor_to_tick
from sandbox.gateway import scenario
from sandbox.gateway.tickets import ContractQuery

_BPS = Decimal("0.0001")
_LOT = 100


@dataclass(frozen=True, slots=True)
class Quote:
    """A symbol's market at one moment; prices in USD, sizes in shares."""

    symbol: str
    at: datetime
    bid: Decimal
    ask: Decimal
    bid_size: int
    ask_size: int
    last: Decimal
    last_size: int
    close: Decimal

    @property
    def mark(self) -> Decimal:
        """Price at which holdings are valued."""
        return (self.bid + self.ask) / 2

    def price_for(self, side: Side) -> Decimal:
        """What a market order pays or gets."""
        return self.ask if side is Side.BUY else self.bid


@dataclass(frozen=True, slots=True)
class Listing:
    """An instrument and its symbol."""

    symbol: str
    spec: scenario.Instrument


class Market:
    """All instruments with a random walk each, deterministic by seed and number of steps."""

    def __init__(self, instruments: Mapping[str, scenario.Instrument], quotes: scenario.Quotes, now: datetime) -> None:
        self._listings = {symbol: Listing(symbol, spec) for symbol, spec in instruments.items()}
        self._by_con_id = {listing.spec.con_id: listing for listing in self._listings.values()}
        self._step = float(quotes.move_bps_per_s * _BPS) * float(quotes.interval_ms / 1000) ** 0.5
        # Repeatable on purpose, hence not from the system's randomness.
        self._dice = {symbol: random.Random(f"{quotes.seed}:{symbol}") for symbol in instruments}  # noqa: S311
        self._mids = {symbol: spec.price for symbol, spec in instruments.items()}
        self._quotes = {symbol: self._make(symbol, now) for symbol in instruments}

    def find(self, query: ContractQuery) -> Listing | None:
        """The one listing that a client's contract means, if there is one."""
        by_id = self._by_con_id.get(query.contract_id) if query.contract_id else None
        listing = by_id if query.contract_id else self._listings.get(query.symbol)
        if listing is None or query.security_type not in ("", "STK") or query.currency not in ("", "USD"):
            return None
        if query.symbol not in ("", listing.symbol) or query.primary_exchange not in ("", listing.spec.exchange):
            return None
        if query.exchange not in ("", "SMART", listing.spec.exchange):
            return None
        return listing

    def listing(self, symbol: str) -> Listing:
        """A known symbol's instrument."""
        return self._listings[symbol]

    def quote(self, symbol: str) -> Quote:
        """Newest quote."""
        return self._quotes[symbol]

    def step(self, now: datetime) -> None:
        """Move every symbol by one interval."""
        for symbol, dice in self._dice.items():
            if self._step:
                self._mids[symbol] *= 1 + Decimal(repr(dice.gauss(0, self._step)))
            self._quotes[symbol] = self._make(symbol, now)

    def set_price(self, symbol: str, price: Decimal, now: datetime) -> None:
        """Let a symbol jump."""
        self._mids[symbol] = price
        self._quotes[symbol] = self._make(symbol, now)

    def _make(self, symbol: str, now: datetime) -> Quote:
        spec, mid, dice = self._listings[symbol].spec, self._mids[symbol], self._dice[symbol]
        half = mid * spec.spread_bps * _BPS / 2
        bid = max(floor_to_tick(mid - half, spec.min_tick), spec.min_tick)
        ask = max(ceil_to_tick(mid + half, spec.min_tick), bid + spec.min_tick)
        return Quote(
            symbol=symbol,
            at=now,
            bid=bid,
            ask=ask,
            bid_size=_LOT * dice.randint(1, 40),
            ask_size=_LOT * dice.randint(1, 40),
            last=max(floor_to_tick(mid, spec.min_tick), bid),
            last_size=_LOT,
            close=spec.close or spec.price,
        )
