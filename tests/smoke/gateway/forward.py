"""Carry each connection to a port of this container on to a port of its loopback address: `forward.py FROM TO`."""

from __future__ import annotations

import asyncio
import contextlib
import sys


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):  # either side may go at any time; the other one then goes too
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()


async def _forward(port: int, target: int) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_connection("127.0.0.1", target)
        except OSError:  # as socat does: accepted first, then closed
            writer.close()
            return
        await asyncio.gather(_carry(reader, back), _carry(there, writer))

    async with await asyncio.start_server(serve, "0.0.0.0", port) as server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_forward(int(sys.argv[1]), int(sys.argv[2])))
