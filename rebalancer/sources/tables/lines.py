"""What each row of a table is: a target, cash, the total, or words."""

from __future__ import annotations

import re
from dataclasses import dataclass

from rebalancer.domain.symbols import FOREIGN, PATTERN, canonical, is_cash
from rebalancer.sources.tables.cells import clean, is_empty, malformed, shown
from rebalancer.sources.tables.columns import Columns
from rebalancer.sources.tables.sheets import Row, Sheet

CASH = "CASH_USD"
"""For the many names of cash; no stock is called so, whatever the owner has pinned."""
LONGEST_TICKER = 5
_TOTAL = re.compile(r"(grand |sub)?totals?\b.*|(summe|gesamt)\b.*|sum:", re.IGNORECASE)
_MEANS_CASH = frozenset({"cash", "dollar", "dollars"})
# fmt: off
_BESIDE_CASH = frozenset({
    "us", "u", "s", "usd", "and", "or", "net", "other", "equivalent", "equivalents", "balance", "position", "reserve",
    "reserves", "component", "collateral", "derivatives", "money", "market",
})
# fmt: on
"""Words that may stand beside those: all of a name has to be of both, since there are companies like Dollar General."""
_SENTENCE = re.compile(r"[^\W\d_]{2,}\s+[^\W\d_]{2,}")
_EXCHANGE = re.compile(r"(NYSE|NASDAQ|NYSEARCA|NYSEAMERICAN|ARCA|AMEX|BATS|CBOE|BCBA|OTCMKTS):\s*", re.IGNORECASE)
"""How a spreadsheet names where a symbol is listed."""
_HOME = re.compile(r" U[SNQPWARFV]( EQUITY)?$")
"""How data vendors do, if that is in the United States."""
_TICKER = re.compile(r"[A-Z][A-Z0-9]{0,6}([ ./-][A-Z]{1,3})?")
"""Neither a name nor an ISIN."""


@dataclass(frozen=True, slots=True)
class Line:
    """A row that has a weight; ``symbol`` is ``None`` for the total of those above."""

    place: str
    symbol: str | None
    weight: str


def lines_of(sheet: Sheet, columns: Columns) -> tuple[Line, ...]:
    """Rows with weights, in their order; those without are words, or refused.

    Raises:
        Refused: ``allocations_malformed``: a row may be a target and cannot be read as one.
    """
    width = len(sheet.header)
    found = [line for row in sheet.rows if (line := _line(row, columns, width)) is not None]
    last = sheet.rows[-1] if sheet.open_end and sheet.rows else None
    if last is not None and found and found[-1].place == last.place and len(last.cells) < width:
        raise malformed(
            f"{last.place} has fewer cells than the header, and there the table ends: it may have broken off"
        )
    return tuple(found)


def _line(row: Row, columns: Columns, width: int) -> Line | None:
    name, weight = clean(row.cell(columns.symbol)), row.cell(columns.weight)
    named = not is_empty(name)
    if is_empty(weight):
        if named and not _is_words(row, name):
            raise malformed(f"{row.place}: {shown(name)} has no weight")
        return None
    if not named and _alone(row) and _SENTENCE.search(weight):
        return None
    if not all(is_empty(cell) for cell in row.cells[width:]):
        raise malformed(f"{row.place} has more cells than the header: a number with a comma needs quotes")
    return _with_symbol(row.place, name, weight) if named else _without_symbol(row, weight)


def _is_words(row: Row, name: str) -> bool:
    """Whether a row without a weight is no target: a heading, a remark, a total that is not given."""
    may_be_ticker = len(name) <= LONGEST_TICKER and re.fullmatch(PATTERN, name.upper())
    return _TOTAL.fullmatch(name) is not None or (_alone(row) and not may_be_ticker)


def _alone(row: Row) -> bool:
    return sum(not is_empty(cell) for cell in row.cells) == 1


def _with_symbol(place: str, name: str, weight: str) -> Line:
    """Symbols in capitals, classes of shares in IBKR's way.

    ``CASH`` and currencies stay as they are, since there are stocks of these names; the gate of each account decides.
    """
    if _TOTAL.fullmatch(name):
        return Line(place, None, weight)
    plain = _HOME.sub("", _EXCHANGE.sub("", name.upper(), count=1))
    if FOREIGN.fullmatch(plain) and is_cash(plain):
        return Line(place, canonical(plain), weight)
    if _names_cash(name):
        return Line(place, CASH, weight)
    if not _TICKER.fullmatch(plain):
        raise malformed(f"{place} has {shown(name)}, which is no symbol of a stock")
    return Line(place, canonical(plain), weight)


def _without_symbol(row: Row, weight: str) -> Line | None:
    """Cash, the total, or what has no weight: what is left of a right, or of a margin."""
    cells = [clean(cell) for cell in row.cells]
    if any(_TOTAL.fullmatch(cell) for cell in cells):
        return Line(row.place, None, weight)
    if any(_names_cash(cell) for cell in cells):
        return Line(row.place, CASH, weight)
    if "0" in weight and not re.search("[1-9]", weight):
        return None
    raise malformed(f"{row.place} has a weight and no symbol")


def _names_cash(text: str) -> bool:
    words = {word for word in re.split(r"[^a-z]+", text.casefold()) if word}
    return bool(words & _MEANS_CASH) and words <= _MEANS_CASH | _BESIDE_CASH
