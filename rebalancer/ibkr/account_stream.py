"""What an account's turn hears of it: values and positions as the broker pushes them after the answer to a question.

The values are asked for over the turn's own connection, whose end is the end of every subscription: nothing has to be
cancelled. The list of positions stays subscribed for as long as the login's connection lasts.
"""

from __future__ import annotations

import asyncio

from rebalancer.domain.portfolio import Position
from rebalancer.ibkr import asking
from rebalancer.ibkr.account_keys import AccountValues
from rebalancer.ibkr.frames import ACCOUNT_VALUE, POSITION
from rebalancer.ibkr.messages import Message, PositionMessage, UnreadableMessage
from rebalancer.ibkr.session import GatewaySession

Holdings = tuple[list[Position], AccountValues]

_READ = frozenset({0, ACCOUNT_VALUE, POSITION})


class AccountStream:
    """One account, from the first question of a turn to its end, on the loop's thread.

    Args:
        login: the process' connection, which hears of positions.
        turn: the connection that holds the turn.
    """

    def __init__(self, login: GatewaySession, turn: GatewaySession, account_id: str) -> None:
        self._login = login
        self._turn = turn
        self._account_id = account_id
        self._rows: dict[int, Position] = {}
        self._values: dict[tuple[str, str], str] | None = None
        self._unreadable = False
        for session in (turn, login):
            session.ib.listening.hear(self._on_message, UnreadableMessage)
        login.ib.listening.hear(self._on_position, PositionMessage)

    def serves(self, login: GatewaySession, account_id: str) -> bool:
        """Whether it is that account's, over connections that still live."""
        return (self._login, self._account_id) == (login, account_id) and login.alive and self._turn.alive

    def end(self) -> None:
        """Hear nothing more."""
        for session in (self._turn, self._login):
            session.ib.listening.leave(self._on_message)
        self._login.ib.listening.leave(self._on_position)

    async def ask(self) -> Holdings:
        """Positions and values of the account, both asked for now."""
        self._rows, self._values, self._unreadable = {}, None, False
        listed, values = await asyncio.gather(asking.positions(self._login, self._account_id), self._ask_values())
        self._values = values
        return listed, dict(values)

    async def renew(self) -> Holdings:
        """Values asked for now, and positions as they were pushed since they were asked for."""
        if self._values is None:
            return await self.ask()
        self._values = None
        self._values = await self._ask_values()
        return self.shown() or await self.ask()

    def shown(self) -> Holdings | None:
        """What the broker has shown up to now; ``None`` if something of it is not known."""
        if self._values is None or self._unreadable:
            return None
        return [held for held in self._rows.values() if held.quantity], dict(self._values)

    async def _ask_values(self) -> dict[tuple[str, str], str]:
        """They go on being renewed by what is pushed; those of an earlier question do not."""
        request_id, values = self._turn.ib.client.getReqId(), dict[tuple[str, str], str]()
        self._turn.ib.listening.value_sinks = {request_id: asking.sink_of(self._account_id, values)}
        await self._turn.guard(asking.standing_values(self._turn, self._account_id, request_id))
        return values

    def _on_position(self, message: Message) -> None:
        if isinstance(message, PositionMessage) and message.account_id == self._account_id:
            self._rows[message.position.contract_id] = message.position

    def _on_message(self, message: Message) -> None:
        if isinstance(message, UnreadableMessage) and message.number in _READ:
            self._unreadable = True
