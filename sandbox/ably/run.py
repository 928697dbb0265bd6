"""The stand-in as a process."""

from __future__ import annotations

from contextlib import AsyncExitStack

from sandbox.ably.control_port import control_port
from sandbox.ably.options import AblyOptions
from sandbox.ably.server import AblyServer
from sandbox.serving import serve_as_process


def run(options: AblyOptions, control: int | None = None) -> int:
    """Serve until SIGINT or SIGTERM.

    Args:
        control: the control port; ``None`` opens none, 0 takes a free one.

    Returns:
        The process' exit code: 0, or 2 when the address is unusable.
    """

    async def start(stack: AsyncExitStack) -> list[str]:
        server = await stack.enter_async_context(AblyServer(options))
        told = [f"ably listening on {server.url}"]
        if control is not None:
            address = await stack.enter_async_context(control_port(server, control))
            told.append("control listening on http://{}:{}".format(*address))
        return told

    return serve_as_process(start, options.host, options.port)
