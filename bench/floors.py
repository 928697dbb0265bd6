"""The floors of `bench.hot_path`: the least that a run is made of, on the same machine in the same minute."""

from __future__ import annotations

import os
import socket
import statistics
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import psycopg2
import redis
from celery import Celery

from bench import BARE_TASK, DONE
from tests.programs import Started

TIMES = 40
"""Fewer than the messages that a gateway takes in a second."""
PATIENCE_S = 60
"""Until the bare worker has started."""
CLIENT_ID = 999_999


@dataclass(frozen=True, slots=True)
class Floors:
    """Medians, seconds.

    Attributes:
        round_trip_s: a question for the time and its answer over a bare socket to the simulated gateway.
        celery_s: from `apply_async` until a task that does nothing has run in a worker.
        commit_s: one row written and committed over psycopg2.
    """

    round_trip_s: float
    celery_s: float
    commit_s: float


def round_trip_s(port: int) -> float:
    """Of the gateway that listens there."""
    with socket.create_connection(("127.0.0.1", port)) as link:
        link.settimeout(10)
        link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        link.sendall(b"API\0" + _frame("v157..178"))
        _read(link)
        link.sendall(_frame("\0".join(("71", "2", str(CLIENT_ID), ""))))
        while not _read(link).startswith(b"9\0"):
            pass
        return _median(lambda: _ask_time(link))


def commit_s(url: str) -> float:
    """Of the PostgreSQL of that address."""
    with _plain(url) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE IF NOT EXISTS bench_floor (n int)")
        connection.commit()

        def once() -> None:
            cursor.execute("INSERT INTO bench_floor VALUES (1)")
            connection.commit()

        return _median(once)


def celery_s(redis_url: str, folder: Path) -> float:
    """Of a bare worker with the same broker."""
    app, client = Celery("bench", broker=redis_url), redis.Redis.from_url(redis_url, socket_timeout=None)
    log = folder / "bare.log"
    worker = Started(
        ("-m", "celery", "-A", "bench.bare", "worker", "-c", "1", "-Q", BARE_TASK, "--hostname", "bare@bench"),
        os.environ | {"BENCH_REDIS_URL": redis_url},
        output=log,
    )
    try:

        def once() -> None:
            app.send_task(BARE_TASK, queue=BARE_TASK)
            if client.blpop([DONE], PATIENCE_S) is None:
                raise RuntimeError(log.read_text(errors="replace"))

        once()
        return _median(once)
    finally:
        worker.kill()  # it has nothing to leave in order, and under load takes longer to end than to be measured


def _ask_time(link: socket.socket) -> None:
    link.sendall(_frame("49\x001"))
    while not _read(link).startswith(b"49\0"):
        pass


def _frame(text: str) -> bytes:
    body = text.encode() + (b"" if text.startswith("v") else b"\0")
    return struct.pack(">I", len(body)) + body


def _read(link: socket.socket) -> bytes:
    return _exactly(link, struct.unpack(">I", _exactly(link, 4))[0])


def _exactly(link: socket.socket, length: int) -> bytes:
    data = b""
    while len(data) < length:
        more = link.recv(length - len(data))
        if not more:
            raise ConnectionError("the gateway closed the connection")
        data += more
    return data


def _plain(url: str) -> psycopg2.extensions.connection:
    """A connection without SQLAlchemy."""
    return psycopg2.connect(urlsplit(url)._replace(scheme="postgresql").geturl())


def _median(once: Callable[[], None]) -> float:
    taken = []
    for _ in range(TIMES):
        began = time.perf_counter()
        once()
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)
