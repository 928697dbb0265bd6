"""Record, lock, publish: the one way in for every signal, and the loop that publishes whatever is due.

The ledger is the truth; a Celery message is only a hint that there may be something to claim. Publishing never blocks
for long, never retries and never fails the caller: what Redis did not take now, the dispatcher publishes later.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Collection, Container, Iterable, Sequence
from datetime import timedelta
from functools import cached_property
from uuid import UUID

import redis
import structlog
from celery import Celery
from kombu import Producer, Queue
from kombu.exceptions import BatchPublishError, OperationalError  # type: ignore[attr-defined]  # its stubs are older

from rebalancer.config.accounts_file import Accounts
from rebalancer.config.settings import Settings
from rebalancer.domain.commands import Command
from rebalancer.domain.errors import ConfigurationError, RecordUnavailable
from rebalancer.domain.gateways import queue_of
from rebalancer.ledger import dispatch_claims, event_gateways, events, holds, signal_intake, unaccounted_orders
from rebalancer.ledger.dispatch_claims import Due
from rebalancer.ledger.session import Ledger
from rebalancer.ledger.signal_intake import Addressee, NewSignal, Recorded
from rebalancer.ledger.states import EventState
from rebalancer.logs.context import shown_addressee
from rebalancer.queueing.celery_queues import LIVE_QUEUE, REPORT_QUEUE, Mailbox, event_of, task_id
from rebalancer.queueing.message_locks import MessageLocks
from rebalancer.queueing.process_identity import dead_among
from rebalancer.queueing.redis_client import redis_client

log = structlog.get_logger()

IN_TRANSIT = timedelta(seconds=5)
"""Longest way of a message from the queue to its claim; one that is in neither by then did not survive."""
AT_ONCE = 200
"""So many messages leave with a signal; beat publishes the others within a second."""
RENEWED_LATELY = 3 / 4
"""Part of a lease that is always left to whoever renews it: a run does so after each sixth of its time."""


class _Waiting(Container[str]):
    """Task ids of the messages in the queue, looked up when one is asked for."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox

    def __contains__(self, task_id: object) -> bool:
        return task_id in self._found

    @cached_property
    def _found(self) -> Collection[str]:
        return self._mailbox.waiting()


