"""How the stand-ins serve: an aiohttp application for as long as a context lasts, a server for as long as a process."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import typer
from aiohttp import web

Start = Callable[[AsyncExitStack], Awaitable[list[str]]]
"""Enters what serves; the lines say where it listens, and starters wait for them."""


@asynccontextmanager
async def serving(app: web.Application, host: str, port: int, **options: Any) -> AsyncIterator[tuple[str, int]]:
    """Serve ``app`` inside the context, and give the address: ``host``, and the port, also where 0 took a free one.

    Args:
        options: as ``web.AppRunner`` takes them; requests that are being answered may hold up the end for
            ``shutdown_timeout`` seconds.

    Raises:
        OSError: the address is taken.
    """
    runner = web.AppRunner(app, access_log=None, **options)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        yield host, int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


def serve_as_process(start: Start, host: str, port: int) -> int:
    """Serve until SIGINT or SIGTERM.

    Returns:
        The process' exit code: 0, or 2 when ``host`` and ``port`` are unusable, which standard error says.
    """
    try:
        asyncio.run(_until_stopped(start))
    except OSError as problem:
        typer.echo(f"cannot listen on {host}:{port}: {problem.strerror}; choose another address or port 0", err=True)
        return 2
    return 0


async def _until_stopped(start: Start) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with AsyncExitStack() as stack:
        typer.echo("\n".join(await start(stack)))
        await stopped.wait()
