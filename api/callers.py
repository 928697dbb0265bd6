"""Where a request comes from, as far as nobody can forge it."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address

from fastapi import Request

from rebalancer.config.api_settings import ApiSettings

IPV6_SITE = 64
"""Leading bits of an IPv6 address that one caller has to himself."""


@dataclass(frozen=True, slots=True)
class CallerOrigin:
    """An address for the record, and the name under which its attempts are counted."""

    shown: str
    counted: str


def origin_of(request: Request, settings: ApiSettings) -> CallerOrigin:
    """The other end of the connection, or what a trusted proxy says of it.

    `python -m api` believes trusted proxies only. Started by its own command line, uvicorn believes a header of whoever
    comes from this machine: what such a request says of itself is shown as that, and all such requests count as one.
    """
    host = request.client.host if request.client else "unknown"
    claimed = ",".join(request.headers.getlist("x-forwarded-for"))
    if settings.api_trusted_proxies is None and claimed and host in _hosts(claimed):
        return CallerOrigin(f"{host[:64]} (by its own word)", "forwarded")
    return CallerOrigin(host, _site(host))


def arrived_here(request: Request) -> bool:
    """Whether the connection was made to an address that only this machine can reach."""
    server = request.scope.get("server")
    return server is not None and is_loopback(str(server[0]))


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _hosts(claimed: str) -> set[str]:
    """The addresses of a forwarding header, with and without their ports."""
    parts = {part.strip() for part in claimed.split(",")}
    return parts | {part.rpartition(":")[0].strip("[]") for part in parts} | {part.strip("[]") for part in parts}


def _site(host: str) -> str:
    try:
        address = ip_address(host)
    except ValueError:
        return host
    if isinstance(address, IPv6Address) and address.ipv4_mapped is None:
        return f"{int(address) >> (128 - IPV6_SITE):x}::/{IPV6_SITE}"
    return str(address)
