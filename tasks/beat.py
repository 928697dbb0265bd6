"""A beat whose schedule is the ledger: `celery -A tasks beat -S tasks.beat:LedgerScheduler`.

It takes back events of lost workers, frees what nothing holds any more, gives what waits to the gateway of its account,
publishes whatever is due, turns due schedules and changed tables of targets into signals, fetches statements, cleans
up, notifies people: each in a thread of its own, so that none waits for another or fails with it. The tick itself says
that they work. Two beats at once do no harm: rows are claimed with SKIP LOCKED. It is not a task, since a busy pool
would starve it.

Once a second the ledger is asked, in one question for all, who of them has something to do; who has is called. Who is
not called works now and then all the same.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import timedelta
from itertools import count
from typing import Any

import structlog
from celery.beat import Scheduler

from rebalancer.config.settings import load_settings
from rebalancer.domain.errors import RecordUnavailable
from rebalancer.flex.watch import StatementWatch
from rebalancer.health.settings_in_use import SettingsInUse
from rebalancer.ledger import dispatch_claims, event_gateways, heartbeats, holds, schedules, strategy_holds
from rebalancer.ledger.admin import retention
from rebalancer.ledger.looks import Looks
from rebalancer.ledger.presence import EVERY_S, SHED_AFTER
from rebalancer.notifier.service import Notifier
from rebalancer.operations.idle_cash import IdleCash
from rebalancer.operations.schedules import publish_schedules
from rebalancer.operations.strategy_holds import StrategyWatch
from rebalancer.queueing.process_identity import this_process
from rebalancer.services import Services
from rebalancer.sources.watch import SourceWatch
from tasks.parts import Part, Parts

log = structlog.get_logger()

LOOK_S = 1.0
UNCALLED_S = 5.0
"""Pace of what is called where there is something to do: nothing that a look fails to see waits for longer."""
SOURCES_S = 2.0
IDLE_CASH_S = 60.0
STATEMENTS_S = 5.0
TICK_S = EVERY_S
CLEAN_UP_EVERY_S = 3600.0
CLEAN_UP_AFTER_FAILURE_S = 600.0
LOOK, NOTIFIER = "look", "notifier"
QUESTIONS = {
    "reap": dispatch_claims.ANY_TO_REAP,
    "release": holds.ANY,
    "follow-accounts": event_gateways.ANY_WAITING,
    "dispatch": dispatch_claims.ANY,
    "schedules": schedules.ANY_DUE,
    "strategies": strategy_holds.ANY,
}
"""Whether a part has something to do, by its name."""
BREATH = 3.0
"""A batch of old records is followed by a pause of that many times its own duration: cleaning up is never urgent."""


def statement_parts(services: Services) -> tuple[Part, ...]:
    """What beat has to do about statements: nothing while there is no query."""
    if not services.settings.statements.flex_queries:
        return ()
    watch = StatementWatch(services.settings, services.ledger, services.accounts)
    return (Part("statements", watch.look, STATEMENTS_S),)


class LedgerScheduler(Scheduler):
    """Replaces beat's own timetable."""

    def setup_schedule(self) -> None:
        """Connect to the ledger and begin."""
        settings = load_settings()
        self._services = Services.of(settings, self.app)
        self._ledger = self._services.ledger
        self._dispatcher = self._services.dispatcher
        self._me = this_process()
        self._in_use = SettingsInUse(settings)
        self._retention = timedelta(days=settings.events.retention_days)
        self._cleaned = 0
        self._note = heartbeats.started
        self._ticks = count(1)
        self._notifier = Notifier(self._services)
        self._looks = Looks(self._ledger, "beat_looks", QUESTIONS | {NOTIFIER: self._notifier.anything})
        self._parts = Parts(
            Part("reap", self._dispatcher.reap, UNCALLED_S),
            Part("release", self._dispatcher.release, UNCALLED_S),
            Part("follow-accounts", self._dispatcher.follow_accounts, UNCALLED_S),
            Part("dispatch", self._dispatcher.publish_due, UNCALLED_S),
            Part("schedules", lambda: publish_schedules(self._services), UNCALLED_S),
            Part("strategies", StrategyWatch(self._services).look, UNCALLED_S),
            Part(LOOK, self._look, LOOK_S),
            Part("sources", SourceWatch(settings, self._ledger, self._services.accounts).look, SOURCES_S),
            Part("idle-cash", IdleCash(self._services).look, IDLE_CASH_S),
            *statement_parts(self._services),
            Part("clean-up", self._clean_up, CLEAN_UP_EVERY_S, CLEAN_UP_AFTER_FAILURE_S),
        )
        self._parts.start()
        self._notifier.start()

    def _look(self) -> None:
        """Call who has something to do; whoever it may be while that cannot be told."""
        try:
            found = self._looks.found()
        except RecordUnavailable:
            self._call(self._looks.names)
            raise
        self._call(found)

    def _call(self, names: Iterable[str]) -> None:
        for name in names:
            if name == NOTIFIER:
                self._notifier.call()
            else:
                self._parts.call(name)

    def tick(self, *_args: Any, **_options: Any) -> float:
        """Prove life; a ledger that is away is tried again at the next."""
        detail = self._detail()
        try:
            with self._ledger.singly() as session:
                self._note(session, heartbeats.BEAT, self._me, detail)
            self._note = heartbeats.seen
            if not heartbeats.idle_parts(detail):
                self._services.settings.files.proof.give()
            if next(self._ticks) % SHED_AFTER == 0:
                self._ledger.shed()
        except RecordUnavailable as error:
            log.error("ledger_unavailable", error=str(error))
        return TICK_S

    def _detail(self) -> dict[str, Any]:
        logins = {gateway: stage.detail() for gateway, stage in self._notifier.logins.items()}
        detail = {heartbeats.PARTS: self._parts.report((LOOK, *QUESTIONS))} | self._in_use.report()
        return {**detail, heartbeats.LOGINS: logins} if logins else detail

    def _clean_up(self) -> float | None:
        """One batch."""
        began = time.monotonic()
        with self._ledger.begin() as session:
            gone = retention.clean_up(session, self._retention)
        self._cleaned += gone
        if gone:
            return (time.monotonic() - began) * BREATH
        if self._cleaned:
            log.info("cleaned_up", rows=self._cleaned)
        self._cleaned = 0
        return None

    def close(self) -> None:
        """Stop everything, sign off, and give the ledger's connections back."""
        self._parts.stop()
        self._notifier.stop()
        try:
            with self._ledger.begin() as session:
                heartbeats.gone(session, heartbeats.BEAT, self._me)
        except RecordUnavailable as error:
            log.warning("sign_of_life_left", error=str(error))
        self._ledger.close()

    @property
    def info(self) -> str:
        """Shown by beat at start."""
        return "    . timetable -> the ledger"
