"""What the machine itself has to offer: file modes, disk space, ports."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import stat
from pathlib import Path

import httpx

from rebalancer.config.settings import env_path
from rebalancer.domain.loopback import LOOPBACK
from rebalancer.health.ledger_mark import LEDGER_HEADER
from rebalancer.health.readiness import Check

LOCAL = {"Host": "localhost"}
"""A name that the API answers to, whatever its container is called."""
LEAST_FREE = 1_000_000_000
CONNECT_S = 2.0
IN_CONTAINER = Path("/.dockerenv")


def env_file() -> Check:
    """Nobody but its owner may read the keys."""
    path = env_path()
    if not path.is_file():
        return Check(".env", True, f"there is no file {path}: settings come from the environment alone")
    if IN_CONTAINER.exists() and path.stat().st_uid != os.geteuid():
        return Check(".env", True, f"{path} is mounted: who may read it is decided on the host (docs/deployment.md)")
    if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        return Check(".env", False, f"{path} can be used by others than its owner: run `chmod 600 {path}`")
    return Check(".env", True, f"{path} is its owner's alone")


def disk(folder: Path | None = None, least: int = LEAST_FREE) -> Check:
    """Room for ledger and logs where the program keeps its data; bytes."""
    where = folder or Path.cwd()
    free = shutil.disk_usage(where).free
    remedy = "" if free >= least else f"; make room: less than {least / 1e9:g} GB may stop PostgreSQL"
    return Check("disk", free >= least, f"{free / 1e9:.1f} GB are free at {where}{remedy}")


def reached(host: str, *services: str) -> str:
    """Where a program of this set-up answers that listens on a host.

    Args:
        services: names of its containers, which are asked from another one.
    """
    if IN_CONTAINER.exists():
        for name in services:
            with contextlib.suppress(socket.gaierror):
                socket.getaddrinfo(name, None)
                return name
    return LOOPBACK if host in ("0.0.0.0", "::") else host  # noqa: S104 - compared, not listened on


def port(name: str, host: str, number: int, path: str, setting: str, *, ledger: str | None = None) -> Check:
    """A port is either free or ours.

    Args:
        host: by which it is reached.
        path: what our own program answers in its own way.
        ledger: mark of the one that an API there has to work with; ``None`` for any.
    """
    where = f"{host}:{number}"
    try:
        answer = httpx.get(f"http://{where}/{path}", headers=LOCAL, timeout=CONNECT_S, trust_env=False)
    except httpx.ConnectError:
        return Check(f"{name} port", True, f"{where} is free: {name} does not run")
    except httpx.HTTPError as error:
        return _taken(name, where, setting, type(error).__name__)
    if not answer.is_success and not _asks_for_flowers_login(answer):
        return _taken(name, where, setting, f"HTTP {answer.status_code}")
    if not _ours(path, answer):
        return _taken(name, where, setting, f"its answer to /{path} is not that of {name}")
    if ledger is not None and answer.headers[LEDGER_HEADER] != ledger:
        return _taken(name, where, setting, "the rebalancer of another ledger")
    return Check(f"{name} port", True, f"{name} answers at {where}")


def _ours(path: str, answer: httpx.Response) -> bool:
    """Whether the answer is one of ours: the API names its ledger; Flower asks for its login, or says OK."""
    if path == "livez":
        return LEDGER_HEADER in answer.headers
    return _asks_for_flowers_login(answer) or answer.text.strip() == "OK"


def _asks_for_flowers_login(answer: httpx.Response) -> bool:
    return answer.status_code == 401 and 'realm="flower"' in answer.headers.get("WWW-Authenticate", "")


def _taken(name: str, where: str, setting: str, answer: str) -> Check:
    remedy = f"stop what listens there, or set {setting} to another one"
    return Check(f"{name} port", False, f"{where} is taken by another program ({answer}); {remedy}")
