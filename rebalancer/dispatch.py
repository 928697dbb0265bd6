"""Record, lock, publish: the one way in for every signal, and the loop that publishes whatever is due.

The ledger is the truth; a Celery message is only a hint that there may be something to claim. Publishing never blocks
for long, never retries and never fails the caller: what Redis did not take now, the dispatcher publishes later.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import timedelta
from uuid import UUID

import redis
import structlog
from celery import Celery
from kombu.exceptions import OperationalError

from rebalancer.ledger import events, intake
from rebalancer.ledger.events import Due
from rebalancer.ledger.intake import Addressee, NewSignal, Recorded
from rebalancer.ledger.session import Ledger
from rebalancer.ledger.states import EventState
from rebalancer.locks import MessageLocks
from rebalancer.processes import dead_among
from rebalancer.settings import Settings

log = structlog.get_logger()

LIVE_QUEUE = "live"
REPORT_QUEUE = "report"
LOST_AFTER_EMPTY = timedelta(seconds=5)
"""With no message in the queue, one published longer ago than this did not survive."""


class Dispatcher:
    """Publishes hints for the events of one ledger to one Celery broker."""

    def __init__(self, settings: Settings, ledger: Ledger, publisher: Celery) -> None:
        self._ledger = ledger
        self._publisher = publisher
        self._redis = redis_client(settings)
        self._locks = MessageLocks(self._redis, timedelta(seconds=settings.lock_ttl_s))
        self._lost_after = timedelta(seconds=settings.lock_ttl_s)
        self._grace = timedelta(seconds=settings.lease_s) / 3
        self._retry_delay = timedelta(seconds=settings.retry_delay_s)

    def submit(self, signal: NewSignal, addressees: Iterable[Addressee]) -> Recorded:
        """Record a signal and publish its events; returns once the signal is safely on record.

        Raises:
            LedgerError: PostgreSQL is away; nothing was recorded.
        """
        with self._ledger.begin() as session:
            recorded = intake.record(session, signal, addressees)
        self.publish_due({served.event_id for served in recorded.served})
        return recorded

    def consumed(self, event_id: UUID) -> None:
        """The event's message left the queue: the next one of its account and command may enter."""
        with self._ledger.begin() as session:
            key = events.key_of(session, event_id)
        if key is None:
            return
        try:
            self._locks.release(*key)
        except redis.RedisError as error:
            log.warning("message_lock_left", event_id=str(event_id), error=str(error))

    def remove(self, event_id: UUID, reason: str) -> EventState | None:
        """Remove an active event from ledger, lock and queue; a running one stops at its next step.

        Returns:
            Its state afterwards; ``None`` when no active event has that id.
        """
        with self._ledger.begin() as session:
            state = events.remove(session, event_id, reason)
        if state is EventState.REMOVED:
            self.consumed(event_id)
        return state

    def reap(self) -> None:
        """Take back events whose worker fell silent, or died on this machine."""
        with self._ledger.begin() as session:
            dead = dead_among(events.running_workers(session))
            for event_id in events.reap(session, self._retry_delay, self._grace, dead):
                log.warning("event_recovered", event_id=str(event_id))

    def publish_due(self, only: Collection[UUID] | None = None) -> int:
        """Publish a message for each due event that has none under way.

        Returns:
            How many were published; 0 when Redis is away.
        """
        try:
            empty = not any(self._redis.llen(queue) for queue in (LIVE_QUEUE, REPORT_QUEUE))
            with self._ledger.begin() as session:
                due = events.take_due(session, LOST_AFTER_EMPTY if empty else self._lost_after, only)
            return sum(self._publish(one, message_may_wait=not empty) for one in due)
        except (redis.RedisError, OperationalError) as error:
            log.warning("publish_failed", error=str(error))
            return 0

    def _publish(self, due: Due, *, message_may_wait: bool) -> bool:
        task_id = f"{due.event_id}.{due.dispatch_no}"
        if not message_may_wait and due.dispatch_no > 1:
            self._locks.release(due.account_id, due.command)
        if not self._locks.acquire(due.account_id, due.command, task_id):
            return False
        self._publisher.send_task(
            due.command,
            args=(str(due.event_id),),
            task_id=task_id,
            queue=LIVE_QUEUE if due.command.touches_orders else REPORT_QUEUE,
            argsrepr=f"({due.account_id}, {due.strategy}, event {due.event_id})",
            retry=False,
        )
        return True


def redis_client(settings: Settings) -> redis.Redis:
    """Client whose calls return within about two seconds, also when Redis is frozen."""
    return redis.Redis.from_url(
        settings.redis_url, socket_timeout=2, socket_connect_timeout=2, health_check_interval=25, retry=None
    )
