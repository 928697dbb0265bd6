"""Kombu's transport over Redis, for queues in which anything may lie.

Kombu takes every entry for a message of its own: one that is not stops the worker, and one that the worker puts back
when it stops does so for ever. Whatever cannot be read is dropped here and logged; the ledger publishes what is due
again by itself.
"""

# kombu leaves these classes without annotations; this module is the boundary.
# mypy: allow-untyped-calls, disable-error-code="attr-defined,misc"

from __future__ import annotations

from queue import Empty
from typing import Any

import redis
import structlog
from kombu.transport import TRANSPORT_ALIASES
from kombu.transport import redis as kombu_redis

log = structlog.get_logger()


class QoS(kombu_redis.QoS):
    """Messages that were taken and are not acknowledged."""

    def restore_by_tag(self, tag: Any, client: Any = None, leftmost: bool = False) -> None:
        """Put a message back into its queue; one that cannot be read is forgotten."""
        try:
            super().restore_by_tag(tag, client, leftmost)
        except (Empty, redis.RedisError, OSError):
            raise
        except Exception as error:  # noqa: BLE001 - whatever decoding foreign bytes raises
            _discarded(self.unacked_key, error)
            with self.channel.conn_or_acquire(client) as connection:
                connection.hdel(self.unacked_key, tag)
                connection.zrem(self.unacked_index_key, tag)


class Channel(kombu_redis.Channel):
    """Reads queues; an entry is out of its queue before anybody looks at it."""

    QoS = QoS

    def _brpop_read(self, **options: Any) -> Any:
        try:
            return super()._brpop_read(**options)
        except redis.DataError as error:
            _discarded("queue", error)
        except (Empty, redis.RedisError, OSError):
            raise
        except Exception as error:  # noqa: BLE001 - as above
            _discarded("queue", error)
        raise Empty

    def _receive_one(self, c: Any) -> Any:
        try:
            return super()._receive_one(c)
        except (Empty, redis.RedisError, OSError):
            raise
        except Exception as error:  # noqa: BLE001 - as above
            _discarded("broadcast", error)
        raise Empty


class Transport(kombu_redis.Transport):
    """Ours in place of kombu's."""

    Channel = Channel


def use() -> None:
    """From now on every connection of this process to a ``redis://`` or ``rediss://`` URL is ours."""
    for scheme in ("redis", "rediss"):
        TRANSPORT_ALIASES[scheme] = f"{__name__}:Transport"


def _discarded(where: str, error: Exception) -> None:
    log.error("poison_discarded", where=where, error=f"{type(error).__name__}: {error}"[:300])
