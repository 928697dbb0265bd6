"""How often a property is tried."""

from __future__ import annotations

from hypothesis import settings


def examples(number: int) -> settings:
    """So many as a rule, and in proportion where the profile asks for fewer than the hundred of Hypothesis."""
    return settings(max_examples=max(1, number * settings().max_examples // 100))
