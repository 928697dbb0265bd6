"""A rediss:// URL always means a verified certificate."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from kombu.utils.url import parse_url

from rebalancer.config.redis_tls import celery_options, verified

READABLE = Path(__file__)


def test_a_url_that_says_nothing_is_verified_by_celery_too() -> None:
    url = verified("rediss://:p%40ss@db:6380/2?socket_timeout=3")
    assert url == "rediss://:p%40ss@db:6380/2?socket_timeout=3&ssl_cert_reqs=required"
    assert parse_url(url)["ssl"] == {"ssl_cert_reqs": ssl.CERT_REQUIRED} == celery_options(url)
    assert verified(url) == url


def test_certificates_are_handed_on() -> None:
    options = celery_options(verified(f"rediss://db?ssl_ca_certs={READABLE}&ssl_cert_reqs=CERT_REQUIRED"))
    assert options == {"ssl_ca_certs": str(READABLE), "ssl_cert_reqs": ssl.CERT_REQUIRED}


@pytest.mark.parametrize("url", ["redis://:secret@localhost:6379/0", "unix:///run/redis.sock?db=1"])
def test_other_urls_stay_as_they_are(url: str) -> None:
    assert verified(url) == url
    assert celery_options(url) is None


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("rediss://db?ssl_cert_reqs=none", "may only be required"),
        ("rediss://db?ssl_cert_reqs=optional", "may only be required"),
        ("rediss://db?ssl_check_hostname=false", "unknown: ssl_check_hostname"),
        ("rediss://db?ssl_ca_certs=/nowhere/ca.pem", "ssl_ca_certs cannot be read"),
        (f"redis://db?ssl_ca_certs={READABLE}", "without rediss://"),
    ],
)
def test_whatever_weakens_it_is_refused(url: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        verified(url)
