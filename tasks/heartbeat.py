"""Proof of life of the worker processes: each says in the ledger that it is there, and how its gateway is."""

from __future__ import annotations

from typing import Any

from rebalancer.domain.accounts import MAIN_GATEWAY
from rebalancer.health.settings_in_use import SettingsInUse
from rebalancer.ledger.heartbeats import AT, WANTED, WORKER, seen_and_wanted
from rebalancer.ledger.presence import Presence
from rebalancer.ledger.session import Session
from tasks.runtime import runtime

POOL = "pool"
"""Which part of a worker is proven here; that it takes messages its consumer proves."""

_presence: list[Presence] = []
"""Of this process, once it has begun."""


def start() -> None:
    """Begin; called in a worker process after its fork."""
    here = runtime()
    in_use = SettingsInUse(here.services.settings, also=here.outdated)
    proof = here.services.settings.files.proof.of_part(POOL)

    def detail() -> dict[str, Any]:
        return _gateway() | in_use.report()

    _presence[:] = [Presence(here.services.ledger, WORKER, here.worker, detail, proof, _say)]
    _presence[0].start()


def stop() -> None:
    """Sign off."""
    for one in _presence:
        one.stop()


def _gateway() -> dict[str, Any]:
    here = runtime()
    status, wanted = here.connection.status(), here.connection.wanted.now()
    said = {"gateway": "connected" if status.connected else "away", "trouble": status.trouble}
    at = {} if here.gateway == MAIN_GATEWAY else {AT: here.gateway}
    return said | at | ({WANTED: wanted} if wanted else {})


def _say(session: Session, _name: str, host: str, detail: dict[str, Any]) -> None:
    """Another process may have to cancel what was sent under our client id: its wish is heard at the same time."""
    here = runtime()
    here.connection.leave_to_others(seen_and_wanted(session, host, detail, here.gateway))
