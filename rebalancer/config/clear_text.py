"""Clear text stays at home: keys, targets and orders' queue leave this machine encrypted, or by an explicit exception.

An exception names the host, so that it never covers another one: ``ALLOW_CLEAR_REDIS=redis`` in a network that only
Docker Compose's containers are in.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from urllib.parse import parse_qs, urlsplit

from pydantic import Field
from pydantic.config import JsonDict

from rebalancer.config.notification_settings import NotificationSettings
from rebalancer.config.settings_section import Section
from rebalancer.config.signal_settings import SignalSettings
from rebalancer.config.statement_settings import StatementSettings
from rebalancer.config.store_settings import StoreSettings
from rebalancer.notify.destinations import Target
from rebalancer.notify.sending import clear_text_host

HOST = r"[A-Za-z0-9_.:\[\]-]+"
HOSTS = rf"^{HOST}(, ?{HOST})*$"
ALLOWED: JsonDict = {"allowed": "hosts separated by commas"}
ABLY = "Ably's own host"
VERIFIED = frozenset({"verify-ca", "verify-full"})
SOMEWHERE = "a host that only libpq knows"


@dataclass(frozen=True, slots=True)
class Way:
    """One way on which clear text would travel.

    Attributes:
        what: setting and value, without anything secret.
        allow: setting that names the hosts to which it may.
        remedy: how to encrypt it.
    """

    what: str
    host: str
    allow: str
    remedy: str


class ClearTextSettings(Section):
    """Exceptions, each for some hosts of one kind."""

    allow_clear_allocations: str | None = Field(
        default=None,
        pattern=HOSTS,
        json_schema_extra=ALLOWED,
        description="Hosts other than this machine that ALLOCATIONS_BASE_URL may reach by http://.",
    )
    allow_clear_realtime: str | None = Field(
        default=None,
        pattern=HOSTS,
        json_schema_extra=ALLOWED,
        description="The same for REALTIME_ENDPOINT without TLS.",
    )
    allow_clear_database: str | None = Field(
        default=None,
        pattern=HOSTS,
        json_schema_extra=ALLOWED,
        description="The same for DATABASE_URL without sslmode=verify-full.",
    )
    allow_clear_redis: str | None = Field(
        default=None, pattern=HOSTS, json_schema_extra=ALLOWED, description="The same for REDIS_URL without rediss://."
    )
    allow_clear_notifications: str | None = Field(
        default=None,
        pattern=HOSTS,
        json_schema_extra=ALLOWED,
        description="The same for NOTIFY_URLS and HEARTBEAT_URL.",
    )
    allow_clear_statements: str | None = Field(
        default=None, pattern=HOSTS, json_schema_extra=ALLOWED, description="The same for FLEX_BASE_URL."
    )

    def refusals(
        self,
        signals: SignalSettings,
        stores: StoreSettings,
        notifications: NotificationSettings,
        statements: StatementSettings,
    ) -> Iterator[str]:
        """A sentence for each way on which something would travel in clear text, and no exception allows it."""
        for way in (*_providers(signals), *_stores(stores), *_messages(notifications), *_statements(statements)):
            if not is_here(way.host) and way.host not in _hosts(getattr(self, way.allow)):
                yield (
                    f"{way.what} would travel in clear text to {way.host}: {way.remedy}, or, if nobody else can listen "
                    f"there, name the host in {way.allow.upper()}"
                )


def is_here(host: str) -> bool:
    """Whether a host is this machine, by its name or address alone; an empty one stands for a socket."""
    name = host.strip("[]").rstrip(".").lower()
    if not name or name.startswith("/") or name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        address = ip_address(name)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback


def _providers(settings: SignalSettings) -> Iterator[Way]:
    url = urlsplit(settings.allocations_base_url)
    if url.scheme == "http":
        what = "ALLOCATIONS_BASE_URL = http://...: targets and their key"
        yield Way(what, url.hostname or "", "allow_clear_allocations", "use https://")
    if not settings.realtime_tls:
        host = settings.realtime_endpoint.partition(":")[0].lower() if settings.realtime_endpoint else ABLY
        yield Way("REALTIME_TLS = false: signals and their key", host, "allow_clear_realtime", "leave it out")


def _stores(settings: StoreSettings) -> Iterator[Way]:
    redis = urlsplit(settings.redis_url)
    if redis.scheme == "redis":
        host = redis.hostname or parse_qs(redis.query).get("host", [""])[0]
        yield Way("REDIS_URL: queue and password", host.lower(), "allow_clear_redis", "use rediss://")
    for host in _database_hosts(settings.database_url):
        remedy = "add ?sslmode=verify-full (docs/security.md)"
        yield Way("DATABASE_URL: ledger and password", host.lower(), "allow_clear_database", remedy)


def _messages(settings: NotificationSettings) -> Iterator[Way]:
    for target in _targets(settings):
        plain = clear_text_host(target.url)
        if plain is not None:
            remedy = "use the service's encrypted form (ntfys://, jsons://, mailtos://...)"
            yield Way(
                f"NOTIFY_URLS, target {target.name}: messages", plain.lower(), "allow_clear_notifications", remedy
            )
    if settings.heartbeat_url is not None:
        url = urlsplit(settings.heartbeat_url.get_secret_value())
        if url.scheme == "http":
            yield Way("HEARTBEAT_URL", url.hostname or "", "allow_clear_notifications", "use https://")


def _statements(settings: StatementSettings) -> Iterator[Way]:
    url = urlsplit(settings.flex_base_url)
    if url.scheme == "http":
        what = "FLEX_BASE_URL = http://...: token and statements"
        yield Way(what, url.hostname or "", "allow_clear_statements", "use https://")


def _targets(settings: NotificationSettings) -> tuple[Target, ...]:
    try:
        return settings.notify_targets
    except ValueError:  # a contradiction of its own, which NotificationSettings tells
        return ()


def _database_hosts(url: str) -> list[str]:
    """Where libpq would connect without being sure of the server; the environment fills in what the URL leaves out."""
    parts = urlsplit(url)
    given = {name: values[-1] for name, values in parse_qs(parts.query).items()}
    if (given.get("sslmode") or os.environ.get("PGSSLMODE")) in VERIFIED:
        return []
    if given.get("service") or os.environ.get("PGSERVICE"):
        return [SOMEWHERE]
    named = given.get("hostaddr") or given.get("host") or parts.hostname
    hosts = named or os.environ.get("PGHOSTADDR") or os.environ.get("PGHOST") or ""
    return [host.rpartition(":")[0] if host.count(":") == 1 else host for host in hosts.split(",")]


def _hosts(allowed: str | None) -> set[str]:
    return {host.strip().strip("[]").lower() for host in (allowed or "").split(",")}
