"""``hold`` of an account: whole symbols, or so many shares of each."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from pydantic.config import JsonDict

from rebalancer.domain.symbols import PATTERN, canonical
from rebalancer.domain.units import Shares

SYMBOLS = "a list of ticker symbols in capitals"
HOLD: JsonDict = {"allowed": f"{SYMBOLS}, or a mapping of them to shares"}
ALL = "all"
MOST_SHARES = Decimal(1_000_000_000)


@dataclass(frozen=True, slots=True)
class Hold:
    """What the owner keeps apart.

    Attributes:
        symbols: whole.
        shares: of other symbols, so many; the rest is traded.
    """

    symbols: tuple[str, ...] = ()
    shares: Mapping[str, Shares] = field(default_factory=dict)


def read_hold(value: object) -> Hold:
    """Either form.

    Raises:
        ValueError: it is neither.
    """
    if isinstance(value, Hold):
        return value
    if not isinstance(value, list | tuple | dict) or not all(isinstance(one, str) for one in value):
        raise ValueError(f"has to be {HOLD['allowed']}")
    wrong = [one for one in value if not re.fullmatch(PATTERN, one)]
    if wrong:
        raise ValueError(f"has {', '.join(map(repr, wrong))}: use {HOLD['allowed']}")
    if not isinstance(value, dict):
        return Hold(tuple(map(canonical, value)))
    return _of_mapping(value)


def _of_mapping(value: dict[str, Any]) -> Hold:
    known = {canonical(symbol): count for symbol, count in value.items()}
    if len(known) < len(value):
        raise ValueError("has a symbol twice: keep one")
    for symbol, count in known.items():
        if count != ALL and (not isinstance(count, Decimal) or not 0 < count <= MOST_SHARES):
            raise ValueError(f"has {count!s:.20} for {symbol}: use a number of shares, or {ALL}")
    return Hold(
        tuple(symbol for symbol, count in known.items() if count == ALL),
        {symbol: Shares(count) for symbol, count in known.items() if count != ALL},
    )
