"""The management API on a real socket."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import uvicorn
from fastapi import FastAPI

NO_TRUST = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For clients of plain HTTP: each would load every certificate authority there is, in vain."""


class EndingServer(uvicorn.Server):
    """uvicorn's server, which leaves no connection open to whoever still listens after its grace."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await super().shutdown(sockets)
        for connection in self.server_state.connections:
            connection.transport.abort()  # type: ignore[union-attr]
        await asyncio.sleep(0)  # the loop's turn in which they end


@contextmanager
def serving(app: FastAPI) -> Iterator[httpx.Client]:
    """Serve the app on a free port of this machine; gives a client for it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # else each answer waits 40 ms for an ACK
        port = listener.getsockname()[1]
        server = EndingServer(uvicorn.Config(app, log_config=None, lifespan="on", timeout_graceful_shutdown=1))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        try:
            with httpx.Client(
                base_url=f"http://127.0.0.1:{port}", timeout=20, trust_env=False, verify=NO_TRUST
            ) as client:
                yield client
        finally:
            server.should_exit = True
            thread.join(timeout=10)
