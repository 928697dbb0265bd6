"""This machine, as its own programs reach it."""

from __future__ import annotations

LOOPBACK = "127.0.0.1"
LOOPBACK_NAMES = frozenset({"localhost", LOOPBACK, "::1"})
"""What a URL calls it; an address of 127.0.0.0/8 in another spelling is not among them."""
