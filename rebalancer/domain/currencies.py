"""Pairs of currencies as IBKR trades them: so many units of the second for one of the first. Pure.

Each pair has one direction at IBKR: there is EUR.USD and no USD.EUR, USD.CHF and no CHF.USD.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Self

from rebalancer.domain.money import ONE, ZERO
from rebalancer.domain.portfolio import Side
from rebalancer.domain.symbols import CURRENCIES

USD = "USD"


@dataclass(frozen=True, slots=True)
class CurrencyPair:
    """Quantities are in the first currency, prices in the second."""

    first: str
    second: str

    @classmethod
    def read(cls, symbol: str) -> Self | None:
        """``None`` for what is no pair with dollars: ``EUR.USD`` is one, ``BRK B`` and ``ABC.CNT`` are not."""
        first, _, second = symbol.partition(".")
        known = {first, second} <= CURRENCIES and first != second
        return cls(first, second) if known and USD in {first, second} else None

    def __str__(self) -> str:
        return f"{self.first}.{self.second}"

    @property
    def foreign(self) -> str:
        """The currency that is not the dollar."""
        return self.second if self.first == USD else self.first

    def dollars(self, quantity: Decimal, price: Decimal) -> Decimal:
        """USD that change hands."""
        return quantity if self.first == USD else quantity * price

    def changes(self, side: Side, quantity: Decimal, price: Decimal) -> tuple[Decimal, Decimal]:
        """What a fill adds, negative where it takes: USD, and units of the other currency; commission apart."""
        signed = quantity if side is Side.BUY else -quantity
        by_currency = {self.first: signed, self.second: -signed * price}
        return by_currency[USD], by_currency[self.foreign]


def per_dollar(pair: CurrencyPair, price: Decimal) -> Decimal:
    """Units of the other currency for one USD at a pair's price; 0 without one."""
    if price <= 0:
        return ZERO
    return price if pair.first == USD else ONE / price


def dollars(symbol: str, quantity: Decimal, price: Decimal) -> Decimal:
    """USD that change hands with an order or a fill, of a stock or of currencies."""
    pair = CurrencyPair.read(symbol)
    return pair.dollars(quantity, price) if pair else quantity * price
