"""The stand-in as a process."""

from __future__ import annotations

import asyncio
import signal

import typer

from sandbox.ably.options import AblyOptions
from sandbox.ably.server import AblyServer


def run(options: AblyOptions) -> int:
    """Serve until SIGINT or SIGTERM; returns the exit status."""
    try:
        asyncio.run(_serve(options))
    except OSError as problem:
        typer.echo(f"ably cannot listen on {options.host}:{options.port}: {problem}", err=True)
        return 1
    return 0


async def _serve(options: AblyOptions) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with AblyServer(options) as server:
        typer.echo(f"ably listening on {server.url}")
        if server.control_url is not None:
            typer.echo(f"ably control on {server.control_url}")
        await stop.wait()
