"""The Redis lock that keeps at most one live message per account and command in the queue.

It dedups messages, not work: the ledger's unique index and the claim do that. Lost or left behind, it costs a harmless
second message, never a duplicate run or a stuck event.
"""

from __future__ import annotations

from collections.abc import Container
from datetime import timedelta
from typing import Any

import redis

from rebalancer.domain.commands import Command

PREFIX = "rebalancer:message:"


class MessageLocks:
    """Locks of one Redis; every call may raise ``redis.RedisError``."""

    def __init__(self, client: redis.Redis, ttl: timedelta) -> None:
        self._redis = client
        self._ttl = ttl

    def acquire(self, pipe: Any, account_id: str, command: Command, task_id: str) -> None:
        """Take the lock for the message ``task_id`` if it is free, which the pipeline's answer tells."""
        pipe.set(_key(account_id, command), task_id, nx=True, px=self._ttl)

    def take_over(self, account_id: str, command: Command, task_id: str, waiting: Container[str]) -> bool:
        """Take it from another message; false while that waits in the queue.

        Args:
            waiting: task ids of the messages in the queue; a lock whose message is not there was left behind.
        """
        key = _key(account_id, command)
        if self._holder(key) in waiting:
            return False
        return bool(self._redis.set(key, task_id, px=self._ttl))

    def _holder(self, key: str) -> str:
        """Task id of the message that holds the lock; empty, so that it is taken over, if something else lies there."""
        try:
            holder = self._redis.get(key)
        except redis.ResponseError:
            return ""
        return "" if holder is None else holder.decode(errors="replace") if isinstance(holder, bytes) else holder

    def release(self, account_id: str, command: Command) -> None:
        """Let the next message of this account and command into the queue."""
        self._redis.delete(_key(account_id, command))


def _key(account_id: str, command: Command) -> str:
    return f"{PREFIX}{account_id}:{command}"
