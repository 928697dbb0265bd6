"""What a rule can answer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from rebalancer.domain.rule_names import Rule

FOREVER = datetime(9999, 12, 31, tzinfo=UTC)
"""Due time of what waits for a person."""


@dataclass(frozen=True, slots=True)
class Blocked:
    """An expected refusal: nothing is wrong, but now is not the time.

    Attributes:
        until: when to try again; :data:`FOREVER` to wait for a person.
        topic: what people are told of once, where the reason is another one at each look without being news.
    """

    rule: Rule
    reason: str
    until: datetime
    topic: str | None = None

    @property
    def news(self) -> str:
        """What is told of only once: the topic, or else the reason."""
        return self.reason if self.topic is None else self.topic


@dataclass(frozen=True, slots=True)
class NeedsApproval:
    """The plan is sound but larger or stranger than the owner lets the program trade alone.

    Attributes:
        reasons: one sentence each, with the numbers in it.
    """

    reasons: tuple[str, ...]
