"""Instruments and their moving quotes."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from rebalancer.domain.currencies import CurrencyPair
from rebalancer.domain.money import ceil_to_tick, floor_to_tick
from rebalancer.domain.portfolio import Side
from sandbox.gateway import scenario
from sandbox.gateway.tickets import ContractQuery

_BPS = Decimal("0.0001")
_LOT = 100
CENTS = ((Decimal(0), Decimal("0.01")),)
CENT_RULE, FIRST_RULE = 26, 557


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
    """An instrument and the name under which the scenario has it, unlike its ticker known once."""

    symbol: str
    spec: scenario.Instrument

    def __hash__(self) -> int:
        """That of its name, which is quick."""
        return hash(self.symbol)

    @property
    def ticker(self) -> str:
        """What clients call it."""
        return self.spec.symbol or self.symbol

    @property
    def local_symbol(self) -> str:
        """The exchange's name of it."""
        return self.spec.local_symbol or (str(self.pair) if self.pair else self.ticker)

    @property
    def stock(self) -> bool:
        """Whether it is a stock."""
        return self.spec.security_type == "STK"

    @property
    def pair(self) -> CurrencyPair | None:
        """The currencies, if it is a pair of them."""
        return CurrencyPair(self.ticker, self.spec.currency) if self.spec.security_type == "CASH" else None

    @property
    def venue(self) -> str:
        """Where its orders are sent to."""
        return self.spec.exchange if self.pair else "SMART"

    @property
    def traded(self) -> bool:
        """Whether orders of it fill here."""
        return self.stock or self.pair is not None

    def step_at(self, price: Decimal) -> Decimal:
        """USD between two prices that its market rule allows."""
        return next(step for edge, step in reversed(self.spec.steps()) if price >= edge)

    def fits(self, query: ContractQuery) -> bool:
        """Whether a client's contract may mean it."""
        spec, exchange = self.spec, exchange_name(self.spec.exchange)
        wishes = (
            (query.contract_id or "", spec.con_id),
            (query.symbol, self.ticker),
            (query.local_symbol, self.local_symbol),
            (query.security_type, spec.security_type),
            (query.currency, spec.currency),
            (exchange_name(query.primary_exchange), exchange),
            ("" if query.exchange == "SMART" else exchange_name(query.exchange), exchange),
        )
        return spec.defined and all(wish in ("", found) for wish, found in wishes)


def exchange_name(name: str) -> str:
    """IBKR knows NASDAQ as ISLAND too."""
    return "NASDAQ" if name == "ISLAND" else name


class Market:
    """All instruments with a random walk each, deterministic by seed and number of steps."""

    def __init__(self, instruments: Mapping[str, scenario.Instrument], quotes: scenario.Quotes, now: datetime) -> None:
        self._listings = {symbol: Listing(symbol, spec) for symbol, spec in instruments.items()}
        self._step = float(quotes.move_bps_per_s * _BPS) * float(quotes.interval_ms / 1000) ** 0.5
        # Repeatable on purpose, hence not from the system's randomness.
        self._dice = {symbol: random.Random(f"{quotes.seed}:{symbol}") for symbol in instruments}  # noqa: S311
        self._mids = {symbol: spec.price for symbol, spec in instruments.items()}
        self._quotes = {symbol: self._make(symbol, now) for symbol in instruments}

    def search(self, query: ContractQuery) -> list[Listing]:
        """Every listing that a client's contract may mean."""
        if not (query.contract_id or query.symbol or query.local_symbol):
            return []
        wanted = query.contract_id
        known = [one for one in self._listings.values() if not wanted or one.spec.con_id == wanted]
        return [one for one in known if one.fits(query)]

    def find(self, query: ContractQuery) -> Listing | None:
        """The one listing that a client's contract means; ``None`` if there is none, or if there are several."""
        found = self.search(query)
        return found[0] if len(found) == 1 else None

    def renumber(self, symbol: str, con_id: int) -> None:
        """Give an instrument another contract id, as a corporate action does; the old one means nothing any more."""
        self.redefine(symbol, con_id=con_id)

    def redefine(self, symbol: str, **changes: object) -> None:
        """Change what an instrument's definition says."""
        spec = self._listings[symbol].spec.model_copy(update=changes)
        self._listings[symbol] = Listing(symbol, spec)

    def rules(self) -> dict[int, tuple[tuple[Decimal, Decimal], ...]]:
        """Market rules by number: one for all instruments with the same steps."""
        different = dict.fromkeys(listing.spec.steps() for listing in self._listings.values())
        others = [steps for steps in different if steps != CENTS]
        return {CENT_RULE: CENTS, **dict(enumerate(others, FIRST_RULE))}

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

    def split_close(self, symbol: str, ratio: Decimal) -> None:
        """Tell the last close by new shares, of which there are so many for each old one."""
        spec = self._listings[symbol].spec
        self.redefine(symbol, close=(spec.close or spec.price) / ratio)

    def _make(self, symbol: str, now: datetime) -> Quote:
        listing, mid, dice = self._listings[symbol], self._mids[symbol], self._dice[symbol]
        spec, tick = listing.spec, listing.step_at(mid)
        half = mid * spec.spread_bps * _BPS / 2
        bid = max(floor_to_tick(mid - half, tick), tick)
        ask = max(ceil_to_tick(mid + half, tick), bid + tick)
        ask = ceil_to_tick(ask, listing.step_at(ask))
        return Quote(
            symbol=symbol,
            at=now,
            bid=bid,
            ask=ask,
            bid_size=_LOT * dice.randint(1, 40),
            ask_size=_LOT * dice.randint(1, 40),
            last=max(floor_to_tick(mid, tick), bid),
            last_size=_LOT,
            close=spec.close or spec.price,
        )
