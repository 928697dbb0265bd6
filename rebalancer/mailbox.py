"""The messages that wait in Celery's queues: which ones there are, and how to take some out.

Kombu keeps a queue as a Redis list of JSON texts, and the task id in each message's headers. A task id is the event's
id and the number of the message, so a message leads to its event.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from uuid import UUID

import redis

LIVE_QUEUE = "live"
REPORT_QUEUE = "report"
QUEUES = (LIVE_QUEUE, REPORT_QUEUE)


class Mailbox:
    """The queues of one Redis; every call may raise ``redis.RedisError``."""

    def __init__(self, client: redis.Redis) -> None:
        self._redis = client

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

    def _messages(self) -> Iterator[tuple[str, str, str]]:
        with self._redis.pipeline(transaction=False) as pipe:
            for queue in QUEUES:
                pipe.lrange(queue, 0, -1)
            for queue, messages in zip(QUEUES, pipe.execute(), strict=True):
                for message in messages:
                    raw = message.decode()
                    yield queue, _id_in(raw), raw


def _id_in(raw: str) -> str:
    """Empty when something else than Celery put it there: the worker will say what it thinks of it."""
    try:
        return str(json.loads(raw)["headers"]["id"])
    except (ValueError, KeyError, TypeError):
        return ""


def task_id(event_id: UUID, number: int) -> str:
    """Task id of an event's message."""
    return f"{event_id}.{number}"


def event_of(text: str) -> UUID | None:
    """The event that a task id, or an event id, names; ``None`` if it is neither."""
    try:
        return UUID(text.split(".", maxsplit=1)[0])
    except ValueError:
        return None
