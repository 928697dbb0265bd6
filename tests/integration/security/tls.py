"""TLS in front of a real server, with PostgreSQL's way to begin and an optional demand for the client's certificate."""

from __future__ import annotations

import select
import socket
import socketserver
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import trustme

Dial = Callable[[], socket.socket]
SSL_REQUEST = bytes.fromhex("0000000804d2162f")
"""How a PostgreSQL client asks whether it may encrypt."""


class Guard(socketserver.ThreadingTCPServer):
    """Relays what arrives encrypted to a server, and lets nothing else through.

    Attributes:
        passed / refused: connections that did, and did not, agree on TLS.
    """

    daemon_threads = True

    def __init__(self, dial: Dial, context: ssl.SSLContext, *, postgres: bool = False) -> None:
        super().__init__(("127.0.0.1", 0), _Meeting)
        self.dial = dial
        self.context = context
        self.postgres = postgres
        self.passed = self.refused = 0

    @property
    def port(self) -> int:
        return int(self.server_address[1])


class _Meeting(socketserver.BaseRequestHandler):
    server: Guard
    request: socket.socket

    def handle(self) -> None:
        """One connection, from its first byte to its last."""
        if self.server.postgres:
            if self.request.recv(8, socket.MSG_WAITALL) != SSL_REQUEST:
                self.server.refused += 1
                return
            self.request.sendall(b"S")
        try:
            encrypted = self.server.context.wrap_socket(self.request, server_side=True)
        except OSError:
            self.server.refused += 1
            return
        self.server.passed += 1
        with encrypted, self.server.dial() as plain, suppress(ConnectionError, ssl.SSLError):
            _relay(encrypted, plain)


def _relay(encrypted: ssl.SSLSocket, plain: socket.socket) -> None:
    other = {encrypted: plain, plain: encrypted}
    while True:
        ready = [encrypted] if encrypted.pending() else select.select([encrypted, plain], [], [])[0]
        for one in ready:
            chunk = one.recv(65536)
            if not chunk:
                return
            other[one].sendall(chunk)


@contextmanager
def guarded(guard: Guard) -> Iterator[Guard]:
    """Serve on a free port of this machine until the block ends."""
    thread = threading.Thread(target=guard.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield guard
    finally:
        guard.shutdown()
        guard.server_close()
        thread.join(10)


@dataclass(frozen=True, slots=True)
class Papers:
    """Certificates in files: of the CA, and of a client with its key."""

    ca: Path
    certificate: Path
    key: Path


def issue(folder: Path, *, demand: bool) -> tuple[ssl.SSLContext, Papers]:
    """A CA of its own, a server for localhost that may demand a client's certificate, and such a client."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    if demand:
        authority.configure_trust(context)
        context.verify_mode = ssl.CERT_REQUIRED
    papers = Papers(folder / "ca.pem", folder / "client.pem", folder / "client.key")
    client = authority.issue_cert("rebalancer@example.org")
    authority.cert_pem.write_to_path(str(papers.ca))
    client.cert_chain_pems[0].write_to_path(str(papers.certificate))
    client.private_key_pem.write_to_path(str(papers.key))
    papers.key.chmod(0o600)  # libpq insists
    return context, papers


def dial(host: str, port: int) -> Dial:
    """To a server on TCP."""
    return lambda: socket.create_connection((host, port))


def dial_unix(path: str) -> Dial:
    """To a server on a Unix socket."""

    def connect() -> socket.socket:
        made = socket.socket(socket.AF_UNIX)
        made.connect(path)
        return made

    return connect
