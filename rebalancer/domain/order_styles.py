"""How an order is worked, and what the broker answers to a way that it does not take. Pure."""

from __future__ import annotations

import re

_OF_STYLE = frozenset({111, 145, 387, 391, 396, 397, 400, 439, 440, 441, 442, 443, 10314})
"""Codes of the TWS API that speak of an order's type, its algorithm, or the time in force or times of day that go with
them, and of nothing else in an order of ours (docs/broker-facts.md, "Order styles")."""
_PERHAPS = frozenset({201, 202, 321, 399})
"""Codes that refuse or end orders for many reasons; the text tells which."""
_STYLE = re.compile(
    r"order type|algo(rithm)?\b|(market|limit)[- ]on[- ]close|\bMOC\b|\bLOC\b|\bmid-?price\b"
    r"|closing (auction|cross)|time[- ]in[- ]force|\bTIF\b|reason:\s*(Adaptive|Vwap):",
    re.IGNORECASE,
)


def refuses_style(code: int, text: str) -> bool:
    """Whether the broker refuses how an order is worked, so that it may take the same order as a plain one.

    Args:
        code / text: of the error that refused the order, or ended it. Ask only of orders that were refused or ended by
            it, and only where the plain order would be another one: a remark with such a code (399) is no refusal.
    """
    return code in _OF_STYLE or (code in _PERHAPS and _STYLE.search(text) is not None)
