"""Where strategies' targets come from, and how their tables are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from rebalancer.config.accounts_file import Accounts
from rebalancer.domain.accounts import TradingMode
from rebalancer.domain.money import ZERO
from rebalancer.domain.sources import Source
from rebalancer.domain.units import Ratio, percent_text
from rebalancer.health.readiness import Check
from rebalancer.ledger import sources
from rebalancer.ledger.session import Session
from rebalancer.ledger.sources import SourceState, SourceView

UNREAD_FOR = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class SourceLine:
    """A source for a person.

    Attributes:
        followed: an account that is traded follows it; else nobody looks at it.
        changes: of what waits for its owner, in words.
    """

    strategy: str
    kind: str
    place: str
    followed: bool
    state: SourceState
    read_at: datetime | None
    changed_at: datetime | None
    as_of: date | None
    symbols: int
    problem: str | None
    changes: tuple[str, ...]


def listing(accounts: Accounts, mode: TradingMode, session: Session) -> list[SourceLine]:
    """Each source of the accounts file, in its order."""
    if not accounts.sources:
        return []
    known, followed = sources.everything(session), accounts.strategies(mode)
    return [_line(source, known.get(name), followed=name in followed) for name, source in accounts.sources.items()]


def not_followed(accounts: Accounts, mode: TradingMode, session: Session, now: datetime | None = None) -> list[Check]:
    """Tables that are not followed as they are now, or were not read for long, each as a remark."""
    tables = accounts.tables(mode)
    known = sources.everything(session) if tables else {}
    troubles = ((source, _trouble(source, known.get(source.strategy), now or datetime.now(UTC))) for source in tables)
    return [
        Check(f"targets of {source.strategy} from {source.shown} are not followed", True, why, warning=True)
        for source, why in troubles
        if why is not None
    ]


def changes(before: Mapping[str, Decimal], after: Mapping[str, Decimal]) -> Iterator[str]:
    """What differs between two tables, by symbol: ``SPY 60.0 % -> 20.0 %``."""
    for symbol in sorted(before.keys() | after.keys()):
        one, other = before.get(symbol, ZERO), after.get(symbol, ZERO)
        if one != other:
            yield f"{symbol} {percent_text(Ratio(one))} -> {percent_text(Ratio(other))}"


def _line(source: Source, view: SourceView | None, *, followed: bool) -> SourceLine:
    return SourceLine(
        strategy=source.strategy,
        kind=str(source.kind),
        place=source.shown,
        followed=followed,
        state=view.state if view else SourceState.NEW,
        read_at=view.read_at if view else None,
        changed_at=view.changed_at if view else None,
        as_of=view.as_of if view else None,
        symbols=len(view.weights) if view else 0,
        problem=_words(view) if view else None,
        changes=tuple(changes(view.weights, view.held)) if view and view.held else (),
    )


def _words(view: SourceView) -> str | None:
    return f"{view.rule}: {view.problem}" if view.rule is not None else view.problem


def _trouble(source: Source, view: SourceView | None, now: datetime) -> str | None:
    if view is None:
        return "nobody has read them yet"
    if view.rule is not None:
        remedy = f"; if it is meant: `rebalancer sources accept {source.strategy}`" if view.held else ""
        return f"{_words(view)}{remedy}"
    if view.read_at is not None and now - view.read_at < max(UNREAD_FOR, 2 * timedelta(seconds=source.every_s)):
        return None
    since = "never" if view.read_at is None else f"last at {view.read_at:%Y-%m-%d %H:%M} UTC"
    return f"they were read {since}: {view.problem or 'beat does not look'}"
