"""What may leave the house: no account ids, no amounts unless wanted, no secrets; pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

LONGEST = 300
_ACCOUNT = re.compile(r"\b[A-Z]{1,3}\d{5,}\b")
_NUMBER = re.compile(r"(?<![\w.:/-])[-+]?\$?\d[\d,]*(?:\.\d+)?(?![\w/-]|[:.]\d)")
_HARMLESS_AFTER = re.compile(
    r"\s?(?:%|(?:s|h|min|seconds?|minutes?|hours?|days?|times?|tries|orders?|accounts?|symbols?|rounds?|bytes"
    r"|process(?:es)?|channels?|of \d)\b)"
)
_HARMLESS_BEFORE = re.compile(r"(?:\b(?:code|error|status|HTTP|attempt|line)|\b\d+ of)\s?$", re.IGNORECASE)
HIDDEN = "…"


def short_name(account_id: str, name: str | None) -> str:
    """What people are shown of an account: its name, or the end of its id."""
    return name or f"…{account_id[-4:]}"


@dataclass(frozen=True, slots=True)
class Discretion:
    """How to say things.

    Attributes:
        names: short name by account id.
        amounts: whether USD and shares may be shown.
        redact: takes secrets out of a text.
    """

    names: Mapping[str, str] = field(default_factory=dict)
    amounts: bool = False
    redact: Callable[[str], str] = str

    def name(self, account_id: str | None) -> str:
        """Short name of an account, also of an unknown one; of everything, for ``None``."""
        if account_id is None:
            return "Rebalancer"
        return self.names.get(account_id) or short_name(account_id, None)

    def safe(self, text: object) -> str:
        """Words of others, such as an error, on one line of bounded length.

        Of numbers only those remain that are clearly none of money or shares: codes, percentages, times and counts.
        """
        line = self.redact(" ".join(str(text).split()))
        if not self.amounts:
            line = _NUMBER.sub(_unless_harmless, line)
        line = _ACCOUNT.sub(lambda found: self.name(found[0]), line)
        return line if len(line) <= LONGEST else line[: LONGEST - 1] + "…"


def _unless_harmless(found: re.Match[str]) -> str:
    text = found.string
    is_code = found[0].isdigit() and text.startswith(": ", found.end())
    after, before = _HARMLESS_AFTER.match(text, found.end()), _HARMLESS_BEFORE.search(text[: found.start()])
    return found[0] if "$" not in found[0] and (is_code or after or before) else HIDDEN
