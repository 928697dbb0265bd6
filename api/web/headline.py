"""The page's first line: what is broken, what waits for a person, or that all is well."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from api.web import words
from rebalancer.health.readiness import Check

Kind = Literal["good", "warn", "bad"]


@dataclass(frozen=True, slots=True)
class Headline:
    """Red is what is broken, amber what waits for a person."""

    kind: Kind
    text: str


def headline(
    checks: Iterable[Check], warnings: Sequence[Check], *, halted: bool, plans: int, attention: int, retried: int
) -> Headline:
    """The most urgent first.

    Args:
        warnings: what a person should know although signals are traded.
        plans: how many wait for a decision.
        attention: events that need a person.
        retried: events that are tried again by themselves.
    """
    broken = [check.name for check in checks if not check.ok]
    told = [
        f"Not ready: {', '.join(broken)}" if broken else "",
        "Halted" if halted else "",
        f"{words.count(plans, 'plan')} {_verb(plans, 'waits', 'wait')} for you" if plans else "",
        f"{words.count(attention, 'event')} {_verb(attention, 'needs', 'need')} attention" if attention else "",
        f"{words.count(retried, 'event')} {_verb(retried, 'is', 'are')} being retried" if retried else "",
        *(warning.name for warning in warnings),
    ]
    text = " \N{MIDDLE DOT} ".join(part for part in told if part)
    kind: Kind = "bad" if broken else "warn" if text else "good"
    return Headline(kind, text or "All is well")


def _verb(number: int, one: str, many: str) -> str:
    return one if number == 1 else many
