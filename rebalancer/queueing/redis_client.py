"""How Redis is spoken to by whoever cannot wait for it."""

from __future__ import annotations

import redis

from rebalancer.config.store_settings import StoreSettings


def redis_client(settings: StoreSettings) -> redis.Redis:
    """Client whose calls return within about two seconds, also when Redis is frozen."""
    return redis.Redis.from_url(
        settings.redis_url, socket_timeout=2, socket_connect_timeout=2, health_check_interval=25, retry=None
    )
