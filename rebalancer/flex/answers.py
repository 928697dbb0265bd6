"""What the Flex web service says when it has no statement for us; codes and words are those of IBKR's table."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Next(StrEnum):
    """What to do about a code."""

    WAIT = "wait"
    """The statement is being made: ask for it again in a moment."""
    SLOWER = "slower"
    """Too many questions in a minute."""
    ANEW = "anew"
    """The reference is unknown, or too old: ask for another statement."""
    LATER = "later"
    """The broker cannot now."""
    PERSON = "person"
    """Nothing changes until somebody does something."""


CODES = {
    1001: Next.LATER,
    1003: Next.LATER,
    1004: Next.LATER,
    1005: Next.LATER,
    1006: Next.LATER,
    1007: Next.LATER,
    1008: Next.LATER,
    1009: Next.LATER,
    1010: Next.PERSON,
    1011: Next.PERSON,
    1012: Next.PERSON,
    1013: Next.PERSON,
    1014: Next.PERSON,
    1015: Next.PERSON,
    1016: Next.PERSON,
    1017: Next.ANEW,
    1018: Next.SLOWER,
    1019: Next.WAIT,
    1020: Next.PERSON,
    1021: Next.LATER,
}
_REMEDIES = {
    1010: "make an Activity Flex Query and set FLEX_QUERY_ID to its number",
    1011: "switch the Flex web service on in the Client Portal",
    1012: "make a new token in the Client Portal and set FLEX_TOKEN",
    1013: "the token is tied to another address: make one without, or with this machine's",
    1014: "FLEX_QUERY_ID is no query of this login",
    1015: "FLEX_TOKEN is wrong, or was replaced by a newer one",
    1016: "the query names an account that the login has not",
    1020: "check FLEX_TOKEN and FLEX_QUERY_ID",
}


@dataclass(frozen=True)
class NoStatement(Exception):
    """There is none; says why, and what comes next."""

    reason: str
    next: Next

    def __str__(self) -> str:
        return self.reason


def refusal(code: int, words: str) -> NoStatement:
    """Of an answer with a code; one that nobody knows may be anything, and is asked again later."""
    remedy = f": {_REMEDIES[code]}" if code in _REMEDIES else ""
    return NoStatement(f"code {code}, {' '.join(words.split()).rstrip('.')}{remedy}", CODES.get(code, Next.LATER))
