"""What the stand-in can be told when it starts."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rebalancer.domain.loopback import LOOPBACK

DEFAULT_KEY = "sandbox.local:stand-in"


@dataclass(frozen=True, slots=True)
class AblyOptions:
    """Defaults are the service's, except the history window: 72 hours, as on a channel with persistence.

    Attributes:
        port: 0 takes a free one; read it back from ``AblyServer.port``.
        key: ``NAME:SECRET``, the only API key that is accepted.
        data: SQLite file that keeps messages and serials across restarts; None keeps them in memory.
        history_window_s: older messages are gone, from history as from resume.
        resume_window_s: an attachment that missed an older message cannot continue.
        connection_ttl_s: how long a lost connection can be resumed under its id.
        idempotency_window_s: how long a message id is remembered; a later repetition is a second message.
        max_idle_interval_ms: silence after which the client may give up, unless it asks for its own.
        min_idle_interval_ms: the shortest that a client may ask for.
    """

    host: str = LOOPBACK
    port: int = 0
    key: str = DEFAULT_KEY
    data: Path | None = None
    history_window_s: float = 72 * 3600
    resume_window_s: float = 120
    connection_ttl_s: float = 120
    idempotency_window_s: float = 120
    max_idle_interval_ms: int = 15_000
    min_idle_interval_ms: int = 5_000
