"""What the gateway says of its own connections: to IBKR's servers and to the data farms."""

from __future__ import annotations

import asyncio

from rebalancer.ibkr.messages import ErrorMessage

_LOST = frozenset({1100, 2110})
_RESTORED = frozenset({1101, 1102})
_QUOTES_SUSPECT = _LOST | _RESTORED | {2103, 10182}


class Upstream:
    """State of the lines behind the gateway, kept from its messages.

    Attributes:
        lost: the message that said that IBKR cannot be reached; ``None`` while it can.
        definitions_lost: the message that said that contract definitions are unavailable.
        quotes_epoch: grows whenever standing quotes must no longer be trusted.
        restorations: grows whenever the connection to IBKR returned; callbacks may have been missed before.
    """

    def __init__(self) -> None:
        self.lost: ErrorMessage | None = None
        self.definitions_lost: ErrorMessage | None = None
        self.quotes_epoch = 0
        self.restorations = 0
        self._waiting: set[asyncio.Future[None]] = set()

    async def restored(self, timeout_s: float) -> None:
        """Wait until IBKR can be reached again, at most ``timeout_s``."""
        heard: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.add(heard)
        try:
            await asyncio.wait((heard,), timeout=timeout_s)
        finally:
            self._waiting.discard(heard)

    def on_message(self, message: ErrorMessage) -> None:
        """Keep the state."""
        code = message.code
        if code in _QUOTES_SUSPECT:
            self.quotes_epoch += 1
        if code in _LOST:
            self.lost = self.lost or message
        elif code in _RESTORED:
            self.lost = None
            self.restorations += 1
            for waiting in self._waiting:
                if not waiting.done():
                    waiting.set_result(None)
        elif code == 2157:
            self.definitions_lost = message
        elif code == 2158:
            self.definitions_lost = None
