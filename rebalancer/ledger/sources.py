"""What became of each reading of a source: in one transaction with the signal that a change causes, so that there is
exactly one, whoever reads how often and dies when.

A reading starts from the version that its reader knew. When another has been accepted meanwhile, the reading may be
older than that, and counts for nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert

from rebalancer.domain.errors import Refused
from rebalancer.domain.notices import NoticeKind
from rebalancer.domain.portfolio import Targets
from rebalancer.domain.rule_names import Rule
from rebalancer.domain.sources import Source, by_symbol, digest
from rebalancer.ledger import outbox, signal_intake
from rebalancer.ledger.models import SourceRow
from rebalancer.ledger.session import Session
from rebalancer.ledger.signal_intake import Addressee, NewSignal

TOLD_AFTER = 3
"""Readings in a row that fail before people are told: a server may be away for a moment."""
MARK = 16
"""Digits of a digest that tell one table of a strategy from the others."""

ACCEPTABLE = frozenset({Rule.ALLOCATIONS_SHRUNK, Rule.ALLOCATIONS_JUMPED, Rule.ALLOCATIONS_BACKDATED})
"""What a table's owner may have meant; nothing else can be followed, whoever wants it."""


class SourceState(StrEnum):
    """How a source is."""

    NEW = "new"
    """Nobody has read it yet."""
    GOOD = "good"
    REFUSED = "refused"
    UNREAD = "unread"
    """It cannot be read for now."""


class Found(StrEnum):
    """What a reading was."""

    FIRST = "first"
    """The point from which changes count; the accounts are brought to it by whoever wants that."""
    UNCHANGED = "unchanged"
    CHANGED = "changed"
    """A signal is on record."""
    REFUSED = "refused"
    OUTDATED = "outdated"


@dataclass(frozen=True, slots=True)
class SourceView:
    """A source as it was read last.

    Attributes:
        weights: accepted last, by symbol; fractions.
        held: rows that wait for their owner, by symbol; empty if none do.
    """

    strategy: str
    version: int
    definition: str
    digest: str | None
    as_of: date | None
    weights: Mapping[str, Decimal]
    validators: Mapping[str, str]
    changed_at: datetime | None
    read_at: datetime | None
    failures: int
    rule: str | None
    problem: str | None
    problem_since: datetime | None
    held: Mapping[str, Decimal]
    held_digest: str | None

    @property
    def state(self) -> SourceState:
        """In one word or three."""
        if self.rule is not None:
            return SourceState.REFUSED
        if self.problem is not None:
            return SourceState.UNREAD
        return SourceState.NEW if self.digest is None else SourceState.GOOD


@dataclass(frozen=True, slots=True)
class Accepted:
    """A table that its owner has accepted, and the events that follow it."""

    source: SourceView
    event_ids: tuple[UUID, ...]


Judge = Callable[[SourceView, Targets], None]
"""Raises :class:`~rebalancer.domain.errors.Refused` where a change is not to be followed."""


def known(session: Session, strategy: str) -> SourceView | None:
    """What is known of a source; ``None`` before anybody has read it."""
    row = session.get(SourceRow, strategy)
    return None if row is None else _view(row)


def everything(session: Session) -> dict[str, SourceView]:
    """The same of all that were ever read."""
    return {row.strategy: _view(row) for row in session.scalars(select(SourceRow))}


def ask(session: Session, source: Source) -> None:
    """Have it looked at at once."""
    _begin(session, source)
    session.execute(update(SourceRow).where(SourceRow.strategy == source.strategy).values(asked_at=func.now()))


def asked(session: Session) -> frozenset[str]:
    """Which are to be looked at at once."""
    return frozenset(session.scalars(select(SourceRow.strategy).where(SourceRow.asked_at.is_not(None))))


def begin(session: Session, source: Source) -> SourceView:
    """What a reading starts from; whoever asked for it has been heard."""
    _begin(session, source)
    row = session.get_one(SourceRow, source.strategy, with_for_update=True)
    row.asked_at = None
    if row.definition != source.definition:
        row.definition, row.validators = source.definition, {}
    session.flush()
    return _view(row)


def unread(session: Session, source: Source, reason: str) -> int:
    """It could not be read: told once, when that lasts.

    Returns:
        How often in a row.
    """
    row = session.get_one(SourceRow, source.strategy, with_for_update=True)
    row.failures += 1
    if row.rule is None:
        _note_problem(row, None, reason)
    if row.failures >= TOLD_AFTER and not row.told:
        row.told = outbox.tell(
            session, NoticeKind.SOURCE_UNREAD, strategy=source.strategy, place=source.shown, reason=reason
        )
    return row.failures


def unchanged(session: Session, source: Source, seen: SourceView) -> Found:
    """The version that was known is still the newest."""
    row = session.get_one(SourceRow, source.strategy, with_for_update=True)
    if row.version != seen.version:
        return Found.OUTDATED
    _well(session, row)
    return Found.UNCHANGED


def refused(session: Session, source: Source, seen: SourceView, refusal: Refused) -> Found:
    """What it has now is no table that anybody could follow."""
    row = session.get_one(SourceRow, source.strategy, with_for_update=True)
    if row.version != seen.version:
        return Found.OUTDATED
    return _refuse(session, row, source, refusal, None)


