"""An aiohttp application on a socket, for as long as a context lasts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

LOOPBACK = "127.0.0.1"


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
