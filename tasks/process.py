"""Life of a worker process: logging at once, the broker connection in the background, a clean end."""

from __future__ import annotations

import gc
import multiprocessing
import sys
import tempfile
import threading
from functools import lru_cache
from typing import Any

import structlog
from celery.signals import (
    celeryd_init,
    setup_logging,
    task_postrun,
    worker_before_create_process,
    worker_process_init,
    worker_process_shutdown,
    worker_ready,
)

from rebalancer import http_get
from rebalancer.config.settings import load_settings
from rebalancer.domain.errors import ConfigurationError, RecordUnavailable
from rebalancer.ledger import heartbeats, prepared, sent_orders
from rebalancer.ledger.session import Ledger
from rebalancer.logs.context import end_run
from rebalancer.logs.setup import configure_logging
from tasks import heartbeat
from tasks.gate import gate
from tasks.runtime import Runtime, runtime

log = structlog.get_logger()

LONGEST_START_S = 5.0
"""A parent that has not taken messages by then, since Redis is away, has children that work all the same."""


@setup_logging.connect
def use_our_logging(**_: Any) -> None:
    """Celery leaves logging to us."""
    settings = load_settings()
    configure_logging(settings.logs, settings.secret_values())


@celeryd_init.connect
def need_no_folder(**_: Any) -> None:
    """Celery's shared memory has files that are unlinked at once; the folder that Python makes for them would be left
    by each worker that is killed.
    """
    multiprocessing.current_process()._config["tempdir"] = tempfile.gettempdir()  # type: ignore[attr-defined]


@celeryd_init.connect
def refuse_bad_configuration(**_: Any) -> None:
    """A wrong accounts file stops the worker at start, with every problem named, not at the first signal; unless there
    are orders to look after, for which no account has to be configured.
    """
    services = _runtime_of_its_gateway().services
    try:
        accounts = services.accounts()
    except ConfigurationError as wrong:
        if not _orders_to_look_after(services.ledger):
            raise
        log.error("accounts_file_wrong", problems=wrong.problems)
        return
    if not accounts.sources or accounts.channels(services.settings.broker.trading_mode):
        services.settings.signals.require("allocations_api_key")


def _runtime_of_its_gateway() -> Runtime:
    """Ends a worker that does not know whom it serves: Celery would go on after an exception of a signal's handler."""
    try:
        return runtime()
    except ConfigurationError as wrong:
        log.error("worker_gateway_unusable", problems=wrong.problems)
        sys.exit(2)


def _orders_to_look_after(ledger: Ledger) -> bool:
    try:
        with ledger.begin() as session:
            return sent_orders.any_unresolved(session)
    except RecordUnavailable:
        return False
    finally:
        ledger.close()  # no child may inherit the connection


@worker_before_create_process.connect
def share_memory(**_: Any) -> None:
    """What the parent has loaded stays shared: the collector would write into it, and so copy it for each process."""
    gate()
    _load_ahead()
    gc.collect()
    gc.freeze()


@lru_cache(maxsize=1)
def _load_ahead() -> None:
    """What a run would load at its first questions is loaded once, not in each process."""
    http_get.load_ahead()
    prepared.build()
    ledger = runtime().services.ledger
    try:
        with ledger.begin() as session:
            heartbeats.known(session)
    except RecordUnavailable as away:
        log.warning("ledger_unavailable", error=str(away))
    finally:
        ledger.close()  # no child may inherit the connection


@worker_ready.connect
def let_children_begin(**_: Any) -> None:
    """From here on messages come."""
    gate().let_go()


@worker_process_init.connect
def warm_up(**_: Any) -> None:
    """Begin in the background: Celery kills a replacement child whose start takes long."""
    gate().let_go()
    threading.Thread(target=_begin, name="warm-up", daemon=True).start()


@task_postrun.connect
def leave_the_run(**_: Any) -> None:
    """Only now: what Celery itself says of the run's outcome belongs to it as well."""
    end_run()


@worker_process_shutdown.connect
def say_goodbye(**_: Any) -> None:
    """Leave the gateway in order, so that the client id is free at once."""
    heartbeat.stop()
    runtime().close()


def _begin() -> None:
    gate().passed(LONGEST_START_S)
    heartbeat.start()
    runtime().connection.stay_connected()
