"""A short visit to a gateway, to see who is logged in, what time it is there, and whether its accounts can be read."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from rebalancer.domain.errors import GatewayUnavailable, Refused
from rebalancer.ibkr.account_data import booked_snapshot
from rebalancer.ibkr.ahead import Ahead
from rebalancer.ibkr.client_ids import FixedClientId
from rebalancer.ibkr.connection import Connection
from rebalancer.ibkr.handshake import ConnectionOptions
from rebalancer.ibkr.session import GatewaySession
from rebalancer.ibkr.tracing import ask_lists, refs_of


@dataclass(frozen=True, slots=True)
class Visit:
    """What a gateway says of itself.

    Attributes:
        accounts: of the login, sorted.
        clock_ahead_s: how far its clock is proven to be ahead of ours; it tells whole seconds.
        unusable: why values of accounts that were looked at could not be planned from.
        orders: of those accounts, what :func:`rebalancer.ibkr.tracing.refs_of` tells; without those that did not
            answer.
    """

    accounts: tuple[str, ...]
    clock_ahead_s: float
    unusable: tuple[str, ...] = ()
    orders: Mapping[str, Mapping[str, datetime | None]] = field(default_factory=dict)


def visit(options: ConnectionOptions, client_id: int, accounts: Collection[str] = ()) -> Visit:
    """Connect, look, leave.

    Args:
        client_id: one that nobody else uses at the moment.
        accounts: whose values to look at, as far as the login has them.

    Raises:
        GatewayUnavailable: it refused, or did not answer in time.
    """

    async def look(session: GatewaySession) -> Visit:
        ahead = await session.clock_ahead()
        seen = [await _unusable(session, account) for account in sorted(session.accounts.intersection(accounts))]
        orders = {account: await _orders(session, account) for account in sorted(session.accounts & {*accounts})}
        unusable = tuple(why for why in seen if why)
        return Visit(tuple(sorted(session.accounts)), ahead.total_seconds(), unusable, orders)

    connection = Connection(options, FixedClientId(client_id))
    try:
        timeout_s = options.connect_timeout_s + 2 * options.request_timeout_s
        return connection.call(look, timeout_s, "accounts and time")
    finally:
        connection.close()


async def _orders(session: GatewaySession, account_id: str) -> Mapping[str, datetime | None]:
    try:
        return refs_of(await ask_lists(session, account_id), account_id)
    except GatewayUnavailable:
        return {}


async def _unusable(session: GatewaySession, account_id: str) -> str | None:
    """Why nothing could be planned for an account, if so."""
    try:
        await booked_snapshot(session, account_id, lambda _snapshot: True, 0, Ahead())
    except (Refused, GatewayUnavailable) as reason:
        return str(reason)
    return None
