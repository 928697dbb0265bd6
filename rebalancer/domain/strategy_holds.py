"""What holds all accounts of a strategy back: a canary that trades first, or the same refusal in several accounts.
Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from rebalancer.domain.outcomes import FOREVER, Blocked
from rebalancer.domain.rule_names import Rule
from rebalancer.domain.units import Ratio


class HoldKind(StrEnum):
    """What holds a strategy."""

    CANARY = "canary"
    """One account trades its signal first."""
    BREAKER = "breaker"
    """Several accounts were refused by the same rule."""

    @property
    def rule(self) -> Rule:
        """By which the accounts wait."""
        return Rule.CANARY if self is HoldKind.CANARY else Rule.BREAKER


class HoldState(StrEnum):
    """What has become of it; the first two hold."""

    TRADING = "trading"
    """The canary is not judged yet."""
    ASKED = "asked"
    """A person decides."""
    PASSED = "passed"
    """The canary went well."""
    RELEASED = "released"
    WITHDRAWN = "withdrawn"
    """A person has removed what waited."""
    SUPERSEDED = "superseded"
    """By a newer signal of the strategy."""


OPEN = (HoldState.TRADING, HoldState.ASKED)


@dataclass(frozen=True, slots=True)
class CanaryTerms:
    """What a canary has to keep.

    Attributes:
        most_slippage: fraction by which the fills of a symbol may be worse than the middle of its quote.
        within: how long it may take while the market is open.
    """

    most_slippage: Ratio
    within: timedelta


@dataclass(frozen=True, slots=True)
class StrategyGuard:
    """What guards the accounts of one strategy against each other's mishaps.

    Attributes:
        breaker_accounts: so many that are refused by the same rule hold the strategy; 0: none do.
    """

    canary: CanaryTerms | None = None
    breaker_accounts: int = 0

    def has(self, kind: HoldKind) -> bool:
        """Whether it is switched on."""
        return self.canary is not None if kind is HoldKind.CANARY else self.breaker_accounts > 0


@dataclass(frozen=True, slots=True)
class StrategyHold:
    """A strategy whose accounts wait.

    Attributes:
        event_id: of the canary, or of the account that was refused last.
        account_id: its account.
        reasons: why a person is asked; empty while nobody is.
        judge_by: when a canary that has not finished becomes a question.
        waiting: accounts that wait for it now.
    """

    id: int
    kind: HoldKind
    strategy: str
    state: HoldState
    event_id: UUID
    account_id: str
    reasons: tuple[str, ...]
    since: datetime
    judge_by: datetime | None
    asked_at: datetime | None
    waiting: tuple[str, ...] = ()

    @property
    def blocks(self) -> Blocked:
        """What a run comes to that meets it."""
        return Blocked(self.kind.rule, f"{self._first}: {self._then}", FOREVER, topic=f"strategy hold {self.id}")

    @property
    def _first(self) -> str:
        if self.kind is HoldKind.BREAKER:
            return f"{self.strategy} is held since event {self.event_id} of {self.account_id}"
        return f"canary of {self.strategy}: event {self.event_id} of {self.account_id} trades first"

    @property
    def _then(self) -> str:
        if self.state is HoldState.TRADING:
            return "this one follows when that has gone well"
        choice = f"`rebalancer release {self.id}` or `rebalancer withdraw {self.id}`"
        return f"{'; '.join(self.reasons)}; a person decides, {choice}"
