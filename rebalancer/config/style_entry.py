"""``order_styles:`` of the accounts file: how orders of a symbol, or of a size, are worked in all accounts."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import TypeVar

from rebalancer.config.field_help import nearest, written
from rebalancer.config.yaml_file import Document
from rebalancer.domain.order_styles import OrderStyle, StyleRules
from rebalancer.domain.symbols import PATTERN, canonical
from rebalancer.domain.units import Usd

KEY = "order_styles"
_TABLES = SYMBOLS, OVER_USD = "symbols", "over_usd"
_STYLES = frozenset(str(style) for style in OrderStyle)
K = TypeVar("K")


def read_styles(document: Document, problems: list[str]) -> StyleRules:
    """Styles by symbol and size; what is wrong adds to ``problems``."""
    section = document.content.get(KEY, {}) if isinstance(document.content, dict) else {}
    if not isinstance(section, dict):
        problems.append(f"{document.place((KEY,))} has to be a mapping with {SYMBOLS} and {OVER_USD}")
        return StyleRules()
    problems += [
        f"{document.place((KEY, key))} is unknown: {nearest(key, _TABLES)}" for key in section if key not in _TABLES
    ]
    return StyleRules(
        symbols=_table(document, SYMBOLS, section.get(SYMBOLS, {}), _symbol, problems),
        over_usd=_table(document, OVER_USD, section.get(OVER_USD, {}), _usd, problems),
    )


def _table(
    document: Document, name: str, rows: object, read: Callable[[str], K], problems: list[str]
) -> dict[K, OrderStyle]:
    """Styles by what ``read`` makes of each key; it raises ``ValueError``, saying what a key has to be."""
    if not isinstance(rows, dict):
        problems.append(f"{document.place((KEY, name))} has to be a mapping to order styles")
        return {}
    found: dict[K, OrderStyle] = {}
    for key, value in rows.items():
        place = document.place((KEY, name, key))
        try:
            what = read(key)
        except ValueError as refused:
            problems.append(f"{place} {refused}")
            continue
        if not isinstance(value, str) or value not in _STYLES:
            shown = repr(value) if isinstance(value, str) else written(value)
            problems.append(f"{place} = {shown} is no order style: {nearest(str(value), _STYLES)}")
        elif what in found:
            problems.append(f"{place} is there twice under two spellings: keep one")
        else:
            found[what] = OrderStyle(value)
    return found


def _symbol(text: str) -> str:
    if not re.fullmatch(PATTERN, text):
        raise ValueError("is no ticker symbol in capitals")
    return canonical(text)


def _usd(text: str) -> Usd:
    if not re.fullmatch("[1-9][0-9]{0,11}", text):
        raise ValueError("has to be a whole number of USD above 0")
    return Usd(Decimal(text))
