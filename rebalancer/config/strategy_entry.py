"""``strategies:`` of the accounts file: what guards all accounts of one strategy."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Annotated

from pydantic import Field

from rebalancer.config.account_entry import Entry
from rebalancer.config.field_help import nearest
from rebalancer.config.yaml_file import Document, check
from rebalancer.domain.strategy_holds import CanaryTerms, StrategyGuard
from rebalancer.domain.units import Ratio

KEY = "strategies"
BPS = Decimal(10_000)


class CanaryEntry(Entry):
    """``canary`` of a strategy."""

    max_slippage_bps: Annotated[Decimal, Field(strict=True, ge=0, le=1000)] = Field(
        default=Decimal(50),
        description="How much worse than the middle of its quote a symbol may fill, in hundredths of a percent.",
    )
    within_minutes: Annotated[Decimal, Field(strict=True, ge=1, le=1440)] = Field(
        default=Decimal(60), description="How long the canary may take, the time until the market opens not counted."
    )

    def terms(self) -> CanaryTerms:
        """The entry as a value."""
        return CanaryTerms(Ratio(self.max_slippage_bps / BPS), timedelta(minutes=float(self.within_minutes)))


class StrategyEntry(Entry):
    """One strategy, by its name."""

    canary: CanaryEntry | None = Field(
        default=None,
        json_schema_extra={"allowed": "a mapping, {} for its defaults"},
        description="The smallest account trades a signal first, the others when that has gone well.",
    )
    breaker_accounts: Decimal | None = Field(
        default=None,
        strict=True,
        ge=2,
        le=1000,
        multiple_of=1,
        description="So many accounts whose targets, quotes or contracts are refused by the same rule hold all of "
        "them, with one notice.",
    )

    def guard(self) -> StrategyGuard:
        """The entry as a value."""
        return StrategyGuard(self.canary.terms() if self.canary else None, int(self.breaker_accounts or 0))


def read_strategies(document: Document, followed: Collection[str], problems: list[str]) -> Mapping[str, StrategyGuard]:
    """By strategy; what is wrong adds to ``problems``.

    Args:
        followed: strategies that accounts name: a guard of any other is a slip of the pen, which is told once all
            accounts can be read.
    """
    rows = document.content.get(KEY, {}) if isinstance(document.content, dict) else {}
    if not isinstance(rows, dict):
        problems.append(f"{document.place((KEY,))} has to map strategies to what guards them")
        return {}
    found: dict[str, StrategyGuard] = {}
    all_accounts_known = not problems
    for strategy, row in rows.items():
        entry = check(StrategyEntry, row, document, (KEY, strategy), problems)
        if strategy not in followed and all_accounts_known:
            known = nearest(str(strategy), sorted(followed))
            problems.append(f"{document.place((KEY, strategy))} is followed by no account: {known}")
        elif entry is not None:
            found[strategy] = entry.guard()
    return found
