"""Celery's consumer, which takes nothing from a message but the event that it names.

Headers and bodies of Celery say when a task is due, how long it may take before its process is killed, and what is to
run after it. None of that is a message's to say here: Celery sees one that is made anew from the event's id.
"""

# Celery leaves these classes without annotations; this module is the boundary.
# mypy: allow-untyped-calls, disable-error-code="attr-defined"

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from uuid import UUID

import redis
import structlog
from celery import bootsteps
from celery.worker import state
from celery.worker.consumer import Consumer as CeleryConsumer

from rebalancer.config.settings import load_settings
from rebalancer.domain.commands import Command
from rebalancer.ledger.heartbeats import WORKER_SILENT_S
from rebalancer.queueing.celery_queues import event_of
from tasks.heartbeat import POOL

log = structlog.get_logger()

PROOF_EVERY_S = 5.0
_NAMES = frozenset(Command)
_SHOWN = ("argsrepr", "kwargsrepr", "origin")
"""Headers that only people read."""


ALONE = {"without_gossip": True, "without_mingle": True, "heartbeat_interval": 5.0}
"""What workers tell each other beyond signs of life: nobody asks for it, and a start would wait a second for it. Their
signs of life are for Flower, which takes a worker for gone after two of them were missed.
"""


class Consumer(CeleryConsumer):
    """Drops what names no event, instead of ending with it."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        options["worker_options"] = {**(options.get("worker_options") or {}), **ALONE}
        super().__init__(*arguments, **options)

    def create_task_handler(self, *arguments: Any, **options: Any) -> Callable[[Any], None]:
        """What is called with each message."""
        handle = super().create_task_handler(*arguments, **options)

        def on_message(message: Any) -> None:
            reserved = set(state.reserved_requests)
            try:
                make_anew(message)
                handle(message)
            except (redis.RedisError, OSError):
                raise
            except Exception as error:  # noqa: BLE001 - whatever decoding foreign bytes raises
                log.error("poison_discarded", where="message", error=f"{type(error).__name__}: {error}"[:300])
                for request in set(state.reserved_requests) - reserved:
                    state.task_ready(request)  # else its place would stay taken
                if not message.acknowledged:
                    message.reject_log_error(log, self.connection_errors)

        return on_message


class ProofOfLife(bootsteps.StartStopStep):
    """Proves in the consumer's own loop, which also takes the messages, that worker and pool are at work."""

    requires = ("celery.worker.consumer.heart:Heart",)

    def __init__(self, parent: Any, **options: Any) -> None:
        super().__init__(parent, **options)
        self._again: Any = None
        self._proof = load_settings().files.proof

    def start(self, parent: Any) -> None:
        """Begin with the consumer's connection."""
        self._again = parent.timer.call_repeatedly(PROOF_EVERY_S, self._prove)

    def stop(self, parent: Any) -> None:
        """End with it: a consumer that has lost Redis takes nothing."""
        del parent
        if self._again is not None:
            self._again.cancel()

    def _prove(self) -> None:
        if self._proof.of_part(POOL).given_within(WORKER_SILENT_S):
            self._proof.give()


def make_anew(message: Any) -> None:
    """Leave of a message the task's name, the event's id and what people read.

    Raises:
        ValueError, and whatever decoding raises: it is none of ours.
    """
    headers = message.headers
    name, task_id = headers["task"], headers["id"]
    if name not in _NAMES or not isinstance(task_id, str):
        raise ValueError(f"no command: {name!r}")
    event_id = _event_named(message.payload)
    shown = {key: text for key in _SHOWN if isinstance(text := headers.get(key), str)}
    message.headers = {"lang": "py", "task": name, "id": task_id, "retries": 0, **shown}
    message.properties = {"delivery_tag": message.delivery_tag, "body_encoding": "base64"}
    message.body = json.dumps([[str(event_id)], {}, {}]).encode()
    message.content_type, message.content_encoding = "application/json", "utf-8"
    message._decoded_cache = None


def _event_named(payload: Any) -> UUID:
    arguments = payload[0]
    found = event_of(arguments[0])
    if found is None:
        raise ValueError("names no event")
    return found
