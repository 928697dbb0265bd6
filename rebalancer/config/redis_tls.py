"""TLS towards Redis: a ``rediss://`` URL always means a verified certificate, whoever reads the URL.

Left to themselves the libraries differ: redis-py verifies, while Celery's kombu accepts any certificate when the URL
says nothing about it, and Flower refuses to start. So the URL is completed once, when the settings are read.
"""

from __future__ import annotations

import os
import ssl
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

SCHEME = "rediss"
VERIFY = "ssl_cert_reqs"
FILES = ("ssl_ca_certs", "ssl_certfile", "ssl_keyfile")
"""CA that signed the server's certificate, and our own certificate and key if the server asks for one."""


def verified(url: str) -> str:
    """The URL with verification spelled out.

    Raises:
        ValueError: it switches verification off, has an option that is not known, or names a file that cannot be read.
    """
    parts = urlsplit(url)
    options = _options(url)
    if parts.scheme != SCHEME:
        if options:
            raise ValueError(f"{', '.join(options)} without {SCHEME}://")
        return url
    if options.pop(VERIFY, "required") not in ("required", "CERT_REQUIRED"):
        raise ValueError(f"{VERIFY} may only be required")
    if unknown := options.keys() - set(FILES):
        raise ValueError(f"unknown: {', '.join(sorted(unknown))}")
    for name, path in options.items():
        if not os.access(path, os.R_OK):
            raise ValueError(f"{name} cannot be read")
    others = [(name, text) for name, text in parse_qsl(parts.query) if not name.startswith("ssl_")]
    query = urlencode([*others, *options.items(), (VERIFY, "required")])
    return parts._replace(query=query).geturl()


def celery_options(url: str) -> dict[str, Any] | None:
    """What Celery and Flower want besides a verified URL; ``None`` without TLS."""
    if urlsplit(url).scheme != SCHEME:
        return None
    return _options(url) | {VERIFY: ssl.CERT_REQUIRED}


def _options(url: str) -> dict[str, str]:
    return {name: text for name, text in parse_qsl(urlsplit(url).query) if name.startswith("ssl_")}
