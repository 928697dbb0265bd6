"""Notices what no transaction can tell of: that nothing could be traded, and that it can again."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import structlog

from rebalancer.domain.errors import ConfigurationError, RecordUnavailable
from rebalancer.domain.notices import Notice, NoticeKind
from rebalancer.health import readiness
from rebalancer.ledger import outbox
from rebalancer.notifier import preferences
from rebalancer.notifier.digest import DailyDigest
from rebalancer.notifier.heartbeat import Heartbeat
from rebalancer.notifier.letters import LetterWriter
from rebalancer.notify import sending
from rebalancer.notify.letters import compose
from rebalancer.services import Services

log = structlog.get_logger()


class TradingWatch:
    """Looks at everything from time to time; may run in several processes at once."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._settings = services.settings.notifications
        self._bad_since: float | None = None
        self._trouble_told: bool | None = None
        """``None`` until the ledger was asked."""
        self._told_past_the_ledger = False
        self._digest = DailyDigest(services)
        self._letters = LetterWriter(services)
        url = self._settings.heartbeat_url
        self._heart = url and Heartbeat(url.get_secret_value(), self._settings.heartbeat_minutes * 60)

    @property
    def has_work(self) -> bool:
        """Whether anybody would hear of what it sees."""
        return bool(self._settings.notify_targets) or self._heart is not None

    def look(self) -> None:
        """One look: readiness, digest, heartbeat."""
        problems = self._problems()
        if self._settings.notify_targets:
            self._judge(problems)
            now = datetime.now(UTC)
            try:
                self._digest.write(problems, now)
                self._letters.write(now)
            except RecordUnavailable as error:
                log.warning("digest_waits", error=str(error))
        if self._heart and not problems:
            self._heart.beat()

    def _problems(self) -> list[str]:
        try:
            checks = readiness.check(self._services)
        except ConfigurationError as wrong:
            return list(wrong.problems)
        return [f"{check.name}: {check.detail}" for check in checks if not check.ok]

    def _judge(self, problems: list[str]) -> None:
        now = time.monotonic()
        if not problems:
            self._bad_since = None
        elif self._bad_since is None:
            self._bad_since = now
        long_enough = self._bad_since is None or now - self._bad_since >= self._settings.notify_trouble_after_s
        known = self._trouble_told == bool(problems) and (bool(problems) or not self._told_past_the_ledger)
        if not long_enough or known:
            return
        try:
            self._note(problems)
        except RecordUnavailable:
            self._tell_past_the_ledger(problems)

    def _note(self, problems: list[str]) -> None:
        """Put a change for better or worse into the outbox, unless another process has."""
        with self._services.ledger.begin() as session:
            outbox.take_turns(session, "readiness")
            newest = outbox.newest_of(session, NoticeKind.TROUBLE, NoticeKind.WELL)
            told = newest is not None and newest.kind is NoticeKind.TROUBLE
            if problems and not told:
                outbox.tell(session, NoticeKind.TROUBLE, problems=problems)
            if not problems and (told or self._told_past_the_ledger):
                outbox.tell(session, NoticeKind.WELL)
        self._trouble_told = bool(problems)
        self._told_past_the_ledger = False

    def _tell_past_the_ledger(self, problems: list[str]) -> None:
        """Without a ledger there is no outbox: everybody is told once, directly, whether it arrives or not."""
        if self._told_past_the_ledger or not problems:
            return
        self._told_past_the_ledger = True
        fact = Notice(
            id=0,
            at=datetime.now(UTC),
            kind=NoticeKind.TROUBLE,
            account_id=None,
            event_id=None,
            detail={"problems": problems},
        )
        letter = compose([fact], preferences.style(self._services), fact.at)
        for target in self._settings.notify_targets:
            error = sending.send(target, letter)
            log.warning("told_past_the_ledger", target=target.name, error=error)