class Dispatcher:
    """Publishes hints for the events of one ledger to one Celery broker.

    Args:
        accounts: as the file has them now, for the gateways beside the main one; without it there are none.
    """

    def __init__(
        self, settings: Settings, ledger: Ledger, publisher: Celery, accounts: Callable[[], Accounts] | None = None
    ) -> None:
        self._ledger = ledger
        self._publisher = publisher
        self._redis = client = redis_client(settings.stores)
        weakref.finalize(self, client.close).atexit = False  # the collector ends sockets before those who own them
        self._accounts = accounts
        self._gateways: set[str] = set()
        self._followed: Accounts | None = None
        self._mailbox = Mailbox(client, self._known_gateways)
        self._locks = MessageLocks(client, timedelta(seconds=settings.events.lock_ttl_s))
        self._lease = timedelta(seconds=settings.events.lease_s)
        self._retry_delay = timedelta(seconds=settings.events.retry_delay_s)
        slowest = timedelta(seconds=max(settings.events.retry_delay_s, settings.events.slow_retry_delay_s))
        self._longest_delay = max(slowest, events.LONGEST_CRASH_DELAY)

    def submit(self, signal: NewSignal, addressees: Iterable[Addressee]) -> Recorded:
        """Record a signal and publish its events; returns once the signal is safely on record, and with it that the
        first messages of new events leave.

        Raises:
            RecordUnavailable: PostgreSQL is away; nothing was recorded.
        """
        everyone = tuple(addressees)
        alone = signal_intake.is_one_statement(everyone)
        with self._ledger.singly() if alone else self._ledger.begin() as session:
            recorded = signal_intake.record(session, signal, everyone, AT_ONCE)
        if recorded.leaving:
            self._publish(recorded.leaving, _Waiting(self._mailbox))
        if joined := {served.event_id for served in recorded.served if not served.created}:
            self.publish_due(joined)
        return recorded

    def _put_back(self, due: Collection[Due]) -> None:
        """Beat publishes them as soon as Redis is there; where PostgreSQL is away, too, a few seconds later."""
        try:
            with self._ledger.begin() as session:
                dispatch_claims.put_back(session, due)
        except RecordUnavailable as error:
            log.warning("publish_failed", error=str(error))

    def consumed(self, account_id: str, command: Command) -> None:
        """The message has done its work: the next one of its account and command may enter the queue."""
        try:
            self._locks.release(account_id, command)
        except redis.RedisError as error:
            log.warning("message_lock_left", account_id=account_id, command=command, error=str(error))

    def remove(self, event_id: UUID, reason: str) -> EventState | None:
        """Remove an active event from ledger, queue and lock; a running one stops at its next step.

        Returns:
            Its state afterwards; ``None`` when no active event has that id.
        """
        with self._ledger.begin() as session:
            state = events.remove(session, event_id, reason)
            key = dispatch_claims.key_of(session, event_id)
        if state is None or key is None:
            return None
        account_id, command = key
        log.info(
            "event_removal",
            event_id=str(event_id),
            account_id=account_id,
            command=command,
            state=state,
            reason=reason,
        )
        if state is EventState.REMOVED:
            self._discard_messages(event_id)
            self.consumed(account_id, command)
        else:
            self.publish_due({event_id})
        return state

    def reap(self) -> None:
        """Take back events whose worker fell silent, or died on this machine and missed a renewal; have orders looked
        after whose event has ended.
        """
        if not self._ledger.finds(dispatch_claims.ANY_TO_REAP):
            return
        with self._ledger.begin() as session:
            dispatch_claims.bound_waits(session, self._lease, self._longest_delay)
            dead = dead_among(dispatch_claims.silent_workers(session, self._lease * RENEWED_LATELY))
            recovered = events.reap(session, self._retry_delay, self._lease / 3, dead)
            adopted = unaccounted_orders.adopt(session)
        for one in recovered:
            log.warning("event_recovered", event_id=str(one.event_id), account_id=one.account_id, crashes=one.crashes)
            if one.raised:
                log.error("needs_attention", event_id=str(one.event_id), account_id=one.account_id, crashes=one.crashes)
        if adopted:
            log.warning("orders_adopted", event_ids=[str(event_id) for event_id in adopted])

    def release(self) -> None:
        """Free what no halt, approval or time holds any more; normally whoever ends these has done so."""
        if not self._ledger.finds(holds.ANY):
            return
        with self._ledger.begin() as session:
            released = holds.release(session)
        for one in released:
            log.error("event_waited_for_nothing", event_id=str(one.event_id), account_id=one.account_id, rule=one.rule)

    def follow_accounts(self) -> None:
        """Give waiting events to the gateways of their accounts, after an edit of the accounts file."""
        accounts = self._readable_accounts()
        if accounts is None or (accounts is self._followed and not accounts.gateways):
            return
        if accounts.gateways or self._ledger.finds(event_gateways.ANY):
            gateways = {account.account_id: account.gateway for account in accounts}
            with self._ledger.begin() as session:
                moved = event_gateways.follow(session, gateways.get)
            for one in moved:
                log.warning("event_moved", event_id=str(one.event_id), account_id=one.account_id, gateway=one.gateway)
                self._discard_messages(one.event_id)
                self.consumed(one.account_id, one.command)
        self._followed = accounts

    def _known_gateways(self) -> Collection[str]:
        """Those of the file, and those that had queues before: a wrong file empties none."""
        accounts = self._readable_accounts()
        if accounts is not None:
            self._gateways |= accounts.gateways.keys()
        return self._gateways

    def _readable_accounts(self) -> Accounts | None:
        """Nothing while the file is wrong, which others tell."""
        try:
            return None if self._accounts is None else self._accounts()
        except ConfigurationError:
            return None

    def publish_due(self, only: Collection[UUID] | None = None) -> int:
        """Publish a message for each due event that has none under way.

        Returns:
            How many were published; 0 when Redis or PostgreSQL is away.
        """
        try:
            waiting = self._mailbox.waiting()
            if only is None and not self._ledger.finds(dispatch_claims.ANY):
                return 0
            named = [event_id for event_id in map(event_of, waiting) if event_id is not None]
            with self._ledger.begin() as session:
                unpublished = dispatch_claims.take_due(session, IN_TRANSIT, named, only)
        except (redis.RedisError, RecordUnavailable) as error:
            log.warning("publish_failed", error=str(error))
            return 0
        return self._publish(unpublished, waiting) if unpublished else 0

    def _publish(self, due: Sequence[Due], waiting: Container[str]) -> int:
        """Publish their messages, in one go, but for those that an earlier one still waits for.

        Returns:
            How many were published. Those that Redis may not have taken are due as before; a second message of one
            that it has taken finds nothing to claim.
        """
        try:
            free = self._lock(due, waiting)
            with self._publisher.producer_or_acquire() as producer, producer.batch():
                for one in free:
                    self._send(one, producer)
        except (redis.RedisError, OperationalError, BatchPublishError) as error:
            log.warning("publish_failed", error=str(error.__cause__ or error))
            self._put_back(due)
            return 0
        return len(free)

    def _lock(self, due: Sequence[Due], waiting: Container[str]) -> list[Due]:
        """Take the locks of their messages, in one question.

        Returns:
            Those whose lock was to be had.
        """
        self._gateways.update(one.gateway for one in due)
        with self._redis.pipeline(transaction=False) as pipe:
            self._mailbox.require_kinds(pipe)
            for one in due:
                self._locks.acquire(pipe, one.account_id, one.command, _message(one))
            deleted, *taken = pipe.execute()
        self._mailbox.tell_deleted(deleted)
        return [
            one
            for one, free in zip(due, taken, strict=True)
            if free or self._locks.take_over(one.account_id, one.command, _message(one), waiting)
        ]

    def _send(self, one: Due, producer: Producer) -> None:
        queue = queue_of(LIVE_QUEUE if one.command.touches_orders else REPORT_QUEUE, one.gateway)
        self._publisher.send_task(
            one.command,
            args=(str(one.event_id),),
            task_id=_message(one),
            queue=Queue(queue),  # type: ignore[arg-type]  # its annotation lacks what Celery takes
            argsrepr=f"({one.account_id}, {one.strategy}, event {one.event_id})",
            kwargsrepr=shown_addressee(one.account_id, one.strategy),
            producer=producer,
            retry=False,
        )

    def _discard_messages(self, event_id: UUID) -> None:
        try:
            self._mailbox.discard(event_id)
        except redis.RedisError as error:
            log.warning("message_left", event_id=str(event_id), error=str(error))


def _message(one: Due) -> str:
    return task_id(one.event_id, one.dispatch_no)
