"""Client ids leased in Redis, so that processes and hosts on one gateway never collide.

A slot is one key with a random token as owner; whoever holds it renews it. A process that restarts takes the lowest
free slot, which is its old one unless another took it meanwhile, and with it gets its own open orders back.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import redis
import structlog

from rebalancer.errors import GatewayUnavailable

log = structlog.get_logger()

_RENEW = """
local owner = redis.call('GET', KEYS[1])
if owner == ARGV[1] then
  return redis.call('PEXPIRE', KEYS[1], ARGV[2])
elseif not owner then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
  return 1
end
return 0
"""
_RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"

SAFETY = 0.9
"""Part of the ttl after which we no longer trust an unrenewed lease."""

REFUSALS_BEFORE_ANOTHER = 3
"""A gateway keeps a dead client's id for a while: insist on the same one before trying the next."""


class _Held:
    """One lease from its taking to its end."""

    def __init__(self, client: Any, key: str, token: str, ttl_s: float, good_until: float) -> None:
        self._redis = client
        self._key = key
        self._token = token
        self._ttl_s = ttl_s
        self._good_until = good_until
        self._stop = threading.Event()
        self._lock = threading.Lock()

    @property
    def good(self) -> bool:
        """Certainly ours still: counted from before the last successful command, a tenth short of Redis' own time."""
        return not self._stop.is_set() and time.monotonic() < self._good_until

    def keep(self, on_lost: Callable[[str], None]) -> None:
        """Renew three times per ttl until ended; failures are borne until the ttl has nearly passed."""
        while not self._stop.wait(max(0.0, min(self._ttl_s / 3, self._good_until - time.monotonic()))):
            reason = self._renew() if self.good else "the client id could not be renewed in time"
            if reason is not None:
                self._stop.set()
                log.error("client_id_lost", key=self._key, reason=reason)
                on_lost(reason)

    def _renew(self) -> str | None:
        """Why the lease is lost, or ``None``. A key that vanished (a wiped Redis) is taken again if it is free."""
        with self._lock:
            if self._stop.is_set():
                return None
            asked_at = time.monotonic()
            try:
                ours = self._redis.eval(_RENEW, 1, self._key, self._token, round(self._ttl_s * 1000))
            except redis.RedisError as error:
                log.warning("client_id_renewal_failed", key=self._key, reason=str(error))
                return None
            self._good_until = asked_at + self._ttl_s * SAFETY
            return None if ours else "the client id was taken by another process"

    def end(self) -> None:
        """Free the slot; while Redis is away it expires by itself."""
        self._stop.set()
        with self._lock:
            try:
                self._redis.eval(_RELEASE, 1, self._key, self._token)
            except redis.RedisError as error:
                log.warning("client_id_release_failed", key=self._key, reason=str(error))


class ClientIdLease:
    """One client id of a range, held for as long as it is renewed.

    Args:
        client: a Redis client with a socket timeout well below ``ttl_s``.
        first / count: the range of client ids; 0 belongs to people's orders and must not be in it.
        ttl_s: after so long without a renewal the slot is anybody's.
    """

    def __init__(self, client: redis.Redis, prefix: str, first: int, count: int, ttl_s: float = 30.0) -> None:
        if first < 1:
            raise ValueError("client id 0 is reserved for binding orders placed by hand")
        self._redis: Any = client
        self._prefix = prefix
        self._ids = range(first, first + count)
        self._ttl_s = ttl_s
        self._forget()

    def _forget(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._held: _Held | None = None
        self._client_id = 0
        self._refusals = 0
        self._avoided: set[int] = set()

    def acquire(self, on_lost: Callable[[str], None]) -> int:
        """The id that this process holds, or the lowest free one.

        Raises:
            GatewayUnavailable: Redis is away, or every slot is taken.
        """
        if self._pid != os.getpid():
            self._forget()  # the parent's lease stays the parent's
        with self._lock:
            if self._held is None or not self._held.good:
                self._end()
                self._held = self._take()
                arguments = (on_lost,)
                threading.Thread(target=self._held.keep, args=arguments, name="client-id-lease", daemon=True).start()
            return self._client_id

    def refused(self) -> None:
        """The gateway holds the id for somebody else: after a few times, leave it alone and take another."""
        with self._lock:
            self._refusals += 1
            if self._refusals >= REFUSALS_BEFORE_ANOTHER:
                log.warning("client_id_abandoned", client_id=self._client_id)
                self._avoided.add(self._client_id)
                self._end()

    def release(self) -> None:
        """Give the slot back at once instead of letting it expire."""
        if self._pid == os.getpid():
            with self._lock:
                self._end()

    def _end(self) -> None:
        if self._held is not None:
            self._held.end()
            self._held = None

    def _take(self) -> _Held:
        token = f"{os.getpid()}:{uuid4().hex}"
        candidates = [i for i in self._ids if i not in self._avoided] + sorted(self._avoided)
        try:
            for client_id in candidates:
                asked_at = time.monotonic()
                key = f"{self._prefix}:{client_id}"
                if self._redis.set(key, token, nx=True, px=round(self._ttl_s * 1000)):
                    self._client_id, self._refusals = client_id, 0
                    return _Held(self._redis, key, token, self._ttl_s, asked_at + self._ttl_s * SAFETY)
        except redis.RedisError as error:
            raise GatewayUnavailable(f"no client id can be leased, Redis is away: {error}") from error
        raise GatewayUnavailable(f"all client ids {self._ids.start}-{self._ids.stop - 1} are taken")
