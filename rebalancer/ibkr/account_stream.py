"""One account's positions and values: asked for, and from then on as the broker pushes them.

Both are asked for over the turn's own connection, whose end is the end of every subscription: nothing has to be
cancelled, and no worker hears of another one's account. Where there is no turn they are asked for over the login's
connection, and end with the stream.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from rebalancer.domain.errors import GatewayUnavailable
from rebalancer.domain.portfolio import Position
from rebalancer.ibkr import asking
from rebalancer.ibkr.account_keys import AccountValues
from rebalancer.ibkr.frames import ACCOUNT_VALUE, POSITION_OF_ONE
from rebalancer.ibkr.messages import Message, PositionMessage, UnreadableMessage
from rebalancer.ibkr.session import GatewaySession

Holdings = tuple[list[Position], AccountValues]

_POSITIONS = frozenset({0, POSITION_OF_ONE})
_READ = _POSITIONS | {ACCOUNT_VALUE}


class AccountStream:
    """One account, from the first question to the end of a turn or of a call, on the loop's thread.

    Args:
        login: the process' connection.
        turn: the connection that holds the turn; ``None`` without one.
    """

    def __init__(self, login: GatewaySession, turn: GatewaySession | None, account_id: str) -> None:
        self._login = login
        self._over = turn or login
        self._account_id = account_id
        self._asking = asyncio.Lock()
        self._positions_id = self._values_id = 0
        self._rows: dict[int, Position] = {}
        self._values: dict[tuple[str, str], str] | None = None
        self._unreadable: set[int] = set()
        self._of_models = False
        self._over.ib.listening.hear(self._on_unreadable, UnreadableMessage)
        self._over.ib.listening.hear(self._on_position, PositionMessage)

    def serves(self, login: GatewaySession, account_id: str) -> bool:
        """Whether it is that account's, over connections that still live."""
        return (self._login, self._account_id) == (login, account_id) and login.alive and self._over.alive

    def end(self) -> None:
        """Hear nothing more."""
        self._over.ib.listening.leave(self._on_unreadable)
        self._over.ib.listening.leave(self._on_position)
        self._end(self._positions_id, asking.end_positions)
        self._end_values()

    async def ask(self) -> Holdings:
        """Positions and values of the account, both asked for now."""
        async with self._asking:
            return await self._ask()

    async def renew(self) -> Holdings:
        """Values asked for now, and positions as they were pushed since they were asked for."""
        async with self._asking:
            if self._values is None:
                return await self._ask()
            self._values = None
            self._values = await self._ask_values()
            return self.shown() or await self._ask()

    def shown(self) -> Holdings | None:
        """What the broker has shown up to now; ``None`` if something of it is not known."""
        if self._values is None or self._unreadable or self._of_models:
            return None
        return self._held(), dict(self._values)

    async def any_booking(self, timeout_s: float) -> None:
        """Until the broker pushes a position or a cash movement may have followed a commission, at most
        ``timeout_s``.
        """
        heard: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def on_position(_position: object) -> None:
            if not heard.done():
                heard.set_result(None)

        with self._over.ib.listener(on_position, PositionMessage):
            await asyncio.wait((heard,), timeout=timeout_s)

    async def _ask(self) -> Holdings:
        self._values = None
        self._unreadable.clear()
        listed, values = await asyncio.gather(self._ask_positions(), self._ask_values())
        self._values = values
        return listed, dict(values)

    async def _ask_positions(self) -> list[Position]:
        """Raises :class:`GatewayUnavailable` if a row could not be read: something would seem not to be held. What
        models hold apart is counted in the login's list alone.
        """
        self._end(self._positions_id, asking.end_positions)
        self._positions_id, self._rows, self._of_models = self._over.ib.client.getReqId(), {}, False
        await self._over.guard(asking.standing_positions(self._over, self._account_id, self._positions_id))
        if self._unreadable & _POSITIONS:
            raise GatewayUnavailable("a row of the positions list cannot be read")
        if self._of_models:
            return await asking.positions_of_login(self._login, self._account_id)
        return self._held()

    async def _ask_values(self) -> dict[tuple[str, str], str]:
        """They go on being renewed by what is pushed; those of an earlier question do not."""
        self._end_values()
        values = dict[tuple[str, str], str]()
        self._values_id = self._over.ib.client.getReqId()
        self._over.ib.listening.value_sinks[self._values_id] = asking.sink_of(self._account_id, values)
        await self._over.guard(asking.standing_values(self._over, self._account_id, self._values_id))
        return values

    def _held(self) -> list[Position]:
        return [held for held in self._rows.values() if held.quantity]

    def _end_values(self) -> None:
        self._over.ib.listening.value_sinks.pop(self._values_id, None)
        self._end(self._values_id, asking.end_values)

    def _end(self, request_id: int, cancel: Callable[[GatewaySession, int], None]) -> None:
        if request_id and self._over is self._login:
            cancel(self._over, request_id)

    def _on_position(self, message: Message) -> None:
        if isinstance(message, PositionMessage) and message.request_id == self._positions_id:
            if message.account_id == self._account_id and not message.model_code:
                self._rows[message.position.contract_id] = message.position
            self._of_models |= bool(message.model_code)

    def _on_unreadable(self, message: Message) -> None:
        if isinstance(message, UnreadableMessage) and message.number in _READ:
            self._unreadable.add(message.number)
