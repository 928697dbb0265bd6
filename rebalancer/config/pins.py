"""``instruments:`` of the accounts file: which contract a symbol stands for, where the owner has decided it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal

from rebalancer.config.field_help import written
from rebalancer.config.yaml_file import Document
from rebalancer.domain.symbols import NATIONAL, OVER_THE_COUNTER, PATTERN, Pin, canonical

KEY = "instruments"
_LARGEST_ID = 2**31 - 1


def read_pins(document: Document, problems: list[str]) -> Mapping[str, Pin]:
    """By symbol, as :func:`~rebalancer.domain.symbols.canonical` writes it; what is wrong adds to ``problems``."""
    rows = document.content.get(KEY, {}) if isinstance(document.content, dict) else {}
    if not isinstance(rows, dict):
        problems.append(f"{document.place((KEY,))} has to map ticker symbols to an exchange or a contract id")
        return {}
    found: dict[str, Pin] = {}
    for symbol, value in rows.items():
        place, pin = document.place((KEY, symbol)), _pin(value)
        if not re.fullmatch(PATTERN, symbol):
            problems.append(f"{place} is no ticker symbol in capitals")
        elif pin is None:
            choice = ", ".join(sorted(NATIONAL | OVER_THE_COUNTER))
            problems.append(f"{place} = {written(value)} is refused: use a contract id of IBKR or one of {choice}")
        elif canonical(symbol) in found:
            problems.append(f"{place} is there twice under two spellings: keep one")
        else:
            found[canonical(symbol)] = pin
    return found


def _pin(value: object) -> Pin | None:
    if isinstance(value, str) and value in NATIONAL | OVER_THE_COUNTER:
        return Pin(exchange=value)
    if isinstance(value, Decimal) and value == int(value) and 0 < value <= _LARGEST_ID:
        return Pin(contract_id=int(value))
    return None
