"""Whoever asked for a change, as people read it."""

from __future__ import annotations

import re

FINGERPRINT_LENGTH = 12
COMMAND_LINE = " on the command line"
"""Behind the name of a user of this machine."""
_FINGERPRINT = re.compile(rf"[0-9a-f]{{{FINGERPRINT_LENGTH}}}")


def who(actor: str) -> str:
    """A name as it is; what stands for a key without one is said to be that."""
    return f"API key {actor}" if _FINGERPRINT.fullmatch(actor) else actor


def person(actor: str) -> str:
    """Who signed in, wherever the link was made."""
    return who(actor.removesuffix(COMMAND_LINE))
