"""A short visit to a gateway, to see who is logged in, what time it is there, and whether its accounts can be read."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from rebalancer.errors import GatewayUnavailable, Refused
from rebalancer.ibkr.accounts import booked_snapshot
from rebalancer.ibkr.client_ids import FixedClientId
from rebalancer.ibkr.connection import Connection
from rebalancer.ibkr.handshake import ConnectionOptions
from rebalancer.ibkr.session import Session


@dataclass(frozen=True, slots=True)
class Visit:
    """What a gateway says of itself.

    Attributes:
        accounts: of the login, sorted.
        clock_ahead_s: how far its clock is proven to be ahead of ours; it tells whole seconds.
        unusable: why values of accounts that were looked at could not be planned from.
    """

    accounts: tuple[str, ...]
    clock_ahead_s: float
    unusable: tuple[str, ...] = ()


def visit(options: ConnectionOptions, client_id: int, accounts: Collection[str] = ()) -> Visit:
    """Connect, look, leave.

    Args:
        client_id: one that nobody else uses at the moment.
        accounts: whose values to look at, as far as the login has them.

    Raises:
        GatewayUnavailable: it refused, or did not answer in time.
    """

    async def look(session: Session) -> Visit:
        ahead = await session.clock_ahead()
        seen = [await _unusable(session, account) for account in sorted(session.accounts.intersection(accounts))]
        return Visit(tuple(sorted(session.accounts)), ahead.total_seconds(), tuple(why for why in seen if why))

    connection = Connection(options, FixedClientId(client_id))
    try:
        timeout_s = options.connect_timeout_s + options.request_timeout_s
        return connection.call(look, timeout_s, "accounts and time")
    finally:
        connection.close()


async def _unusable(session: Session, account_id: str) -> str | None:
    """Why nothing could be planned for an account, if so."""
    try:
        await booked_snapshot(session, account_id, lambda _snapshot: True, 0)
    except (Refused, GatewayUnavailable) as reason:
        return str(reason)
    return None
