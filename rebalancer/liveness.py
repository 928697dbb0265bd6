"""Does one process of this machine do its work? `python -m rebalancer.liveness worker`, for Docker's health checks.

`rebalancer doctor` and `GET /readyz` look at the whole. Each role has to prove what only a working process can: a tick,
a heartbeat and an answer, a channel that was heard.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException

from rebalancer.errors import ConfigurationError
from rebalancer.ledger import components
from rebalancer.ledger.components import BEAT, BEAT_SILENT_S, WORKER, WORKER_SILENT_S
from rebalancer.ledger.session import Ledger, LedgerError
from rebalancer.processes import on_this_machine
from rebalancer.settings import Settings, load_settings

PATIENCE_S = 5.0


class Role(StrEnum):
    """What a process is there for."""

    WORKER = "worker"
    BEAT = "beat"
    LISTENER = "listener"
    API = "api"
    FLOWER = "flower"


@dataclass(frozen=True, slots=True)
class Proof:
    """Whether the process works, and by what that is seen."""

    ok: bool
    detail: str


def check(role: Role, settings: Settings) -> Proof:
    """Ask the process for its proof; a ledger that is away is none."""
    try:
        return _PROOFS[role](settings)
    except LedgerError as error:
        return Proof(False, f"the ledger cannot be asked: {str(error).splitlines()[0]}")


def _worker(settings: Settings) -> Proof:
    """A heartbeat of a process proves the pool, an answer to a ping that the worker takes messages."""
    from rebalancer.runner.probes import worker_answers  # noqa: PLC0415 - this check runs often: only what it needs

    beating = _seen(settings, WORKER, WORKER_SILENT_S)
    node = f"worker@{socket.gethostname()}"
    if not beating.ok or worker_answers(settings.redis_url, node)():
        return beating
    return Proof(False, f"{node} does not answer a ping: it takes no messages")


def _beat(settings: Settings) -> Proof:
    return _seen(settings, BEAT, BEAT_SILENT_S)


def _listener(settings: Settings) -> Proof:
    from rebalancer import readiness  # noqa: PLC0415 - as above
    from rebalancer.services import Services  # noqa: PLC0415 - as above

    services = Services.of(settings)
    with services.ledger.begin() as session:
        heard = readiness.hearing(services, session)
    return Proof(heard.ok, heard.detail)


def _api(settings: Settings) -> Proof:
    return _answers(settings.api_port, "/livez", HTTPStatus.OK)


def _flower(settings: Settings) -> Proof:
    """Flower's own page for this asks for the login too, which this check need not know: the question is the answer."""
    return _answers(settings.flower_port, "/healthcheck", HTTPStatus.OK, HTTPStatus.UNAUTHORIZED)


_PROOFS: Mapping[Role, Callable[[Settings], Proof]] = {
    Role.WORKER: _worker,
    Role.BEAT: _beat,
    Role.LISTENER: _listener,
    Role.API: _api,
    Role.FLOWER: _flower,
}


def _seen(settings: Settings, name: str, silent_s: float) -> Proof:
    with Ledger(settings.database_url).begin() as session:
        mine = [one for one in components.known(session) if one.name == name and on_this_machine(one.host)]
    if not mine:
        return Proof(False, f"no {name} of this machine was ever seen")
    newest = mine[0]
    if idle := components.idle_parts(newest):
        return Proof(False, "; ".join(idle))
    return Proof(newest.age_s <= silent_s, f"last seen {newest.age_s:.0f} s ago")


def _answers(port: int, path: str, *good: HTTPStatus) -> Proof:
    connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
    try:
        connection.request("GET", path)
        status = connection.getresponse().status
    except (OSError, HTTPException) as error:
        return Proof(False, f"{path} does not answer: {error}")
    finally:
        connection.close()
    return Proof(status in good, f"{path} answers {status}")


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
    sys.stdout.write(f"{'ok' if found.ok else 'FAIL'} {wanted}: {found.detail}\n")
    return 0 if found.ok else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
