"""A short visit to a gateway, to see who is logged in and what time it is there."""

from __future__ import annotations

from dataclasses import dataclass

from rebalancer.ibkr.connection import Connection, FixedClientId
from rebalancer.ibkr.handshake import ConnectionOptions
from rebalancer.ibkr.session import Session


@dataclass(frozen=True, slots=True)
class Visit:
    """What a gateway says of itself.

    Attributes:
        accounts: of the login, sorted.
        clock_ahead_s: how far its clock is proven to be ahead of ours; it tells whole seconds.
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
        ahead = await session.clock_ahead()
        return Visit(tuple(sorted(session.accounts)), ahead.total_seconds())

    connection = Connection(options, FixedClientId(client_id))
    try:
        timeout_s = options.connect_timeout_s + options.request_timeout_s
        return connection.call(look, timeout_s, "accounts and time")
    finally:
        connection.close()
