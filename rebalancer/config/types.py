"""Types of settings, and what they check beyond a range."""

from __future__ import annotations

import re
from typing import Annotated, TypeVar
from urllib.parse import quote, unquote, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from rebalancer.config.redis_tls import verified

S = TypeVar("S", bound=SecretStr)


def _printable(secret: S) -> S:
    """Refuse what cannot travel in an HTTP header: there the library's error message would quote the key."""
    text = secret.get_secret_value()
    if not (text.isascii() and text.isprintable() and " " not in text):
        raise ValueError("not printable ASCII")
    return secret


def _base_url(url: str) -> str:
    """A URL without its last slash."""
    if not urlsplit(url).hostname:
        raise ValueError("no host")
    return _url(url).rstrip("/")


def _url(url: str) -> str:
    """Refuse what cannot be taken apart, or has an impossible port: ``urlsplit`` raises ``ValueError``."""
    if urlsplit(url).port == 0:
        raise ValueError("port 0")
    return url


def _with_driver(url: str) -> str:
    """A URL that names the driver: of ``postgresql://`` alone SQLAlchemy would choose one that is not installed."""
    return url if url.startswith("postgresql+") else url.replace("postgresql://", "postgresql+psycopg2://", 1)


def _upper(text: object) -> object:
    return text.upper() if isinstance(text, str) else text


def _lower(text: object) -> object:
    return text.lower() if isinstance(text, str) else text


class SecretUrls(SecretStr):
    """URLs of which every telling part is a secret too: topics, tokens, passwords, but no ordinary host."""

    def texts(self) -> set[str]:
        """The URLs, and their parts as written and as decoded."""
        found = re.findall(r"[a-z][a-z0-9+.-]*://[^\s]+", self.get_secret_value(), re.IGNORECASE)
        urls = {url.rstrip(",") for url in found}
        parts = {part for url in urls for part in re.split(r"[/:@?&=,]+", url.partition("://")[2])}
        telling = {part for part in parts if len(part) >= _TELLING and not _HOST.fullmatch(part)}
        return {*urls, *telling, *map(unquote, telling)}


class SecretPairs(SecretStr):
    """Secrets by name, ``name=secret`` separated by commas."""

    def by_name(self) -> dict[str, str]:
        """Each secret.

        Raises:
            ValueError: one has no name, is short, or two have the same; says which, never what.
        """
        found: dict[str, str] = {}
        for number, part in enumerate(self.get_secret_value().split(","), 1):
            name, equals, secret = part.strip().partition("=")
            if not name or not equals or len(secret) < _SHORTEST:
                raise ValueError(f"entry {number} is not of the form name=secret, with {_SHORTEST} characters or more")
            if name in found:
                raise ValueError(f"two secrets are called {name}")
            found[name] = secret
        return found

    def texts(self) -> set[str]:
        """The whole, and each secret alone."""
        parts = {part.partition("=")[2].strip() for part in self.get_secret_value().split(",")}
        return {self.get_secret_value(), *(part for part in parts if part)}


_SHORTEST = 16
_TELLING = 6
_HOST = re.compile(r"localhost|([0-9]{1,3}\.){3}[0-9]{1,3}|([a-z0-9-]+\.)+[a-z]{2,6}", re.IGNORECASE)
Capitals = BeforeValidator(_upper)
SmallLetters = BeforeValidator(_lower)
Secrets = Annotated[SecretPairs, AfterValidator(_printable)]
Secret = Annotated[SecretStr, AfterValidator(_printable)]
HttpUrl = Annotated[str, Field(pattern=r"^https?://[^\s/?#]+[^\s?#]*$"), AfterValidator(_base_url)]
DatabaseUrl = Annotated[
    str, Field(pattern=r"^postgresql(\+psycopg2)?://\S+$"), AfterValidator(_url), AfterValidator(_with_driver)
]
RedisUrl = Annotated[
    str, Field(pattern=r"^(rediss?|redis\+socket|unix)://\S+$"), AfterValidator(_url), AfterValidator(verified)
]
Port = Annotated[int, Field(ge=1, le=65535)]


def secret_texts(value: SecretStr | str) -> set[str]:
    """What must not be shown of a value: a secret itself, or the password inside a URL, as written and as decoded."""
    if isinstance(value, SecretUrls | SecretPairs):
        return value.texts()
    if isinstance(value, SecretStr):
        return {value.get_secret_value()}
    password = urlsplit(value).password
    return {password, unquote(password)} if password else set()


def with_password(url: object, password: SecretStr | str) -> object:
    """A URL with the password in it. One that has one already, and what is no URL, are returned as they are, for their
    own checks to refuse.
    """
    try:
        known = urlsplit(str(url))
    except ValueError:
        return url
    if known.password:
        return url
    secret = password.get_secret_value() if isinstance(password, SecretStr) else password
    user, _, place = known.netloc.rpartition("@")
    return known._replace(netloc=f"{user}:{quote(secret, safe='')}@{place}").geturl()
