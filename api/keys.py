"""The management keys: several at once while one is exchanged for the next."""

from __future__ import annotations

import hashlib
import hmac
from ipaddress import ip_address

from rebalancer.errors import ConfigurationError
from rebalancer.settings import Settings

LEAST = 16
WELL_KNOWN = ("changeme", "change-me", "management", "password", "secret", "example", "your-", "your_", "default")


def management_keys(settings: Settings) -> tuple[str, ...]:
    """The keys, in the order in which they were written."""
    if settings.management_api_key is None:
        return ()
    parts = settings.management_api_key.get_secret_value().split(",")
    return tuple(part.strip() for part in parts if part.strip())


def matching_key(given: str, keys: tuple[str, ...]) -> str | None:
    """The key that was given; every one is compared, in constant time."""
    found = [key for key in keys if hmac.compare_digest(given.encode(), key.encode())]
    return found[0] if found else None


def fingerprint(key: str) -> str:
    """What stands for a key on record: enough to tell keys apart, nothing to guess from."""
    return hashlib.sha256(b"rebalancer management key " + key.encode()).hexdigest()[:12]


def refuse_weak_keys(settings: Settings) -> None:
    """Whoever can be reached from other machines needs keys that cannot be guessed.

    Raises:
        ConfigurationError: the API is to listen beyond this machine without a key, or with a weak one.
    """
    if is_loopback(settings.api_host):
        return
    keys = management_keys(settings)
    where = f"API_HOST = {settings.api_host} can be reached from other machines"
    remedy = "set MANAGEMENT_API_KEY to a random text, for example from `openssl rand -hex 32`"
    if not keys:
        raise ConfigurationError([f"{where}, but there is no key: {remedy}"])
    problems = [
        f"{where}, but key {number} of MANAGEMENT_API_KEY is {problem}: {remedy}"
        for number, problem in enumerate(map(_weakness, keys), start=1)
        if problem
    ]
    if problems:
        raise ConfigurationError(problems)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _weakness(key: str) -> str | None:
    if len(key) < LEAST:
        return f"shorter than {LEAST} characters"
    if len(set(key)) < LEAST // 2:
        return "too uniform"
    return "one that is written everywhere" if any(known in key.lower() for known in WELL_KNOWN) else None
