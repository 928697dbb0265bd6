"""Connecting: ib_async waits its whole timeout after a refusal, we stop at the refusal itself."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from rebalancer.domain.accounts import TradingMode
from rebalancer.domain.errors import GatewayUnavailable, Refused
from rebalancer.domain.rule_names import Rule
from rebalancer.ibkr.client import GatewayClient
from rebalancer.ibkr.messages import ErrorMessage, Message

_REFUSALS = frozenset({321, 326, 502, 507})
"""API read-only, client id in use, too many clients: the handshake will not complete after these."""

_REFUSED = f"[Errno {errno.ECONNREFUSED}]"


class ClientIdInUse(GatewayUnavailable):
    """Another client, or a dead one that the gateway has not yet noticed, holds the client id (326)."""


class NobodyListens(GatewayUnavailable):
    """The address refuses connections: no gateway runs there. One behind a forwarder is never seen like this."""


@dataclass(frozen=True, slots=True)
class ConnectionOptions:
    """Where the gateway is and how patiently it is treated.

    Attributes:
        request_timeout_s: for one request to be answered; unanswered, the connection is given up, since a late
            answer would be taken for the next one's.
        heartbeat_s: between two questions for the time; the protocol has no keep-alive of its own.
        upstream_patience_s: after so long without IBKR behind the gateway we reconnect, to hear its state anew.
        messages_per_s: IBKR allows 50.
        mode: what the login's accounts have to be; ``None`` for whoever only looks.
    """

    host: str
    port: int
    connect_timeout_s: float = 8.0
    request_timeout_s: float = 10.0
    heartbeat_s: float = 15.0
    heartbeat_timeout_s: float = 3.0
    upstream_patience_s: float = 300.0
    messages_per_s: int = 48
    mode: TradingMode | None = None

    @property
    def address(self) -> str:
        """For error texts."""
        return f"gateway {self.host}:{self.port}"


async def handshake(ib: GatewayClient, options: ConnectionOptions, client_id: int, *, bare: bool = False) -> None:
    """Connect and synchronise.

    Args:
        bare: ask for nothing; the connection alone is wanted.

    Raises:
        ClientIdInUse: at once, not after a timeout.
        NobodyListens: no gateway runs there.
        GatewayUnavailable: refused, silent, or gone.
    """
    refused: asyncio.Future[GatewayUnavailable] = asyncio.get_running_loop().create_future()

    def refuse(error: GatewayUnavailable) -> None:
        if not refused.done():
            refused.set_result(error)

    def on_message(message: Message) -> None:
        if isinstance(message, ErrorMessage) and message.code in _REFUSALS:
            refuse(_refusal(options, client_id, message))

    def on_end(text: str) -> None:
        refuse(GatewayUnavailable(f"{options.address}: {text or 'the gateway closed the connection'}"))

    # A connection that ends before the version is exchanged is no error to ib_async; only its socket knows.
    ends_of = (ib.client.apiError, ib.client.conn.disconnected)
    for event in ends_of:
        event.connect(on_end)
    attempt = asyncio.ensure_future((_connect_only if bare else _connect)(ib, options, client_id))
    ends: tuple[asyncio.Future[Any], ...] = (attempt, refused)
    try:
        with ib.listener(on_message):
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for event in ends_of:
            event.disconnect(on_end)
        attempt.cancel()
        outcome = (await asyncio.gather(attempt, return_exceptions=True))[0]
    if isinstance(outcome, OSError) and _nobody_listens(outcome):
        raise NobodyListens(f"{options.address}: {outcome}")
    if refused.done():
        raise refused.result()
    if isinstance(outcome, BaseException):
        raise GatewayUnavailable(f"{options.address}: {outcome or 'no complete handshake'}") from outcome


async def _connect(ib: GatewayClient, options: ConnectionOptions, client_id: int) -> None:
    """Own open orders keep the order ids above theirs. ib_async's own way would ask for the positions of the whole
    login too, which from then on tell each of its workers of every fill.
    """
    await _connect_only(ib, options, client_id)
    async with asyncio.timeout(options.connect_timeout_s):
        await ib.reqOpenOrdersAsync()


async def _connect_only(ib: GatewayClient, options: ConnectionOptions, client_id: int) -> None:
    await ib.client.connectAsync(options.host, options.port, client_id, options.connect_timeout_s)  # type: ignore[no-untyped-call]


def require_world(options: ConnectionOptions, accounts: Collection[str]) -> None:
    """Refuse a login of the other world: a port of one's own choice says nothing of where it leads.

    Raises:
        Refused: ``gateway_world``.
    """
    foreign = sorted(one for one in accounts if options.mode not in (None, TradingMode.of(one)))
    if foreign:
        reason = (
            f"{options.address} is logged in to {TradingMode.of(foreign[0])} accounts ({', '.join(foreign)}), "
            f"TRADING_MODE is {options.mode}: "
            "correct IB_PORT or TRADING_MODE, or log in to the other mode"
        )
        raise Refused(Rule.GATEWAY_WORLD, reason)


def _nobody_listens(error: OSError) -> bool:
    """Refused at every address of the host; of several addresses asyncio tells in one text."""
    text = str(error)
    return isinstance(error, ConnectionRefusedError) or 0 < text.count("[Errno") == text.count(_REFUSED)


def _refusal(options: ConnectionOptions, client_id: int, message: ErrorMessage) -> GatewayUnavailable:
    if message.code == 326:
        return ClientIdInUse(f"{options.address}: client id {client_id} in use (326)")
    return GatewayUnavailable(f"{options.address} refused with code {message.code}: {message.text}")
