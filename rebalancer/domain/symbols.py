"""How symbols are written, what is no symbol of a stock, and where US stocks are listed. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

NATIONAL = frozenset(
    {"NYSE", "NASDAQ", "ISLAND", "ARCA", "AMEX", "BATS", "IEX", "BEX", "CHX", "NYSENAT", "PSX", "LTSE", "TXSE"}
)
"""National securities exchanges on which a stock or ETF may have its primary listing, as IBKR names them; ``ISLAND`` is
its older name of NASDAQ. Whoever is missing here is not traded."""

OVER_THE_COUNTER = frozenset({"PINK", "OTCLNKECN", "OTCBB"})
"""Names without an exchange listing. US stocks too, since a delisted holding ends here and has to be sold; but whoever
is listed on an exchange is traded there."""

# fmt: off
CURRENCIES = frozenset({
    "AED", "AUD", "BRL", "CAD", "CHF", "CNH", "CNY", "CZK", "DKK", "EUR", "GBP", "HKD", "HUF", "ILS", "INR", "JPY",
    "KRW", "MXN", "MYR", "NOK", "NZD", "PLN", "RON", "RUB", "SAR", "SEK", "SGD", "THB", "TRY", "TWD", "USD", "ZAR",
})
# fmt: on
"""Currencies in which IBKR keeps cash or quotes stocks."""

PATTERN = r"^[A-Z][A-Z0-9]*([ ./-][A-Z]+)?$"
FOREIGN = re.compile(r"[A-Za-z0-9$][A-Za-z0-9 ._/$-]{0,31}")
"""A symbol as providers may write it, the many names of cash among them; whatever has other characters is none."""
_CLASS = re.compile(r"([A-Z][A-Z0-9]*)[ ./-]([A-Z])")
_WORDS = re.compile(r"[^A-Z0-9]+")
_ALIASES = {"ISLAND": "NASDAQ"}


_CASH = CURRENCIES | {"CASH"}


@dataclass(frozen=True, slots=True)
class Pin:
    """What the owner says a symbol stands for: exactly one of both.

    Attributes:
        exchange: primary exchange.
        contract_id: IBKR's conId.
    """

    exchange: str | None = None
    contract_id: int | None = None


def canonical(symbol: str) -> str:
    """IBKR's way to write a class of shares: ``BRK.B``, ``BRK/B`` and ``BRK-B`` are ``BRK B``; all else as it is."""
    found = _CLASS.fullmatch(symbol)
    return f"{found[1]} {found[2]}" if found else symbol


def is_cash(symbol: str) -> bool:
    """Whether providers mean the part that is not invested: ``CASH``, ``USD``, ``CASH_USD``. There are stocks of some
    of these names: CASH is a bank, USD a leveraged fund, NOK a maker of telephones.
    """
    words = [word for word in _WORDS.split(symbol) if word]
    return bool(words) and all(word in _CASH for word in words)


def listed_at(exchange: str) -> str:
    """One name for each exchange: ``NASDAQ`` for ``ISLAND`` and ``NASDAQ.NMS``."""
    name = exchange.partition(".")[0].upper()
    return _ALIASES.get(name, name)


def is_national(exchange: str) -> bool:
    """Whether it is a US stock exchange."""
    return listed_at(exchange) in NATIONAL


def is_american(exchange: str) -> bool:
    """Whether US stocks are at home there, on an exchange or over the counter."""
    return is_national(exchange) or listed_at(exchange) in OVER_THE_COUNTER
