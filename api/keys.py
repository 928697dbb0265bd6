"""The management keys of the settings: several at once while one is exchanged for the next."""

from __future__ import annotations

import hashlib
import hmac
from itertools import pairwise

from rebalancer.config.api_settings import ApiSettings
from rebalancer.domain.actors import FINGERPRINT_LENGTH
from rebalancer.domain.errors import ConfigurationError

LEAST = 16
DIGITS = 39
"""Digits that a key of digits only needs, to be as hard to guess as 32 of hexadecimal."""
WELL_KNOWN = (
    *("changeme", "change-me", "management", "password", "secret", "example", "your-", "your_", "default"),
    *("qwerty", "asdfgh", "letmein"),
)


def matching_key(given: str, keys: tuple[str, ...]) -> str | None:
    """The key that was given; every one is compared, in constant time."""
    found = [key for key in keys if hmac.compare_digest(given.encode(errors="replace"), key.encode())]
    return found[0] if found else None


def fingerprint(key: str) -> str:
    """What stands for a key on record: enough to tell keys apart, nothing to guess from."""
    return hashlib.sha256(b"rebalancer management key " + key.encode()).hexdigest()[:FINGERPRINT_LENGTH]


def holder(key: str, settings: ApiSettings) -> str:
    """Whose key it is, as far as MANAGEMENT_KEY_NAMES says; else its fingerprint."""
    named = dict(zip(settings.management_keys, settings.key_names, strict=False))
    return named.get(key) or fingerprint(key)


def refuse_weak_keys(settings: ApiSettings) -> None:
    """No key that can be guessed, wherever the API listens: a port of this machine has more callers than its owner.

    Raises:
        ConfigurationError: MANAGEMENT_API_KEY holds a weak one.
    """
    remedy = "use a random text, for example from `openssl rand -hex 32`, or `rebalancer keys add` without the setting"
    problems = [
        f"key {number} of MANAGEMENT_API_KEY is {problem}: {remedy}"
        for number, problem in enumerate(map(_weakness, settings.management_keys), start=1)
        if problem
    ]
    if problems:
        raise ConfigurationError(problems)


def _weakness(key: str) -> str | None:
    if len(key) < LEAST:
        return f"shorter than {LEAST} characters"
    if len(set(key)) < LEAST // 2:
        return "too uniform"
    if key.isdigit() and len(key) < DIGITS:
        return f"made of fewer than {DIGITS} digits and nothing else"
    if _in_sequence(key) * 2 >= len(key):
        return "a sequence"
    return "one that is written everywhere" if any(known in key.lower() for known in WELL_KNOWN) else None


def _in_sequence(key: str) -> int:
    """How many characters follow their neighbour in the alphabet, upwards or downwards."""
    return sum(abs(ord(second) - ord(first)) == 1 for first, second in pairwise(key))
