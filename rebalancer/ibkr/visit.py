"""A short visit to a gateway, to see who is logged in and what time it is there."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from rebalancer.ibkr.connection import Connection, FixedClientId
from rebalancer.ibkr.handshake import ConnectionOptions
from rebalancer.ibkr.session import Session


@dataclass(frozen=True, slots=True)
class Visit:
    """What a gateway says of itself.

    Attributes:
        accounts: of the login, sorted.
        clock_ahead_s: how far its clock is ahead of ours; it tells whole seconds.
    """

    accounts: tuple[str, ...]
    clock_ahead_s: float


def visit(options: ConnectionOptions, client_id: int) -> Visit:
    """Connect, look, leave.

    Args:
        client_id: one that nobody else uses at the moment.

    Raises:
        GatewayUnavailable: it refused, or did not answer in time.
    """

    async def look(session: Session) -> Visit:
        ib: Any = session.ib
        there: datetime = await session.exclusive("currentTime", ib.reqCurrentTimeAsync)
        return Visit(tuple(sorted(session.accounts)), (there - datetime.now(UTC)).total_seconds())

    connection = Connection(options, FixedClientId(client_id))
    try:
        timeout_s = options.connect_timeout_s + options.request_timeout_s
        return connection.call(look, timeout_s, "accounts and time")
    finally:
        connection.close()
