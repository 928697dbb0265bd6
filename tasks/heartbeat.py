"""Proof of life of the worker processes: each says in the ledger that it is there, and how its gateway is."""

from __future__ import annotations

import threading
from typing import Any

import structlog

from rebalancer.ledger import components
from rebalancer.ledger.components import WORKER
from rebalancer.ledger.session import LedgerError
from tasks.runtime import runtime

log = structlog.get_logger()

EVERY_S = 5.0
POOL = "pool"
"""Which part of a worker is proven here; that it takes messages its consumer proves."""

_ended = threading.Event()


def start() -> None:
    """Begin in a thread; called in a worker process after its fork."""
    _ended.clear()
    threading.Thread(target=_beat, name="heartbeat", daemon=True).start()


def stop() -> None:
    """Sign off."""
    _ended.set()
    here = runtime()
    try:
        with here.services.ledger.begin() as session:
            components.gone(session, WORKER, here.worker)
    except LedgerError as error:
        log.warning("heartbeat_left", error=str(error))


def _beat() -> None:
    here = runtime()
    note = components.started
    while True:
        try:
            with here.services.ledger.begin() as session:
                note(session, WORKER, here.worker, _gateway())
            note = components.seen
            here.services.settings.proof.of_part(POOL).give()
        except LedgerError as error:
            log.warning("heartbeat_missed", error=str(error))
        if _ended.wait(EVERY_S):
            return


def _gateway() -> dict[str, Any]:
    status = runtime().connection.status()
    return {"gateway": "connected" if status.connected else "away", "trouble": status.trouble}
