"""The daily digest: that a day was quiet is news too."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime

from rebalancer.domain.errors import ConfigurationError
from rebalancer.domain.notices import NoticeKind
from rebalancer.domain.trading_sessions import day_start, trading_day
from rebalancer.ledger import outbox
from rebalancer.ledger.queries import digest
from rebalancer.notify.timing import digest_day
from rebalancer.services import Services


class DailyDigest:
    """Written once a day, whichever process comes first and however often it restarts."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._newest: date | None = None

    def write(self, problems: Sequence[str], now: datetime) -> None:
        """Put the day's digest into the outbox if it is time and nobody has.

        Args:
            problems: why no signal could be traded now, if so.

        Raises:
            RecordUnavailable: PostgreSQL is away.
        """
        settings = self._services.settings
        at = settings.notifications.digest_at
        day = None if at is None else digest_day(now, at, settings.notifications.notify_time_zone)
        if day is None or day == self._newest:
            return
        active, began = self._active_accounts(), day_start(trading_day(now))
        with self._services.ledger.begin() as session:
            if outbox.tell(session, NoticeKind.DIGEST, key=f"digest:{day}", problems=list(problems)):
                days = digest.account_days(session, active, began, with_costs=settings.reports.execution_quality)
                for account_id, detail in days.items():
                    outbox.tell(session, NoticeKind.DIGEST, account_id, **detail)
        self._newest = day

    def _active_accounts(self) -> list[str]:
        try:
            active = self._services.accounts().active(self._services.settings.broker.trading_mode)
        except ConfigurationError:  # is among the problems
            return []
        return [account.account_id for account in active]
