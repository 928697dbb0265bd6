"""Ask for a command and wait for what becomes of it."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from fastapi.concurrency import run_in_threadpool

from api.auth import Caller
from rebalancer.accounts import Account
from rebalancer.commands import Command
from rebalancer.ledger import answers
from rebalancer.ledger.answers import Answer
from rebalancer.ledger.states import EventState
from rebalancer.requests import read_account, request
from rebalancer.services import Services

FIRST_PAUSE_S = 0.05
LONGEST_PAUSE_S = 0.5


@dataclass(frozen=True, slots=True)
class Asked:
    """A request on record: the event that serves it, as its how-many-th wish."""

    account: Account
    command: Command
    event_id: UUID
    wish: int


async def ask(services: Services, caller: Caller, account_id: str, command: Command, **detail: Any) -> Asked:
    """Put a request on record and publish it.

    Raises:
        UnknownAccount, RequestRefused: it cannot be done.
    """
    return await run_in_threadpool(_ask, services, caller, account_id, command, detail)


def _ask(services: Services, caller: Caller, account_id: str, command: Command, detail: dict[str, Any]) -> Asked:
    account = read_account(services.accounts(), account_id, services.settings.trading_mode)
    caller.note(services, command, account_id, **detail)
    served = request(services.dispatcher, account, command, {}, "api")
    with services.ledger.begin() as session:
        wish = answers.wish_of(session, served.event_id)
    return Asked(account, command, served.event_id, wish)


async def answered(services: Services, asked: Asked, wait_s: float) -> Answer:
    """What became of the request, as soon as that is known, or after ``wait_s``. Occupies no thread while it waits."""
    deadline = time.monotonic() + wait_s
    pause_s = FIRST_PAUSE_S
    while True:
        found = await run_in_threadpool(_look, services, asked)
        left_s = deadline - time.monotonic()
        if found.is_final or found.state is EventState.HELD or left_s <= 0:
            return found
        await asyncio.sleep(min(pause_s, left_s))
        pause_s = min(pause_s * 1.5, LONGEST_PAUSE_S)


def _look(services: Services, asked: Asked) -> Answer:
    with services.ledger.begin() as session:
        return answers.answer(session, asked.event_id, asked.wish)
