"""What each row of a table is: a target, cash, the total, or words."""

from __future__ import annotations

import re
from collections.abc import Sequence
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
_EXCHANGE = re.compile(r"(NYSE|NASDAQ|NYSEARCA|NYSEAMERICAN|ARCA|AMEX|BATS|CBOE|BCBA|OTCMKTS):\s*", re.IGNORECASE)
"""How a spreadsheet names where a symbol is listed."""


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
    found = (_line(row, columns, len(sheet.header)) for row in sheet.rows)
    return tuple(line for line in found if line is not None)


def _line(row: Row, columns: Columns, width: int) -> Line | None:
    name, weight = row.cell(columns.symbol), row.cell(columns.weight)
    label = clean(name) if not is_empty(name) else _label(row.cells)
    if is_empty(weight):
        if not _is_words(row, name, label):
            raise malformed(f"{row.place}: {shown(label)} has no weight")
        return None
    if not all(is_empty(cell) for cell in row.cells[width:]):
        raise malformed(f"{row.place} has more cells than the header: a number with a comma needs quotes")
    if _TOTAL.fullmatch(label):
        return Line(row.place, None, weight)
    return Line(row.place, _symbol(row.place, name, label), weight)


def _is_words(row: Row, name: str, label: str) -> bool:
    """Whether a row without a weight says nothing of a symbol: a heading, a remark, a total that is not given."""
    if is_empty(name) or _TOTAL.fullmatch(label):
        return True
    alone = sum(not is_empty(cell) for cell in row.cells) == 1
    return alone and not (len(label) <= LONGEST_TICKER and re.fullmatch(PATTERN, label.upper()))


def _names_cash(label: str) -> bool:
    words = {word for word in re.split(r"[^a-z]+", label.casefold()) if word}
    return bool(words & _MEANS_CASH) and words <= _MEANS_CASH | _BESIDE_CASH


def _label(cells: Sequence[str]) -> str:
    """What a row without a symbol is called."""
    return next((clean(cell) for cell in cells if not is_empty(cell) and re.search(r"[^\W\d_]", cell)), "")


def _symbol(place: str, name: str, label: str) -> str:
    """As targets have it: capitals, IBKR's way to write a class of shares.

    ``CASH`` and currencies stay as they are, since there are stocks of these names; the gate of each account decides.
    """
    plain = _EXCHANGE.sub("", label.upper(), count=1)
    if not is_empty(name) and is_cash(plain) and FOREIGN.fullmatch(plain):
        return canonical(plain)
    if _names_cash(label):
        return CASH
    if is_empty(name):
        raise malformed(f"{place} has a weight and no symbol")
    if not FOREIGN.fullmatch(plain):
        raise malformed(f"{place} has {shown(label)}, which is no symbol")
    return canonical(plain)
