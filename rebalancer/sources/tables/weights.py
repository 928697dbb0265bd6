"""What the numbers of a table mean: decimal marks, percent or fractions, and whether its total agrees."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from rebalancer.domain.money import HUNDRED, ZERO
from rebalancer.domain.portfolio import TargetWeight
from rebalancer.domain.sources import TableForm, Unit
from rebalancer.domain.units import Ratio
from rebalancer.planning.checks import exact_arithmetic
from rebalancer.sources.tables.cells import clean, malformed, shown
from rebalancer.sources.tables.columns import Columns
from rebalancer.sources.tables.lines import CASH, Line

LONGEST = 40
"""Characters of a number."""
NEAR = Decimal("0.02")
"""How far from 1, or 100, the sum of weights may be that do not say what they are."""
TOTAL_WITHIN = Decimal("0.005")
"""How far a total may be from its rows, as part of itself: they are rounded."""
MARKS = (".", ",")
_NUMBERS = {
    mark: re.compile(
        rf"[-+]?(?:[1-9][0-9]{{0,2}}(?P<gap>[{thousands} '\u2019])[0-9]{{3}}(?:(?P=gap)[0-9]{{3}})*|[0-9]*)"
        rf"(?:{re.escape(mark)}[0-9]*)?(?:[eE][-+]?[0-9]{{1,2}})?"
    )
    for mark, thousands in ((".", ","), (",", "."))
}


@dataclass(frozen=True, slots=True)
class _Cell:
    place: str
    number: str
    percent: bool


def weights_of(lines: Sequence[Line], columns: Columns, table: TableForm) -> tuple[TargetWeight, ...]:
    """Weights as fractions, in the order of the lines; several lines of cash are one.

    Raises:
        Refused: ``allocations_malformed``: a cell is no number, or the numbers may mean two things.
    """
    cells = [_cell(line) for line in lines]
    with exact_arithmetic():
        numbers = _numbers(cells, table.decimal_mark)
        _check_totals(lines, numbers)
        told = [(line, number) for line, number in zip(lines, numbers, strict=True) if line.symbol is not None]
        unit = _unit(cells, sum((number for _, number in told), ZERO), columns.unit, table.unit)
        scale = -2 if unit is Unit.PERCENT else 0
        return _joined([(str(line.symbol), number.scaleb(scale)) for line, number in told])


def _joined(told: Sequence[tuple[str, Decimal]]) -> tuple[TargetWeight, ...]:
    cash = [weight for symbol, weight in told if symbol == CASH]
    stocks = [TargetWeight(symbol, Ratio(weight)) for symbol, weight in told if symbol != CASH]
    return (*stocks, *([TargetWeight(CASH, Ratio(sum(cash, ZERO)))] if cash else []))


def _cell(line: Line) -> _Cell:
    text = unicodedata.normalize("NFKC", clean(line.weight))
    number = clean(text.replace("%", "", 1))
    if number.startswith("(") and number.endswith(")"):
        number = f"-{number[1:-1]}"
    return _Cell(line.place, number, "%" in text)


def _numbers(cells: Sequence[_Cell], mark: str | None) -> list[Decimal]:
    """The cells under the one decimal mark that fits all of them and makes weights of them."""
    readings = {one: [_number(cell, one) for cell in cells] for one in ([mark] if mark else MARKS)}
    whole: Mapping[str, list[Decimal]] = {
        one: [number for number in read if number is not None] for one, read in readings.items() if None not in read
    }
    if not whole:
        raise malformed(_wrong(cells, readings))
    sensible = [read for read in whole.values() if all(abs(number) <= HUNDRED for number in read)]
    first, *others = sensible or list(whole.values())
    if any(other != first for other in others):
        raise malformed("its decimal mark cannot be told: say decimal_mark")
    return first


def _number(cell: _Cell, mark: str) -> Decimal | None:
    if len(cell.number) > LONGEST or not re.search("[0-9]", cell.number) or not _NUMBERS[mark].fullmatch(cell.number):
        return None
    return Decimal(re.sub(r"[^0-9eE.+-]", "", cell.number.replace(mark, "\0").replace(".", "").replace("\0", ".")))


def _wrong(cells: Sequence[_Cell], readings: Mapping[str, Sequence[Decimal | None]]) -> str:
    for cell, *read in zip(cells, *readings.values(), strict=True):
        if all(number is None for number in read):
            return f"{cell.place}: the weight {shown(cell.number)} is no number"
    return "its numbers have different decimal marks"


def _check_totals(lines: Sequence[Line], numbers: Sequence[Decimal]) -> None:
    """A total says how many rows there should be: one that does not agree is a table that broke off, or was mixed up.

    Subtotals stand for the rows since the one before them, the last for all.
    """
    rows = since = ZERO
    for line, number in zip(lines, numbers, strict=True):
        if line.symbol is not None:
            rows, since = rows + number, since + number
            continue
        if all(abs(number - found) > TOTAL_WITHIN * abs(number) for found in (rows, since)):
            raise malformed(f"{line.place}: the rows above sum to {rows.normalize():f}, their total says {number:f}")
        since = ZERO


def _unit(cells: Sequence[_Cell], total: Decimal, header: Unit | None, said: Unit | None) -> Unit:
    signs = {cell.percent for cell in cells if cell.number.strip("0.,") or cell.percent}
    if len(signs) > 1:
        raise malformed("some of its weights have a percent sign and some have none")
    signed = Unit.PERCENT if True in signs else None
    if signed and said is Unit.FRACTION:
        raise malformed("its weights have percent signs, and the accounts file says fraction")
    unit = said or signed or header
    like = Unit.FRACTION if abs(total - 1) <= NEAR else Unit.PERCENT if abs(total - HUNDRED) <= HUNDRED * NEAR else None
    if unit is Unit.PERCENT and like is Unit.FRACTION:
        raise malformed(f"its weights are percent and sum to {total.normalize():f}, as fractions do: say what they are")
    chosen = unit or like
    if not total:
        return Unit.FRACTION  # of nothing, which is refused as such
    if chosen is None:
        raise malformed(f"its weights sum to {total.normalize():f}: say whether they are percent or fraction")
    return chosen
