"""The messages that wait in Celery's queues: which ones there are, and how to take some out.

Kombu keeps a queue as a Redis list of JSON texts, and the task id in each message's headers. A task id is the event's
id and the number of the message, so a message leads to its event. Anything else may lie there too, put by whoever
reaches Redis: what is no message is taken out, and a key that is no queue is deleted.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any
from uuid import UUID

import redis
import structlog

from rebalancer.domain.accounts import MAIN_GATEWAY
from rebalancer.domain.gateways import queue_of

log = structlog.get_logger()

LIVE_QUEUE = "live"
REPORT_QUEUE = "report"
QUEUES = (LIVE_QUEUE, REPORT_QUEUE)
LARGEST = 64 * 1024
"""Bytes of a message; ours have about two thousand."""
_PRIORITIES = ("", *(f"\x06\x16{step}" for step in (3, 6, 9)))
_DELETE_OTHER_KINDS = """
local deleted = {}
for at, key in ipairs(KEYS) do
    local kind = redis.call('TYPE', key).ok
    if kind ~= ARGV[at] and kind ~= 'none' then
        redis.call('DEL', key)
        deleted[#deleted + 1] = {key, kind, ARGV[at]}
    end
end
return deleted
"""
"""Twenty questions in one."""
_SHARED = ("celery.pidbox", "celeryev", "reply.celery.pidbox")


def queues_of(gateway: str) -> tuple[str, str]:
    """The queues of one gateway's workers: of orders, and of reports."""
    return queue_of(LIVE_QUEUE, gateway), queue_of(REPORT_QUEUE, gateway)


@lru_cache(maxsize=16)
def _queues(gateways: frozenset[str]) -> tuple[str, ...]:
    return (*QUEUES, *(queue for gateway in sorted(gateways - {MAIN_GATEWAY}) for queue in queues_of(gateway)))


@lru_cache(maxsize=16)
def _kinds(queues: tuple[str, ...]) -> Mapping[str, str]:
    """What kombu keeps in Redis for us, and as what."""
    return {
        **{f"{queue}{step}": "list" for queue in queues for step in _PRIORITIES},
        **{f"_kombu.binding.{queue}": "set" for queue in (*queues, *_SHARED)},
        "unacked": "hash",
        "unacked_index": "zset",
    }


def _no_others() -> Collection[str]:
    return ()


class Mailbox:
    """The queues of one Redis; every call may raise ``redis.RedisError``.

    Args:
        gateways: names of those whose queues there are beside the main one's.
    """

    def __init__(self, client: redis.Redis, gateways: Callable[[], Collection[str]] = _no_others) -> None:
        self._redis: Any = client
        self._gateways = gateways

    def waiting(self) -> frozenset[str]:
        """Task ids of all messages that no worker has taken yet."""
        return frozenset(task_id for _, task_id, _ in self._messages())

    def discard(self, event_id: UUID) -> int:
        """Take an event's messages out.

        Returns:
            How many there were.
        """
        mine = [(queue, raw) for queue, task_id, raw in self._messages() if event_of(task_id) == event_id]
        return sum(self._redis.lrem(queue, 0, raw) for queue, raw in mine)

    def _messages(self) -> Iterator[tuple[str, str, bytes]]:
        """Queue, task id and raw text of every message. What is none is gone afterwards."""
        with self._redis.pipeline(transaction=False) as pipe:
            queues = self.require_kinds(pipe)
            for queue in queues:
                pipe.lrange(queue, 0, -1)
            deleted, *listed = pipe.execute()
        self.tell_deleted(deleted)
        for queue, messages in zip(queues, listed, strict=True):
            for raw in messages:
                found = _id_in(raw)
                if found is None:
                    self._redis.lrem(queue, 0, raw)
                    log.error("poison_discarded", where=queue, size=len(raw), beginning=repr(raw[:80]))
                else:
                    yield queue, found, raw

    def require_kinds(self, pipe: Any) -> Sequence[str]:
        """Delete keys under kombu's names that are no lists, sets or hashes: with them no worker reads any queue.

        Args:
            pipe: what asks; its answer is for :meth:`tell_deleted`.

        Returns:
            The queues that there are.
        """
        queues = _queues(frozenset(self._gateways()))
        kinds = _kinds(queues)
        pipe.eval(_DELETE_OTHER_KINDS, len(kinds), *kinds, *kinds.values())
        return queues

    @staticmethod
    def tell_deleted(found: Sequence[Sequence[bytes]]) -> None:
        """Tell of keys that were of another kind."""
        for key, kind, wanted in found:
            log.error("poison_discarded", where=key.decode(), kind=kind.decode(), wanted=wanted.decode())


def _id_in(raw: bytes) -> str | None:
    """Task id of a message, empty for one that has none: the worker will say what it thinks of it. ``None`` for what
    no worker could read.
    """
    if len(raw) > LARGEST:
        return None
    try:
        message = json.loads(raw.decode())
    except (ValueError, RecursionError):
        return None
    if not isinstance(message, dict):
        return None
    headers = message.get("headers")
    return str(headers.get("id", "")) if isinstance(headers, dict) else ""


def task_id(event_id: UUID, number: int) -> str:
    """Task id of an event's message."""
    return f"{event_id}.{number}"


def event_of(text: str) -> UUID | None:
    """The event that a task id, or an event id, names; ``None`` if it is neither."""
    try:
        return UUID(text.split(".", maxsplit=1)[0])
    except ValueError:
        return None
