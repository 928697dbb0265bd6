"""How long the listener waits for what; tests wait less."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds. A connection that fell silent is replaced after at most ``ping_every + 2 * ping_timeout``.

    Attributes:
        unconnected: how long the SDK may look for the server by itself before a new client does.
        unattached: the same for one channel of a connected client.
        rebuild_pause: between two new clients at first; doubles while they do not help, up to ``longest_pause``.
        gate: how long live messages wait for history to be read, so that order is kept; then they are more urgent.
        history_timeout: for one page of history.
        retry_pause: after something failed, at first; doubles up to ``longest_pause``.
        health_every: between two proofs of life in the ledger; after a change one follows within ``health_pause``.
        deaf_after: a channel that was not heard for longer is reported.
        drain: how long the end may take to put on record what was received.
    """

    ping_every: float = 2.5
    ping_timeout: float = 2.5
    unconnected: float = 20.0
    unattached: float = 6.0
    rebuild_pause: float = 1.0
    longest_pause: float = 30.0
    gate: float = 10.0
    history_timeout: float = 15.0
    retry_pause: float = 0.25
    health_every: float = 10.0
    health_pause: float = 0.5
    deaf_after: float = 30.0
    files_every: float = 2.0
    goodbye: float = 2.0
    drain: float = 5.0

    def pause_after(self, failures: int) -> float:
        """Pause after so many failures in a row, from 1 on."""
        return float(min(self.retry_pause * 2 ** (failures - 1), self.longest_pause))
