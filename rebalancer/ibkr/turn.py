"""The turn to trade an account: the gateway lets one client at a time have a client id, and each account has its own.

It is the only mutex that two installations share: they have neither a ledger nor a Redis in common.
"""

from __future__ import annotations

import asyncio

from rebalancer.domain.errors import AccountInUse
from rebalancer.ibkr.connection import Connection
from rebalancer.ibkr.handshake import ClientIdInUse
from rebalancer.ibkr.session import GatewaySession

FIRST = 1_000_000_000
"""Above every client id that a setting can name; TWS takes up to 2147483646."""
_PAUSES_S = (0.1, 0.2, 0.4, 0.8, 1.5)
"""Until a run that has just ended has left."""


def client_id_of(account_id: str) -> int:
    """The client id that stands for an account, the same in every installation.

    >>> client_id_of("DU1234567")
    1001234567
    """
    digits = "".join(letter for letter in account_id if letter.isdigit())
    return FIRST + int(digits or "0") % FIRST


class Turn:
    """One account's turn, taken before the first order and held until the run has ended."""

    def __init__(self, connection: Connection, account_id: str) -> None:
        self._connection = connection
        self._account_id = account_id
        self._client_id = client_id_of(account_id)
        self._held: GatewaySession | None = None

    @property
    def connection(self) -> GatewaySession | None:
        """The one that holds it."""
        return self._held

    def require(self) -> None:
        """Have it: at once while the gateway has not taken it away, which a lost connection does.

        Raises:
            AccountInUse: another client has it.
            GatewayUnavailable: no connection.
        """
        if self._held is not None and self._held.alive:
            return
        options = self._connection.options
        patience_s = 2 * options.connect_timeout_s + sum(_PAUSES_S)
        self._held = self._connection.call(self._take, patience_s, f"the turn to trade {self._account_id}")

    async def _take(self, session: GatewaySession) -> GatewaySession:
        for pause_s in _PAUSES_S:
            try:
                return await self._connection.open_beside(self._client_id)
            except ClientIdInUse:
                await asyncio.wait((session.lost,), timeout=pause_s)
        try:
            return await self._connection.open_beside(self._client_id)
        except ClientIdInUse as taken:
            raise AccountInUse(
                f"another client trades {self._account_id} at this moment (client id {self._client_id} is in use, "
                "326): another installation, or a worker that the gateway does not know to be dead"
            ) from taken

    def give_back(self) -> None:
        """Let the next one have it, also after a taking that was interrupted."""
        self._connection.close_beside(self._client_id)
