"""How every command task runs: claim, the use case of what was claimed, record; and what a failure does.

A message only says that there may be something to claim. What runs is the command of the claimed event: whatever the
message, its task name, its queue or its arguments say, they choose nothing.
"""

from __future__ import annotations

from asyncio import CancelledError
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from celery import Task
from celery.exceptions import Retry

from rebalancer import http_get
from rebalancer.domain.errors import (
    ConfigurationError,
    LeaseLost,
    RecordUnavailable,
    Refused,
    RemovalRequested,
    UnknownAccount,
)
from rebalancer.domain.strategy_holds import StrategyGuard
from rebalancer.ledger import breakers, events, ownership
from rebalancer.ledger.run import Run
from rebalancer.ledger.session import Session
from rebalancer.ledger.states import EventState
from rebalancer.logs.context import begin_run
from rebalancer.queueing.celery_queues import event_of
from rebalancer.queueing.retry_policy import NextTry, RetryPolicy, next_try
from rebalancer.usecases import Blocked, OrderContext, OrderPolicy, RunContext, use_case_of
from rebalancer.usecases.close_out import close_out
from rebalancer.usecases.reconciliation import look_after_orders
from tasks.runtime import Runtime, runtime

log = structlog.get_logger()

_SHOWN = 200
"""Characters of a strange message that are logged."""


class EventTask(Task[..., str]):
    """Whatever the event that its first argument names is to do.

    Celery's autoretry calls :meth:`retry`; ours writes the due time into the ledger, and the dispatcher publishes a
    fresh message then. No countdown ever waits in a worker or in Redis.
    """

    autoretry_for = (Exception, CancelledError)
    max_retries = None
    ignore_result = True

    def retry(self, *_args: Any, exc: BaseException | None = None, **_options: Any) -> Retry:
        """Note in the ledger when the event is due again.

        Returns:
            The exception that makes Celery and Flower show RETRY.
        """
        error = exc if isinstance(exc, Exception) else RuntimeError(f"interrupted: {exc!r}")
        run: Run | None = self.request.get("run")
        if run is None:
            return Retry("the dispatcher will publish it again", error)
        here = runtime()
        text = f"{type(error).__name__}: {error}"
        try:
            tried = _record_failure(here, run, error, text)
        except LeaseLost as lost:
            log.warning("failure_not_recorded", error=text, because=str(lost))
            return Retry("another attempt owns the event", error)
        except RecordUnavailable as away:
            log.error("failure_not_recorded", error=text, because=str(away))
            return Retry("recovered when its lease ends", error)
        here.services.dispatcher.publish_due()
        return Retry(text, error, when=datetime.now(UTC) + tried.delay)


def execute(task: EventTask, /, *arguments: object, **_others: object) -> str:
    """Claim the event that the first argument names, and run the use case of that event's command.

    Returns:
        What became of the message, in one line for Flower and the log.
    """
    event_id = event_of(arguments[0]) if arguments and isinstance(arguments[0], str) else None
    if event_id is None:
        log.warning("message_without_event", arguments=repr(arguments)[:_SHOWN])
        return "names no event"
    here = runtime()
    claim = ownership.claim(here.services.ledger, event_id, here.worker, here.lease, here.gateway)
    if claim is None:
        return "nothing to claim"
    here.services.dispatcher.consumed(claim.account_id, claim.command)
    begin_run(
        event_id=str(event_id),
        account_id=claim.account_id,
        strategy=claim.strategy,
        command=claim.command,
        attempt=claim.attempt,
    )
    run = Run(here.services.ledger, claim, here.lease)
    task.request.update(run=run)  # for `retry`, which Celery calls with nothing but the exception
    with run.kept_alive(), here.connection.in_use(), http_get.connections_kept():
        return _run(here, run)


def _run(runtime: Runtime, run: Run) -> str:
    log.info("run_started", times_queued=run.claim.times_queued)
    settings = runtime.settings
    orders = OrderContext(run=run, broker=runtime.broker, policy=OrderPolicy.of(settings.orders, settings.broker))
    try:
        run.checkpoint()
        look_after_orders(orders)
        outcome = use_case_of(run.claim.command)(_context(runtime, run))
    except RemovalRequested:
        close_out(orders)
        return _end(runtime, run, lambda session: events.stop(session, run.claim))
    if isinstance(outcome, Blocked):
        return _end(runtime, run, lambda session: events.hold(session, run.claim, outcome))
    return _end(runtime, run, lambda session: events.succeed(session, run.claim, outcome))


def _end(runtime: Runtime, run: Run, transition: Callable[[Session], EventState]) -> str:
    state = run.end(transition)
    log.info("run_ended", state=state)
    runtime.services.dispatcher.publish_due()
    return str(state)


def _record_failure(runtime: Runtime, run: Run, error: BaseException, text: str) -> NextTry:
    claim = run.claim
    tried = next_try(error, claim.failures, claim.refusals, _policy(runtime))
    rule = error.rule if isinstance(error, Refused) else None
    guards = _guards(runtime, claim.account_id)

    def fail(session: Session) -> EventState:
        asks, refused = tried.needs_attention, tried.refused
        told = breakers.holds_back(session, claim, rule, guards)
        delay = tried.delay
        return events.fail(session, claim, text, delay, refused=refused, needs_attention=asks, rule=rule, told=told)

    run.end(fail)
    log.warning("run_failed", error=text, retry_in_s=tried.delay.total_seconds(), exc_info=error)
    if tried.needs_attention and not claim.needs_attention:
        log.error("needs_attention", error=text, failures=claim.failures + 1)
    return tried


def _guards(runtime: Runtime, account_id: str) -> Mapping[str, StrategyGuard]:
    """Those of the account's strategies; none while the accounts file is wrong."""
    try:
        return runtime.services.accounts().get(account_id).guards
    except (ConfigurationError, UnknownAccount):
        return {}


def _context(runtime: Runtime, run: Run) -> RunContext:
    services = runtime.services
    account = services.accounts().get(run.claim.account_id)
    return RunContext.of(
        runtime.settings,
        run,
        account,
        broker=runtime.broker,
        targets=runtime.targets,
        replacements=services.replacements(account),
        substitutes=services.substitutes(),
    )


def _policy(runtime: Runtime) -> RetryPolicy:
    settings = runtime.services.settings
    return RetryPolicy(
        timedelta(seconds=settings.events.retry_delay_s),
        timedelta(seconds=settings.events.slow_retry_delay_s),
        settings.events.attention_after,
    )
