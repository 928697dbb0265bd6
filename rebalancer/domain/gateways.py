"""The gateways of an installation: each is one login at Interactive Brokers, with the accounts that it manages."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rebalancer.domain.accounts import MAIN_GATEWAY, TradingMode
from rebalancer.domain.loopback import LOOPBACK

NAME = r"[a-z][a-z0-9-]{0,29}"
"""Form of a gateway's name: it is part of the names of queues, workers and files."""


def is_gateway_name(name: str) -> bool:
    """Whether a gateway may be called so."""
    return re.fullmatch(NAME, name) is not None


@dataclass(frozen=True, slots=True)
class Gateway:
    """A gateway beside that of the settings; ``None`` is as there.

    Attributes:
        client_id_first: of the API client ids that its workers share.
        client_id_count: how many they are.
        restart_window: HH:MM-HH:MM without new orders, in ``restart_window_zone``.
        log: what its helper writes of the login; ``None`` for none.
    """

    name: str
    port: int
    mode: TradingMode
    host: str = LOOPBACK
    client_id_first: int | None = None
    client_id_count: int | None = None
    restart_window: str | None = None
    restart_window_zone: str | None = None
    log: Path | None = None

    @property
    def address(self) -> str:
        """Host and port, by which the ledger knows it."""
        return f"{self.host}:{self.port}"


def queue_of(kind: str, gateway: str) -> str:
    """The queue of a gateway's workers: that of the main one is called as if there were no other."""
    return kind if gateway == MAIN_GATEWAY else f"{kind}.{gateway}"


def of_gateway(gateway: str) -> dict[str, Any]:
    """How a fact names the gateway that it is of: the main one not at all, as if there were no other."""
    return {} if gateway == MAIN_GATEWAY else {"gateway": gateway}
