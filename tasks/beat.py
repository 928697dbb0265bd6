"""A beat whose schedule is the ledger: `celery -A tasks beat -S tasks.beat:LedgerScheduler`.

Each tick takes back events of lost workers, turns due schedules into signals and publishes whatever is due; once an
hour, old records are cleaned up. Threads beside the ticks notify people. Two beats at once do no harm: rows are claimed
with SKIP LOCKED. It is not a task, since a busy pool would starve it.
"""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import structlog
from celery.beat import Scheduler

from rebalancer.dispatch import Dispatcher
from rebalancer.ledger import components, retention
from rebalancer.ledger.session import Ledger, LedgerError
from rebalancer.notify.service import Notifier
from rebalancer.processes import this_process
from rebalancer.scheduling import publish_schedules
from rebalancer.services import Services
from rebalancer.settings import load_settings

log = structlog.get_logger()

TICK_S = 1.0
CLEAN_UP_EVERY_S = 3600.0


class LedgerScheduler(Scheduler):
    """Replaces beat's own timetable."""

    def setup_schedule(self) -> None:
        """Connect to the ledger."""
        settings = load_settings()
        self._ledger = Ledger(settings.database_url)
        self._dispatcher = Dispatcher(settings, self._ledger, self.app)
        self._services = Services(settings, self._ledger, self._dispatcher)
        self._me = this_process()
        self._retention = timedelta(days=settings.retention_days)
        self._next_clean_up = time.monotonic()
        self._notifier = Notifier(self._services)
        self._notifier.start()

    def tick(self, *_args: Any, **_options: Any) -> float:
        """One round; a ledger that is away is tried again at the next."""
        try:
            self._dispatcher.reap()
            publish_schedules(self._services)
            self._dispatcher.publish_due()
            with self._ledger.begin() as session:
                components.seen(session, components.BEAT, self._me, {})
            self._clean_up()
        except LedgerError as error:
            log.error("ledger_unavailable", error=str(error))
        return TICK_S

    def _clean_up(self) -> None:
        """One batch a tick, so that the next publication never waits for long; then an hour's rest."""
        if time.monotonic() < self._next_clean_up:
            return
        with self._ledger.begin() as session:
            gone = retention.clean_up(session, self._retention)
        if gone:
            log.info("cleaned_up", rows=gone)
        if gone < retention.BATCH:
            self._next_clean_up = time.monotonic() + CLEAN_UP_EVERY_S

    def close(self) -> None:
        """Stop notifying and give the ledger's connections back."""
        self._notifier.stop()
        self._ledger.close()

    @property
    def info(self) -> str:
        """Shown by beat at start."""
        return "    . timetable -> the ledger"
