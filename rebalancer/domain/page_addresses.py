"""Addresses of the web page. Pure."""

from __future__ import annotations

from rebalancer.domain.loopback import LOOPBACK

EVERY_ADDRESS = frozenset({"0.0.0.0", "::", ""})  # noqa: S104 - what API_HOST says for all, not something to bind to


def address(host: str, port: int) -> str:
    """Where a browser of this machine finds the page."""
    shown = LOOPBACK if host in EVERY_ADDRESS else host
    return f"http://{f'[{shown}]' if ':' in shown else shown}:{port}"


def entrance(page: str, token: str) -> str:
    """The one-time link: what opens stands behind the ``#``, which browsers send to no server."""
    return f"{page.rstrip('/')}/enter#{token}"


def letter(page: str, name: str) -> str:
    """Where the letter about a period is, for whoever has signed in."""
    return f"{page.rstrip('/')}/letters/{name}.pdf"


def decision(page: str, token: str) -> str:
    """Where one plan is decided on; what opens stands behind the ``#`` here too."""
    return f"{page.rstrip('/')}/decide#{token}"
