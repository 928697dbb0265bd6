"""The day that a table is of."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, datetime

from rebalancer.domain.sources import TableForm
from rebalancer.sources.tables.cells import clean, folded, is_empty, malformed, shown
from rebalancer.sources.tables.columns import Columns
from rebalancer.sources.tables.sheets import Sheet

MONTHS = 12
_AS_OF = re.compile(r"(?:(?:.*\b)?as[ _-]?of(?:[ _-]?date)?\b\s*:?\s*|date\s*:?\s*(?=\S*\d|$))(.*)", re.IGNORECASE)
_ISO = re.compile(r"(\d{4})(?:(\d{2})(\d{2})|([/.-])(\d{1,2})\4(\d{1,2}))(?:[T ].*)?")
_NUMBERS = re.compile(r"(\d{1,2})([/.-])(\d{1,2})\2(\d{4}|\d{2})(?: .*)?")
_DAY = re.compile(
    r"(?<![\d/.-])(?:\d{4}([/.-])\d{1,2}\1\d{1,2}|\d{1,2}([/.-])\d{1,2}\2(?:\d{4}|\d{2})|\d{8}"
    r"|[A-Za-z]{3,9}\.? \d{1,2}(?:st|nd|rd|th)?,? \d{4}|\d{1,2}[-. ]+[A-Za-z]{3,9}[-,. ]+(?:\d{4}|\d{2}))(?![\d/-])"
)
"""Somewhere in what stands above the header."""
_WORDS = ("%b %d %Y", "%B %d %Y", "%d %b %Y", "%d %B %Y", "%d %b %y", "%d %B %y")
_PUNCTUATION = re.compile(r"[,.\-\s]+")
_BESIDE = re.compile(
    r"^(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*[,.]* +|(?<=\d)(?:st|nd|rd|th)\b|(?<=\bsep)t(?=\b)", re.IGNORECASE
)
"""What people write of a date and Python does not read: its weekday, ordinals, four letters of September."""


def date_of(sheet: Sheet, columns: Columns, table: TableForm) -> date | None:
    """What its column of dates says, else what stands above; ``None`` if neither does.

    Raises:
        Refused: ``allocations_malformed``: a date cannot be read, may be two days, or is not the same in all rows.
    """
    days = {_day(text, table.day_first) for text in _dates(sheet, columns)}
    if len(days) > 1 and _of_each_row(sheet, columns):
        return None
    if len(days) > 1:
        raise malformed(f"it is of several days: {', '.join(str(day) for day in sorted(days))}")
    return days.pop() if days else None


def _of_each_row(sheet: Sheet, columns: Columns) -> bool:
    """Whether a date may be something else of each row, as the day of its purchase."""
    return columns.as_of is not None and not columns.as_of_named and folded(sheet.header[columns.as_of]) == "date"


def _dates(sheet: Sheet, columns: Columns) -> Iterator[str]:
    if columns.as_of is not None:
        for row in sheet.rows:
            text = row.cell(columns.as_of)
            if not is_empty(text) and not is_empty(row.cell(columns.weight)):
                yield clean(text)
            elif (
                columns.as_of_named
                and not is_empty(row.cell(columns.weight))
                and not is_empty(row.cell(columns.symbol))
            ):
                raise malformed(f"{row.place} has no date")
        return
    for row in sheet.above:
        cells = [clean(cell) for cell in row.cells if not is_empty(cell)]
        for place, cell in enumerate(cells):
            found = _AS_OF.fullmatch(cell)
            said = found and (found[1] or " ".join(cells[place + 1 : place + 2]))
            if said and (day := _DAY.search(said) or _DAY.search(", ".join((said, *cells[place + 1 : place + 2])))):
                yield day[0]  # its comma may have made two cells of it
            elif said and re.search("[0-9]", said):
                raise malformed(f"{shown(said)} is no date")


def _day(text: str, day_first: bool | None) -> date:
    try:
        if iso := _ISO.fullmatch(text):
            return date(int(iso[1]), int(iso[2] or iso[5]), int(iso[3] or iso[6]))
        if numbers := _NUMBERS.fullmatch(text):
            return _of_numbers(
                text, int(numbers[1]), int(numbers[3]), int(numbers[4]) % 100 + 2000, _order(numbers[2], day_first)
            )
    except ValueError:
        raise malformed(f"{shown(text)} is no date") from None
    words = _PUNCTUATION.sub(" ", _BESIDE.sub("", text)).strip()
    for form in _WORDS:
        try:
            return datetime.strptime(words, form).date()  # noqa: DTZ007 - a day has no time zone
        except ValueError:
            continue
    raise malformed(f"{shown(text)} is no date")


def _order(separator: str, day_first: bool | None) -> bool | None:
    """Whether the day comes first, as far as that is known; between dots it always does."""
    return True if separator == "." else day_first


def _of_numbers(text: str, first: int, second: int, year: int, day_first: bool | None) -> date:
    if day_first is None and first != second and max(first, second) <= MONTHS:
        raise malformed(f"{shown(text)} may be two days: say day_first")
    if day_first is None:
        day_first = first > second
    month, day = (second, first) if day_first else (first, second)
    return date(year, month, day)
