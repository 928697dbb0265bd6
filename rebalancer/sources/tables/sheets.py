"""A document as a sheet: a header, the rows below it, and what stands above."""

from __future__ import annotations

import codecs
import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from rebalancer.config.yaml_file import parse_yaml
from rebalancer.domain.errors import ConfigurationError, Refused
from rebalancer.domain.rule_names import Rule
from rebalancer.domain.sources import Form, TableForm
from rebalancer.sources.tables.cells import clean, folded, is_empty, malformed, shown
from rebalancer.sources.tables.columns import is_as_of, is_header

HEADER_WITHIN = 50
"""Rows of a CSV in which the header is looked for."""
DELIMITERS = (",", ";", "\t", "|")
LISTS = frozenset({
    "allocations", "weights", "targets", "holdings", "positions", "portfolio", "symbols", "values", "data", "assets",
    "components", "composition", "constituents", "items", "results",
})  # fmt: skip
"""Under which key a JSON or YAML document may have its table."""
PAIR = ("symbol", "weight")
WORKBOOKS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0", b"\x1f\x8b", b"%PDF")
"""How they begin: Excel's, new and old, and what is compressed or printed."""
_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


@dataclass(frozen=True, slots=True)
class Row:
    """Cells, and where they stand, for a person."""

    place: str
    cells: Sequence[str]

    def cell(self, column: int) -> str:
        """Of a column; empty where a row is shorter than the header."""
        return self.cells[column] if column < len(self.cells) else ""


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table.

    Attributes:
        above: rows before the header.
        open_end: its last row is not ended as the others are, and may have broken off.
    """

    header: Sequence[str]
    rows: Sequence[Row]
    above: Sequence[Row] = ()
    open_end: bool = False


def sheet_of(body: bytes, table: TableForm, form: Form | None) -> Sheet:
    """Read a document.

    Raises:
        Refused: ``allocations_malformed``, ``allocations_empty``.
    """
    if body.startswith(WORKBOOKS):
        raise malformed("it is a workbook, an archive or a PDF: publish or save it as CSV")
    text = _decoded(body)
    beginning = text.lstrip()[:200].casefold()
    if not beginning:
        raise Refused(Rule.ALLOCATIONS_EMPTY, "the document is empty")
    if beginning.startswith("<"):
        raise malformed("it is a web page, not a table: is it published as CSV, and readable without a login?")
    if form is None:
        form = Form.JSON if beginning[0] in "{[" else Form.CSV
    match form:
        case Form.CSV:
            return _csv(text, table)
        case Form.JSON:
            return _structured(_json(text), table)
        case Form.YAML:
            return _structured(_yaml(text), table)


def _decoded(body: bytes) -> str:
    """Text of any of the encodings that spreadsheets write."""
    encoding = next((name for mark, name in _MARKS if body.startswith(mark)), "utf-8")
    try:
        text = body.decode(encoding)
    except UnicodeDecodeError:
        if encoding != "utf-8" or body.startswith(codecs.BOM_UTF8):
            raise malformed(f"it begins as {encoding} and is not") from None
        text = body.decode("cp1252", errors="replace")  # older Excel; symbols and numbers are ASCII in any case
    if "\0" in text:
        raise malformed("it is no text")
    return text.removeprefix("\ufeff")


def _csv(text: str, table: TableForm) -> Sheet:
    found: list[Sheet] = []
    broken: csv.Error | None = None
    for delimiter in DELIMITERS:
        try:
            rows = list(_rows(text, delimiter))
        except csv.Error as error:
            broken = error
            continue
        if (sheet := _under_a_header(rows, table)) is not None:
            found.append(replace(sheet, open_end=not text.endswith(("\n", "\r"))))
    if len(found) == 1:
        return found[0]
    if found:
        raise malformed("its cells may be separated in more than one way")
    if broken is not None:
        raise malformed(f"it is no CSV: {broken}")
    wanted = f"{table.symbol or 'Symbol or Ticker'!r} and {table.weight or 'Weight or Allocation'!r}"
    raise malformed(f"none of its first {HEADER_WITHIN} rows is a header with {wanted}: name its columns in columns")


def _under_a_header(rows: Sequence[Row], table: TableForm) -> Sheet | None:
    head = next((place for place, row in enumerate(rows[:HEADER_WITHIN]) if is_header(row.cells, table)), None)
    return None if head is None else Sheet(rows[head].cells, rows[head + 1 :], rows[:head])


def _rows(text: str, delimiter: str) -> Iterator[Row]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True)
    for cells in reader:
        if not all(is_empty(cell) for cell in cells):
            yield Row(f"line {reader.line_num}", cells)


def _json(text: str) -> object:
    try:
        return json.loads(
            text, parse_float=Decimal, parse_int=Decimal, parse_constant=_no_number, object_pairs_hook=_unique
        )
    except (ValueError, ArithmeticError, RecursionError) as error:
        raise malformed(f"it is no JSON: {shown(str(error))}") from None


def _no_number(name: str) -> Decimal:
    raise ValueError(f"{name} is no number")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise malformed(f"a key is there twice among {shown(', '.join(key for key, _ in pairs))}")
    return members


def _yaml(text: str) -> object:
    try:
        content, problems = parse_yaml(text)
    except ConfigurationError as error:
        raise malformed(str(error)) from None
    if problems:
        raise malformed(problems[0])
    return content


def _structured(content: object, table: TableForm) -> Sheet:
    """JSON and YAML: a list of rows, or symbols with their weights; alone, or under a key beside the date."""
    dated: Mapping[str, Any] = {}
    if isinstance(content, dict):
        inner = content.get("data")
        dated = inner if isinstance(inner, dict) else content
        named = [key for key in dated if folded(key) in LISTS and isinstance(dated[key], dict | list)]
        if len(named) > 1:
            raise malformed(f"{named[0]} and {named[1]} may both be the targets")
        content = dated[named[0]] if named else dated
        if named and isinstance(content, dict):
            dated, content = {**dated, **content}, _list_inside(content)
    above = tuple(
        Row(key, ("as of", _text(shown(key), value))) for key, value in dated.items() if is_as_of(key) and value
    )
    if isinstance(content, list) and _all(content, dict) and all(len(row) == 1 for row in content):
        content = [list(pair) for row in content for pair in row.items()]
    if isinstance(content, dict):
        content = [[key, value] for key, value in content.items() if not is_as_of(key)]
        if content and all(isinstance(value, dict) for _, value in content):
            content = [{"symbol": symbol, **value} for symbol, value in content]
    if not isinstance(content, list) or not (_all(content, dict) or _all(content, list)):
        raise malformed("it is neither a list of rows nor symbols with their weights")
    if _all(content, list):
        return _of_lists(content, above, table)
    header = list(dict.fromkeys(key for row in content for key in row))
    return Sheet(header, [_row(number, row, header) for number, row in enumerate(content, 1)], above)


def _list_inside(content: dict[str, Any]) -> object:
    """A list of rows that stands beside other words, as the name of a portfolio; else the same."""
    lists = [value for key, value in content.items() if folded(key) in LISTS and isinstance(value, list)]
    return lists[0] if len(lists) == 1 else content


def _all(content: list[Any], kind: type) -> bool:
    return all(isinstance(one, kind) for one in content)


def _of_lists(content: list[list[Any]], above: Sequence[Row], table: TableForm) -> Sheet:
    """Rows as lists of cells, with a header among them; or pairs of a symbol and its weight."""
    rows = [_cells(number, row) for number, row in enumerate(content, 1)]
    if (sheet := _under_a_header(rows, table)) is not None:
        return replace(sheet, above=(*above, *sheet.above))
    if not all(len(row.cells) == len(PAIR) for row in rows):
        raise malformed("it is a list of lists without a header among them")
    return Sheet(PAIR, rows, above)


def _cells(number: int, row: list[Any]) -> Row:
    place = shown(row[0]) if row and isinstance(row[0], str) else f"entry {number}"
    return Row(place, [_text(place, cell) for cell in row])


def _row(number: int, row: Mapping[str, Any], header: Sequence[str]) -> Row:
    place = f"entry {number}"
    return Row(place, [_text(f"{place}, {key}", row.get(key)) for key in header])


def _text(place: str, value: object) -> str:
    """A value as a cell; what is neither text nor number is no cell."""
    if value is None:
        return ""
    if isinstance(value, bool):
        raise malformed(f"{place} is {str(value).lower()}")
    if isinstance(value, dict | list):
        return "(nested)"
    return clean(str(value))
