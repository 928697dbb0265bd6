"""Text of cells, and how a table is refused."""

from __future__ import annotations

import re
import unicodedata

from rebalancer.domain.errors import Refused
from rebalancer.domain.rule_names import Rule

LONGEST_SHOWN = 60
_NOTHING = re.compile("[-:=_\N{EN DASH}\N{EM DASH}]*|n/a|na|null|none", re.IGNORECASE)
"""What people write into a cell that is empty, and between a header and its rows."""
_UNSEEN = re.compile("[\ufeff\u200b\u200c\u200d\u200e\u200f\u2060]")
_FORMULA = re.compile(r'="(.*)"')


def clean(text: str) -> str:
    """A cell without what nobody sees: marks of byte order and direction, odd and repeated spaces, and the formula with
    which spreadsheets keep a text a text.
    """
    seen = " ".join(_UNSEEN.sub("", text).split())
    formula = _FORMULA.fullmatch(seen)
    return formula[1].strip() if formula else seen


def folded(text: str) -> str:
    """A header for comparison."""
    return unicodedata.normalize("NFKC", clean(text)).casefold()


def is_empty(text: str) -> bool:
    """Whether there is nothing in a cell."""
    return _NOTHING.fullmatch(clean(text)) is not None


def shown(text: str) -> str:
    """For people: not long, and nothing in it that moves a terminal's cursor or turns text around."""
    visible = "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text[:LONGEST_SHOWN])
    return repr(visible if len(text) <= LONGEST_SHOWN else f"{visible}...")


def malformed(reason: str) -> Refused:
    """A table that may mean something else than is read."""
    return Refused(Rule.ALLOCATIONS_MALFORMED, reason)
