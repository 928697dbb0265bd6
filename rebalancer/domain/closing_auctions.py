"""Until when an exchange takes orders for its closing auction. Pure.

Source: IBKR's pages on Market-on-Close and Limit-on-Close orders; SEC release 34-84804 (NYSE), by which the times count
back from the scheduled close, also on half days.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from rebalancer.domain.symbols import listed_at


@dataclass(frozen=True, slots=True)
class Cutoffs:
    """How long before the close an exchange takes the last one.

    Attributes:
        market / limit: market-on-close and limit-on-close orders.
        cancel: cancels of either.
    """

    market: timedelta
    limit: timedelta
    cancel: timedelta


_TEN = timedelta(minutes=10)
_STRICT = Cutoffs(_TEN, _TEN, _TEN)
"""NYSE, NYSE American (AMEX) and NYSE Arca; assumed of whoever IBKR's pages do not name (BATS among them)."""
_CUTOFFS: Mapping[str, Cutoffs] = {"NASDAQ": Cutoffs(timedelta(minutes=5), timedelta(minutes=2), _TEN)}


def cutoffs(exchange: str) -> Cutoffs:
    """Those of an instrument's primary exchange, by IBKR's name of it."""
    return _CUTOFFS.get(listed_at(exchange), _STRICT)
