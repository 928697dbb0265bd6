"""Asking a program whether it is ready, over what it serves."""

from __future__ import annotations

import socket
from collections.abc import Callable

import httpx

Probe = Callable[[], bool]
PATIENCE_S = 2.0


def http_answers(url: str) -> Probe:
    """Ready when it answers 200; 503: up, but something outside is down; or 401: up, and asks who is there."""

    def probe() -> bool:
        try:
            return httpx.get(url, timeout=PATIENCE_S, trust_env=False).status_code in {200, 401, 503}
        except httpx.TransportError:
            return False

    return probe


def tcp_accepts(host: str, port: int) -> Probe:
    """Ready when it takes a connection."""

    def probe() -> bool:
        try:
            with socket.create_connection((host, port), timeout=PATIENCE_S):
                return True
        except OSError:
            return False

    return probe


def worker_answers(broker_url: str, node: str) -> Probe:
    """Ready when Celery's worker of that name answers a ping, which it does only once it consumes.

    Asked in this process: `celery inspect ping` would spend a second on starting Python for each question.
    """

    def probe() -> bool:
        from celery import Celery  # noqa: PLC0415 - heavy, and needed once per start
        from kombu.exceptions import OperationalError  # noqa: PLC0415

        with Celery(broker=broker_url, set_as_current=False) as app:
            try:
                return bool(app.control.ping(destination=[node], timeout=0.5))
            except OperationalError:
                return False

    return probe
