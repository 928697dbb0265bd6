"""Ask for a command and wait for what becomes of it."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import Any

from fastapi.concurrency import run_in_threadpool

from api.auth import Caller
from rebalancer.domain.commands import Command
from rebalancer.ledger.queries import request_outcome
from rebalancer.ledger.queries.request_outcome import RequestOutcome
from rebalancer.ledger.states import EventState
from rebalancer.operations import requests
from rebalancer.operations.requests import Asked
from rebalancer.services import Services

FIRST_PAUSE_S = 0.05
LONGEST_PAUSE_S = 0.5


async def ask(services: Services, caller: Caller, account_id: str, command: Command, **detail: Any) -> Asked:
    """Put a request on record and publish it.

    Raises:
        UnknownAccount, RequestRefused: it cannot be done.
    """
    note = partial(caller.note, services, command, account_id, **detail)
    return await run_in_threadpool(requests.ask, services, account_id, command, {}, source="api", note=note)


async def answered(services: Services, asked: Asked, wait_s: float) -> RequestOutcome:
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


def _look(services: Services, asked: Asked) -> RequestOutcome:
    with services.ledger.begin() as session:
        return request_outcome.answer(session, asked.event_id, asked.request_no)
