"""Notices what no transaction can tell of: that nothing could be traded, that a day has passed, that all is well."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime

import httpx
import structlog

from rebalancer import readiness
from rebalancer.errors import ConfigurationError
from rebalancer.ledger import daybook, outbox
from rebalancer.ledger.session import LedgerError
from rebalancer.notify import outlook, sending
from rebalancer.notify.calendar import digest_day
from rebalancer.notify.kinds import Kind, Notice
from rebalancer.notify.letters import compose
from rebalancer.services import Services
from rebalancer.sessions import day_start, trading_day

log = structlog.get_logger()

HEARTBEAT_TIMEOUT_S = 10.0
HEARTBEAT_RETRY_S = 30.0


class Watch:
    """Looks at everything from time to time; may run in several processes at once."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._settings = services.settings
        self._bad_since: float | None = None
        self._trouble_told: bool | None = None
        """``None`` until the ledger was asked."""
        self._told_past_the_ledger = False
        self._digest_of: date | None = None
        self._next_heartbeat = time.monotonic()

    @property
    def has_work(self) -> bool:
        """Whether anybody would hear of what it sees."""
        return bool(self._settings.notify_targets) or self._settings.heartbeat_url is not None

    def look(self) -> None:
        """One look: readiness, digest, heartbeat."""
        problems = self._problems()
        if self._settings.notify_targets:
            self._judge(problems)
            try:
                self._write_digest(problems, datetime.now(UTC))
            except LedgerError as error:
                log.warning("digest_waits", error=str(error))
        if not problems:
            self._beat_heart()

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
        except LedgerError:
            self._tell_past_the_ledger(problems)

    def _note(self, problems: list[str]) -> None:
        """Put a change for better or worse into the outbox, unless another process has."""
        with self._services.ledger.begin() as session:
            outbox.take_turns(session, "readiness")
            newest = outbox.newest_of(session, Kind.TROUBLE, Kind.WELL)
            told = newest is not None and newest.kind is Kind.TROUBLE
            if problems and not told:
                outbox.tell(session, Kind.TROUBLE, problems=problems)
            if not problems and (told or self._told_past_the_ledger):
                outbox.tell(session, Kind.WELL)
        self._trouble_told = bool(problems)
        self._told_past_the_ledger = False

    def _tell_past_the_ledger(self, problems: list[str]) -> None:
        """Without a ledger there is no outbox: everybody is told once, directly, whether it arrives or not."""
        if self._told_past_the_ledger or not problems:
            return
        self._told_past_the_ledger = True
        fact = Notice(0, datetime.now(UTC), Kind.TROUBLE, None, None, {"problems": problems})
        letter = compose([fact], outlook.style(self._services), fact.at)
        for target in self._settings.notify_targets:
            error = sending.send(target, letter)
            log.warning("told_past_the_ledger", target=target.name, error=error)

    def _write_digest(self, problems: list[str], now: datetime) -> None:
        """Once a day, whichever process comes first and however often it restarts."""
        at = self._settings.digest_at
        day = None if at is None else digest_day(now, at, self._settings.notify_time_zone)
        if day is None or day == self._digest_of:
            return
        active = self._active_accounts()
        with self._services.ledger.begin() as session:
            if outbox.tell(session, Kind.DIGEST, key=f"digest:{day}", problems=problems):
                days = daybook.account_days(session, active, day_start(trading_day(now)))
                for account_id, detail in days.items():
                    outbox.tell(session, Kind.DIGEST, account_id, **detail)
        self._digest_of = day

    def _active_accounts(self) -> list[str]:
        try:
            active = self._services.accounts().active(self._settings.trading_mode)
        except ConfigurationError:  # is among the problems
            return []
        return [account.account_id for account in active]

    def _beat_heart(self) -> None:
        url, now = self._settings.heartbeat_url, time.monotonic()
        if url is None or now < self._next_heartbeat:
            return
        interval = self._settings.heartbeat_minutes * 60
        try:
            httpx.get(url.get_secret_value(), timeout=HEARTBEAT_TIMEOUT_S).raise_for_status()
        except httpx.HTTPStatusError as refused:
            log.warning("heartbeat_refused", status=refused.response.status_code)
            interval = min(interval, HEARTBEAT_RETRY_S)
        except (httpx.HTTPError, httpx.InvalidURL) as error:  # its text may hold the URL
            log.warning("heartbeat_not_heard", error=type(error).__name__)
            interval = min(interval, HEARTBEAT_RETRY_S)
        self._next_heartbeat = now + interval
