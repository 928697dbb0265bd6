"""Does one process of this machine do its work? `python -m rebalancer.liveness worker`, for Docker's health checks.

`rebalancer doctor` and `GET /readyz` look at the whole. Each role has to prove what only a working process can: a tick,
a heartbeat and an answer, a channel that was heard.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum

import httpx

from rebalancer import readiness
from rebalancer.errors import ConfigurationError
from rebalancer.ledger import components
from rebalancer.ledger.session import LedgerError
from rebalancer.processes import on_this_machine
from rebalancer.readiness import BEAT, BEAT_SILENT_S, WORKER, WORKER_SILENT_S, Check
from rebalancer.runner.probes import worker_answers
from rebalancer.services import Services
from rebalancer.settings import Settings, load_settings

PATIENCE_S = 5.0


class Role(StrEnum):
    """What a process is there for."""

    WORKER = "worker"
    BEAT = "beat"
    LISTENER = "listener"
    API = "api"
    FLOWER = "flower"


def check(role: Role, settings: Settings) -> Check:
    """Ask the process for its proof; a ledger that is away is a failed check."""
    try:
        return _PROOFS[role](settings)
    except LedgerError as error:
        return Check(role, False, f"the ledger cannot be asked: {str(error).splitlines()[0]}")


def _worker(settings: Settings) -> Check:
    """A heartbeat of a process proves the pool, an answer to a ping that the worker takes messages."""
    beating = _seen(settings, WORKER, WORKER_SILENT_S)
    node = f"worker@{socket.gethostname()}"
    if not beating.ok or worker_answers(settings.redis_url, node)():
        return beating
    return Check(WORKER, False, f"{node} does not answer a ping: it takes no messages")


def _beat(settings: Settings) -> Check:
    return _seen(settings, BEAT, BEAT_SILENT_S)


def _listener(settings: Settings) -> Check:
    services = Services.of(settings)
    with services.ledger.begin() as session:
        return readiness.hearing(services, session)


def _api(settings: Settings) -> Check:
    return _answers(f"http://127.0.0.1:{settings.api_port}/livez")


def _flower(settings: Settings) -> Check:
    return _answers(f"http://127.0.0.1:{settings.flower_port}/healthcheck")


_PROOFS: Mapping[Role, Callable[[Settings], Check]] = {
    Role.WORKER: _worker,
    Role.BEAT: _beat,
    Role.LISTENER: _listener,
    Role.API: _api,
    Role.FLOWER: _flower,
}


def _seen(settings: Settings, name: str, silent_s: float) -> Check:
    with Services.of(settings).ledger.begin() as session:
        ages = [one.age_s for one in components.known(session) if one.name == name and on_this_machine(one.host)]
    if not ages:
        return Check(name, False, f"no {name} of this machine was ever seen")
    return Check(name, min(ages) <= silent_s, f"last seen {min(ages):.0f} s ago")


def _answers(url: str) -> Check:
    try:
        status = httpx.get(url, timeout=PATIENCE_S, trust_env=False).status_code
    except httpx.TransportError as error:
        return Check(url, False, f"no answer: {error}")
    return Check(url, status == httpx.codes.OK, f"answers {status}")


def main(arguments: Sequence[str]) -> int:
    """Print one line.

    Args:
        arguments: the role; without one, ``REBALANCER_ROLE`` names it.

    Returns:
        0 for a process that works, 1 for one that does not, 2 for a wrong request or configuration.
    """
    wanted = arguments[0] if arguments else os.environ.get("REBALANCER_ROLE", "")
    if wanted not in tuple(Role):
        sys.stderr.write(f"error: name a role, as argument or in REBALANCER_ROLE: {', '.join(Role)}\n")
        return 2
    try:
        found = check(Role(wanted), load_settings())
    except ConfigurationError as error:
        sys.stderr.write("".join(f"error: {problem}\n" for problem in error.problems))
        return 2
    sys.stdout.write(f"{'ok' if found.ok else 'FAIL'} {found.name}: {found.detail}\n")
    return 0 if found.ok else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