def take(
    session: Session,
    source: Source,
    seen: SourceView,
    targets: Targets,
    *,
    validators: Mapping[str, str],
    judge: Judge,
    followers: Iterable[Addressee],
) -> Found:
    """Put a table on record: a change that passes is accepted, and is a signal to those who follow."""
    row = session.get_one(SourceRow, source.strategy, with_for_update=True)
    if row.version != seen.version:
        return Found.OUTDATED
    read = _table(targets, validators)
    if (row.digest, row.as_of) == (read["digest"], targets.as_of):
        row.validators = dict(validators)
        _well(session, row)
        return Found.UNCHANGED
    try:
        judge(_view(row), targets)
    except Refused as refusal:
        return _refuse(session, row, source, refusal, read if refusal.rule in ACCEPTABLE else None)
    first = row.digest is None
    _accept(session, row, read)
    if first:
        return Found.FIRST
    _signal(session, row, source, followers)
    return Found.CHANGED


def accept(session: Session, source: Source, followers: Iterable[Addressee]) -> Accepted | None:
    """Accept what waits for its owner, whatever was wrong with it.

    Returns:
        ``None`` when nothing waits.
    """
    row = session.get(SourceRow, source.strategy, with_for_update=True)
    if row is None or row.held is None:
        return None
    _accept(session, row, row.held)
    return Accepted(_view(row), _signal(session, row, source, followers))


def _begin(session: Session, source: Source) -> None:
    row = insert(SourceRow).values(strategy=source.strategy, definition=source.definition)
    session.execute(row.on_conflict_do_nothing(index_elements=[SourceRow.strategy]))


def _table(targets: Targets, validators: Mapping[str, str]) -> dict[str, Any]:
    return {
        "digest": digest(targets.weights),
        "as_of": targets.as_of and targets.as_of.isoformat(),
        "weights": dict(by_symbol(targets.weights)),
        "validators": dict(validators),
    }


def _accept(session: Session, row: SourceRow, table: Mapping[str, Any]) -> None:
    row.digest, row.weights, row.validators = table["digest"], table["weights"], table["validators"]
    row.as_of = date.fromisoformat(table["as_of"]) if table["as_of"] else None
    row.version += 1
    row.changed_at = func.now()
    _well(session, row)
    session.flush()
    session.refresh(row)


def _signal(session: Session, row: SourceRow, source: Source, followers: Iterable[Addressee]) -> tuple[UUID, ...]:
    """One for each version, whose number is in the id: a table may return to what it once was.

    Returns:
        The events that serve it.
    """
    day = row.as_of.isoformat() if row.as_of else "undated"
    payload = {"exec": source.on_change, "as_of": day, "weights": row.weights}
    signal = NewSignal(
        channel=source.strategy,
        message_id=f"source:{row.version}:{day}:{str(row.digest)[:MARK]}",
        command=source.on_change,
        payload=payload,
    )
    return tuple(served.event_id for served in signal_intake.record(session, signal, followers).served)


def _refuse(
    session: Session, row: SourceRow, source: Source, refusal: Refused, held: Mapping[str, Any] | None
) -> Found:
    """Told once, however often it is read; and no more than once a day, should it come and go."""
    mark = str(held["digest"])[:MARK] if held is not None else ""
    is_news = (row.rule, row.held and row.held["digest"]) != (refusal.rule, held and held["digest"])
    row.failures = 0
    row.read_at = func.now()
    row.validators = {}
    row.held = dict(held) if held is not None else None
    _note_problem(row, refusal.rule, refusal.reason)
    if is_news and outbox.tell(
        session,
        NoticeKind.SOURCE_REFUSED,
        key=f"source:{source.strategy}:{row.version}:{refusal.rule}:{mark}:{datetime.now(UTC):%Y-%m-%d}",
        strategy=source.strategy,
        place=source.shown,
        reason=str(refusal),
        acceptable=held is not None,
    ):
        row.told = True
    return Found.REFUSED


def _note_problem(row: SourceRow, rule: Rule | None, reason: str) -> None:
    if row.problem is None:
        row.problem_since = func.now()
    row.rule, row.problem = rule, reason


def _well(session: Session, row: SourceRow) -> None:
    row.read_at = func.now()
    row.failures = 0
    row.rule = row.problem = row.problem_since = row.held = None
    if row.told:
        row.told = False
        outbox.tell(session, NoticeKind.SOURCE_WELL, strategy=row.strategy)


def _view(row: SourceRow) -> SourceView:
    held = row.held or {}
    return SourceView(
        strategy=row.strategy,
        version=row.version,
        definition=row.definition,
        digest=row.digest,
        as_of=row.as_of,
        weights=_decimals(row.weights),
        validators=row.validators,
        changed_at=row.changed_at,
        read_at=row.read_at,
        failures=row.failures,
        rule=row.rule,
        problem=row.problem,
        problem_since=row.problem_since,
        held=_decimals(held.get("weights", {})),
        held_digest=held.get("digest"),
    )


def _decimals(weights: Mapping[str, str]) -> dict[str, Decimal]:
    return {symbol: Decimal(weight) for symbol, weight in weights.items()}
