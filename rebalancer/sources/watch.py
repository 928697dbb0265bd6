"""Looks at each source at its own pace, at a file whenever it changes, and puts on record what it finds."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

import structlog

from rebalancer.config.accounts_file import Accounts
from rebalancer.config.settings import Settings
from rebalancer.domain.errors import AllocationsUnavailable, ConfigurationError, RecordUnavailable, Refused
from rebalancer.domain.portfolio import Targets
from rebalancer.domain.sources import SETTLED_S, Source, SourceKind
from rebalancer.domain.trading_sessions import trading_day
from rebalancer.ledger import sources
from rebalancer.ledger.session import Ledger
from rebalancer.ledger.signal_intake import Addressee
from rebalancer.ledger.sources import Found, SourceView
from rebalancer.risk.input_checks import check_targets
from rebalancer.risk.source_changes import check_change

if TYPE_CHECKING:
    from rebalancer.sources.reading import Reading

log = structlog.get_logger()

FIRST_PAUSE_S = 5.0
"""After a reading that failed; doubles up to the source's own pace."""
SOON_S = 1.0
JITTER = 0.1
"""Of the pace, at most, so that many who read the same do not all come at once."""

Stamp = tuple[int, int, int] | None


@dataclass(slots=True)
class _Turn:
    """When a source is looked at next, and as what it was seen last."""

    source: Source
    due: float = 0.0
    stamp: Stamp = None
    failures: int = 0
    thread: Thread | None = field(default=None)

    @property
    def busy(self) -> bool:
        return self.thread is not None and self.thread.is_alive()


class SourceWatch:
    """May run in several processes at once: the ledger makes one signal of what all of them find.

    Args:
        accounts: as the file has them now.
    """

    def __init__(self, settings: Settings, ledger: Ledger, accounts: Callable[[], Accounts]) -> None:
        self._settings = settings
        self._ledger = ledger
        self._accounts = accounts
        self._mode = settings.broker.trading_mode
        self._turns: dict[str, _Turn] = {}
        self._complained: str | None = None

    def look(self) -> None:
        """Begin what is due, each in a thread of its own: a server that hangs makes no other source wait.

        Raises:
            RecordUnavailable: PostgreSQL is away.
        """
        try:
            tables = {source.strategy: source for source in self._accounts().tables(self._mode)}
        except ConfigurationError as wrong:
            if str(wrong) != self._complained:
                log.warning("sources_wait", error=str(wrong))
            self._complained = str(wrong)
            return
        self._complained = None
        self._turns = {name: self._turn(source) for name, source in tables.items()}
        if not self._turns:
            return
        with self._ledger.begin() as session:
            asked = sources.asked(session)
        for name, turn in self._turns.items():
            if not turn.busy and (name in asked or self._is_due(turn)):
                turn.thread = Thread(target=self._take_turn, args=(turn,), name=f"source-{name}", daemon=True)
                turn.thread.start()

    def look_at(self, source: Source) -> Found | None:
        """One look at one source.

        Returns:
            What it was; ``None`` when it could not be read.

        Raises:
            RecordUnavailable: PostgreSQL is away; nothing is on record.
        """
        from rebalancer.sources.reading import read_if_newer  # noqa: PLC0415 - who has no source does without HTTP

        with self._ledger.begin() as session:
            seen = sources.begin(session, source)
        try:
            reading = read_if_newer(source, self._settings.signals, seen.validators)
        except AllocationsUnavailable as away:
            with self._ledger.begin() as session:
                failures = sources.unread(session, source, str(away))
            log.warning("source_unread", strategy=source.strategy, failures=failures, error=str(away))
            return None
        except Refused as refusal:
            with self._ledger.begin() as session:
                found = sources.refused(session, source, seen, refusal)
        else:
            found = self._record(source, seen, reading)
        level = log.debug if found is Found.UNCHANGED else log.warning if found is Found.REFUSED else log.info
        level("source_read", strategy=source.strategy, place=source.shown, found=str(found))
        return found

    def _record(self, source: Source, seen: SourceView, reading: Reading) -> Found:
        followers = self._accounts().following(source.strategy, self._mode)
        cash_is_meant = any(account.rules.allow_cash_share for account in followers)

        def judge(before: SourceView, targets: Targets) -> None:
            max_age = timedelta(days=self._settings.risk.targets_max_age_days)
            check_targets(targets, trading_day(datetime.now(UTC)), max_age, allow_cash_share=cash_is_meant)
            check_change(before.weights, before.as_of, targets, source.limits)

        with self._ledger.begin() as session:
            if reading.targets is None:
                return sources.unchanged(session, source, seen)
            return sources.take(
                session,
                source,
                seen,
                reading.targets,
                validators=reading.validators,
                judge=judge,
                followers=[Addressee.of(account, source.strategy) for account in followers],
            )

    def _turn(self, source: Source) -> _Turn:
        known = self._turns.get(source.strategy)
        if known is None:
            return _Turn(source)
        if known.source != source:
            known.source, known.due = source, 0.0
        return known

    def _is_due(self, turn: _Turn) -> bool:
        stamp = _stamp(turn.source)
        if stamp == turn.stamp:
            return time.monotonic() >= turn.due
        return stamp is None or not 0 <= time.time() - stamp[0] / 1e9 < SETTLED_S

    def _take_turn(self, turn: _Turn) -> None:
        source, turn.stamp = turn.source, _stamp(turn.source)
        try:
            found = self.look_at(source)
        except (RecordUnavailable, ConfigurationError) as error:
            log.warning("source_waits", strategy=source.strategy, error=str(error))
            found = None
        except Exception:  # the edge of a thread: told, and tried again
            log.exception("source_broken", strategy=source.strategy)
            found = None
        pause_s = self._pause(turn, found)
        turn.due = time.monotonic() + pause_s if turn.source is source else 0.0  # it was edited meanwhile

    def _pause(self, turn: _Turn, found: Found | None) -> float:
        turn.failures = turn.failures + 1 if found is None else 0
        if turn.failures:
            return float(min(turn.source.every_s, FIRST_PAUSE_S * 2 ** (turn.failures - 1)))
        if found is Found.OUTDATED:
            return SOON_S
        return turn.source.every_s * (1 + random.uniform(0, JITTER))  # noqa: S311 - no secret


def _stamp(source: Source) -> Stamp:
    """Differs after a file, or its signature, was changed; of what is on a server nothing is known beforehand."""
    if source.kind is SourceKind.URL:
        return None
    newest: Stamp = None
    for path in filter(None, (source.place, source.signature)):
        try:
            found = Path(path).stat()
        except OSError:
            return None
        newest = max(newest or (0, 0, 0), (found.st_mtime_ns, found.st_size, found.st_ino))
    return newest
