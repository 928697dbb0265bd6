"""Blocking work that must not hold up the end of the process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread
from typing import TypeVar

T = TypeVar("T")


async def in_daemon_thread(work: Callable[[], T]) -> T:
    """Run it in a thread of its own; unlike asyncio's executor, a cancelled one is not waited for at the end."""
    done: Future[T] = Future()

    def run() -> None:
        if not done.set_running_or_notify_cancel():
            return
        try:
            done.set_result(work())
        except BaseException as error:  # noqa: BLE001 - whoever awaits gets it
            done.set_exception(error)

    Thread(target=run, name="listener-work", daemon=True).start()
    return await asyncio.wrap_future(done)
