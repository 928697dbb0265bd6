"""The weekly and the monthly letter."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from rebalancer.domain.errors import ConfigurationError
from rebalancer.domain.notices import NoticeKind
from rebalancer.domain.periods import Period
from rebalancer.ledger import outbox
from rebalancer.ledger.queries.letters import account_letter
from rebalancer.notify.timing import due_month, due_week
from rebalancer.services import Services


class LetterWriter:
    """Writes each account's once, whichever process comes first and however often it restarts."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._written: frozenset[Period] = frozenset()

    def write(self, now: datetime) -> None:
        """Put what is due into the outbox, unless somebody has.

        Raises:
            RecordUnavailable: PostgreSQL is away; what is missing then is written at the next look.
        """
        due = frozenset(self._due(now))
        for period in due - self._written:
            if not self._write(period):
                return
        self._written = due

    def _due(self, now: datetime) -> Iterator[Period]:
        reports, zone = self._services.settings.reports, self._services.settings.notifications.notify_time_zone
        if reports.weekly_at is not None and (week := due_week(now, *reports.weekly_at, zone)):
            yield week
        if reports.monthly_at is not None and (month := due_month(now, reports.monthly_at, zone)):
            yield month

    def _write(self, period: Period) -> bool:
        """A transaction for each account.

        Returns:
            False while the accounts file is wrong, of which the watch tells.
        """
        try:
            active = self._services.accounts().active(self._services.settings.broker.trading_mode)
        except ConfigurationError:
            return False
        keys = {f"letter:{period.name}:{account.account_id}": account.account_id for account in active}
        with self._services.ledger.begin() as session:
            told = outbox.told_already(session, list(keys))
        for key in keys.keys() - told:
            with self._services.ledger.begin() as session:
                detail = account_letter(session, keys[key], period)
                if detail is not None:
                    outbox.tell(session, NoticeKind.LETTER, keys[key], key=key, **detail)
        return True
