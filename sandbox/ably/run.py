"""The stand-in as a process."""

from __future__ import annotations

import asyncio
import signal
from contextlib import AsyncExitStack

import typer

from sandbox.ably.control_port import control_port
from sandbox.ably.options import AblyOptions
from sandbox.ably.server import AblyServer


def run(options: AblyOptions, control: int | None = None) -> int:
    """Serve until SIGINT or SIGTERM.

    Args:
        control: the control port; ``None`` opens none, 0 takes a free one.

    Returns:
        The process' exit code: 0, or 2 when the address is unusable.
    """
    try:
        asyncio.run(_serve(options, control))
    except OSError as problem:
        address = f"{options.host}:{options.port}"
        typer.echo(f"cannot listen on {address}: {problem.strerror}; choose another address or port 0", err=True)
        return 2
    return 0


async def _serve(options: AblyOptions, control: int | None) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(AblyServer(options))
        told = [f"ably listening on {server.url}"]
        if control is not None:
            address = await stack.enter_async_context(control_port(server, control))
            told.append("control listening on http://{}:{}".format(*address))
        typer.echo("\n".join(told))
        await stop.wait()
