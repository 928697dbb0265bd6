"""The stand-in as a process."""

from __future__ import annotations

import asyncio
import signal

import typer

from sandbox.ably.options import AblyOptions
from sandbox.ably.server import AblyServer


def run(options: AblyOptions) -> int:
    """Serve until SIGINT or SIGTERM.

    Returns:
        The process' exit code: 0, or 2 when the address is unusable.
    """
    try:
        asyncio.run(_serve(options))
    except OSError as problem:
        address = f"{options.host}:{options.port}"
        typer.echo(f"cannot listen on {address}: {problem.strerror}; choose another address or port 0", err=True)
        return 2
    return 0


async def _serve(options: AblyOptions) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with AblyServer(options) as server:
        typer.echo(f"ably listening on {server.url}")
        if server.control_url is not None:
            typer.echo(f"control listening on {server.control_url}")
        await stop.wait()
