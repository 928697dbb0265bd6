"""Ably subscriber: puts every message of the strategies' channels on record, once, whatever fails."""

import rebalancer.config.lean  # noqa: F401 - before anything else is loaded
