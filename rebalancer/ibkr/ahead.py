"""Questions that travel together: asked before their answers are wanted one by one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from rebalancer.domain.orders import OpenOrder
from rebalancer.ibkr import asking
from rebalancer.ibkr.account_stream import AccountStream, Holdings
from rebalancer.ibkr.session import GatewaySession
from rebalancer.ibkr.tracing import Lists, ask_lists

FRESH_S = 1.0
"""Older answers are as if they had not been asked for."""


@dataclass(slots=True)
class _Answer:
    """One that is under way, or was heard at ``at`` of the loop's time."""

    task: asyncio.Future[Any]
    at: float | None = None

    def heard(self, task: asyncio.Future[Any]) -> None:
        self.at = asyncio.get_running_loop().time()
        if not task.cancelled():
            task.exception()  # told to whoever takes it; if nobody does, nothing was wanted


class Ahead:
    """Answers for one account over one session, on the loop's thread. Each is given out once. All are forgotten when
    anything is sent, cancelled or looked up, and those that nobody has taken after :data:`FRESH_S`.
    """

    def __init__(self) -> None:
        self._of: tuple[GatewaySession, str] | None = None
        self._answers: dict[str, _Answer] = {}
        self._stream: AccountStream | None = None

    def follow(self, session: GatewaySession, turn: GatewaySession, account_id: str) -> None:
        """From now on the account's values are asked for over the connection of its turn, and what is pushed counts."""
        self.leave()
        self._stream = AccountStream(session, turn, account_id)

    def leave(self) -> None:
        """The turn is over, and what was asked over its connection and is not answered will not be."""
        self.forget()
        if self._stream is not None:
            self._stream.end()
        self._stream = None

    def ask(self, session: GatewaySession, account_id: str, *, first: bool) -> None:
        """Ask for lists and holdings; ``first`` of a run also for the time. Later ones, of a run that has its turn,
        have the positions as they were pushed: whoever takes them knows what they must show.
        """
        self.forget()
        self._of = session, account_id
        stream = self._stream_of(session, account_id)
        renewed = stream.renew() if stream is not None and not first else self._holdings(session, account_id)
        self._answers["open orders"] = self._start("lists", ask_lists(session, account_id))
        self._start("holdings", renewed)
        if first:
            self._start("clock", session.clock_ahead())

    def forget(self) -> None:
        """Nothing of it is to be given out any more."""
        self._of = None
        self._answers.clear()

    async def lists(self, session: GatewaySession, account_id: str) -> Lists:
        """The broker's lists of the account; see :func:`ask_lists`."""
        taken = self._take("lists", session, account_id)
        return await taken if taken is not None else await ask_lists(session, account_id)

    async def open_orders(self, session: GatewaySession, account_id: str) -> tuple[OpenOrder, ...]:
        """Of the whole login, out of the lists."""
        taken = self._take("open orders", session, account_id)
        if taken is None:
            return await asking.open_orders(session)
        found: Lists = await taken
        return found.listed

    async def holdings(self, session: GatewaySession, account_id: str, stream: AccountStream) -> Holdings:
        """Positions and values of the account, of one round trip."""
        taken = self._take("holdings", session, account_id)
        return await taken if taken is not None else await stream.ask()

    @contextmanager
    def stream(self, session: GatewaySession, account_id: str) -> Iterator[AccountStream]:
        """That of the account's turn, or one that lasts as long as the block."""
        standing = self._stream_of(session, account_id)
        if standing is not None:
            yield standing
            return
        passing = AccountStream(session, None, account_id)
        try:
            yield passing
        finally:
            passing.end()

    async def clock_ahead(self, session: GatewaySession) -> timedelta:
        """See :meth:`GatewaySession.clock_ahead`."""
        taken = self._take("clock", session, self._of[1]) if self._of is not None else None
        return await taken if taken is not None else await session.clock_ahead()

    def _stream_of(self, session: GatewaySession, account_id: str) -> AccountStream | None:
        stream = self._stream
        return stream if stream is not None and stream.serves(session, account_id) else None

    async def _holdings(self, session: GatewaySession, account_id: str) -> Holdings:
        with self.stream(session, account_id) as stream:
            return await stream.ask()

    def _start(self, name: str, work: Awaitable[Any]) -> _Answer:
        answer = self._answers[name] = _Answer(asyncio.ensure_future(work))
        answer.task.add_done_callback(answer.heard)
        return answer

    def _take(self, name: str, session: GatewaySession, account_id: str) -> asyncio.Future[Any] | None:
        answer = self._answers.pop(name, None) if self._of == (session, account_id) else None
        if answer is None:
            return None
        late = answer.at is not None and asyncio.get_running_loop().time() - answer.at > FRESH_S
        return None if late else answer.task
