"""Which columns of a table are meant."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rebalancer.domain.sources import TableForm, Unit
from rebalancer.sources.tables.cells import folded, malformed

SYMBOLS = frozenset(
    {
        "symbol",
        "symbols",
        "symbol s",
        "ticker",
        "tickers",
        "ticker s",
        "ticker symbol",
        "symbol ticker",
        "holding ticker",
        "stock ticker",
        "stockticker",
        "stock symbol",
        "security ticker",
        "security symbol",
        "trading symbol",
        "etf",
    }
)
WEIGHTS = frozenset(
    {
        "weight",
        "weights",
        "weighting",
        "weightings",
        "weight in",
        "wgt",
        "wt",
        "alloc",
        "portfolio",
        "of assets",
        "of total",
        "allocation",
        "allocations",
        "target",
        "targets",
        "target weight",
        "target allocation",
        "target weighting",
        "portfolio weight",
        "fund weight",
        "model weight",
        "exposure weight",
        "proportion",
        "of net assets",
        "of fund",
        "of portfolio",
        "net assets",
        "gewicht",
        "gewichtung",
        "gewichtung in",
        "anteil",
        "anteil in",
    }
)
"""What remains of a header when what it says of the unit is taken off."""
PERCENT_OF = frozenset(
    {"", "assets", "fund", "holding", "holdings", "market value", "of market value", "nav", "of nav", "tna"}
)
"""The same of what is a weight only in percent: ``NAV`` and ``Market value`` by themselves are dollars."""
AS_OF = frozenset({"as of", "as of date", "asof", "asofdate", "date"})
_PERCENT = re.compile(r"%|\b(percent|percentage|pct|prozent)\b")
_FRACTION = re.compile(r"\b(fraction|ratio|decimal)\b")
_NO_WORD = re.compile(r"[^\w]+|_")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")


@dataclass(frozen=True, slots=True)
class Columns:
    """Places of the columns.

    Attributes:
        unit: of the weights, if their header says it.
        as_of_named: the owner has named the column of dates.
    """

    symbol: int
    weight: int
    as_of: int | None
    unit: Unit | None
    as_of_named: bool


def is_header(cells: Sequence[str], table: TableForm) -> bool:
    """Whether a row may be the header."""
    return bool(_symbols(cells, table)) and bool(_weights(cells, table))


def choose(header: Sequence[str], table: TableForm) -> Columns:
    """The columns that are meant.

    Raises:
        Refused: ``allocations_malformed``: there is none, or more than one may be.
    """
    weight = _only("weights", "weight", header, _weights(header, table))
    dates = _places(header, table.as_of, lambda name: _words(name) in AS_OF)
    if table.as_of is not None or len(dates) > 1:
        dates = [_only("dates", "as_of", header, dates)]
    return Columns(
        symbol=_only("symbols", "symbol", header, _symbols(header, table)),
        weight=weight,
        as_of=dates[0] if dates else None,
        unit=_unit(header[weight]),
        as_of_named=table.as_of is not None,
    )


def _symbols(cells: Sequence[str], table: TableForm) -> list[int]:
    return _places(cells, table.symbol, lambda name: _words(name) in SYMBOLS)


def _weights(cells: Sequence[str], table: TableForm) -> list[int]:
    return _places(cells, table.weight, _is_weight)


def _places(cells: Sequence[str], named: str | None, fits: Callable[[str], bool]) -> list[int]:
    if named is not None:
        return [place for place, cell in enumerate(cells) if folded(cell) == folded(named)]
    return [place for place, cell in enumerate(cells) if folded(cell) and fits(_name(cell))]


def is_as_of(name: str) -> bool:
    """Whether it is what a date is called."""
    return _words(_name(name)) in AS_OF


def _name(header: str) -> str:
    """For comparison, ``targetWeight`` in two words."""
    return folded(_CAMEL.sub(" ", header))


def _only(what: str, key: str, header: Sequence[str], places: Sequence[int]) -> int:
    if len(places) == 1:
        return places[0]
    if places:
        names = " and ".join(repr(header[place]) for place in places)
        raise malformed(f"the columns {names} may all be the {what}: name one as {key} in columns")
    raise malformed(f"no column is known as that of the {what}: name it as {key} in columns")


def _is_weight(name: str) -> bool:
    plain = name.replace("_", " ")
    bare = _words(_FRACTION.sub(" ", _PERCENT.sub(" ", plain)))
    return bare in WEIGHTS or (bare in PERCENT_OF and _PERCENT.search(plain) is not None)


def _words(name: str) -> str:
    return " ".join(_NO_WORD.sub(" ", name).split())


def _unit(header: str) -> Unit | None:
    name = _name(header).replace("_", " ")
    says = [unit for unit, form in ((Unit.PERCENT, _PERCENT), (Unit.FRACTION, _FRACTION)) if form.search(name)]
    return says[0] if len(says) == 1 else None
