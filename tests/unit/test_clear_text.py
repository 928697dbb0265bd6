"""Nothing that matters leaves this machine unencrypted, unless its owner names the host to which it may."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from rebalancer.config.clear_text import is_here
from rebalancer.config.settings import Settings

SECRET = "hunter2-hunter2-hunter2"

LEAVING: dict[str, tuple[dict[str, Any], str, str]] = {
    "targets": ({"allocations_base_url": "http://api.example.org/v1"}, "allow_clear_allocations", "api.example.org"),
    "targets of a name without a dot": ({"allocations_base_url": "http://api/v1"}, "allow_clear_allocations", "api"),
    "targets behind a user": (
        {"allocations_base_url": f"http://127.0.0.1:{SECRET}@evil.example/v1"},
        "allow_clear_allocations",
        "evil.example",
    ),
    "signals from Ably": ({"realtime_tls": False}, "allow_clear_realtime", "Ably's own host"),
    "signals from elsewhere": (
        {"realtime_tls": False, "realtime_endpoint": "realtime.example.org:8080"},
        "allow_clear_realtime",
        "realtime.example.org",
    ),
    "queue": ({"redis_url": f"redis://:{SECRET}@10.0.0.5:6379/0"}, "allow_clear_redis", "10.0.0.5"),
    "queue named in the query": ({"redis_url": "redis:///0?host=10.0.0.5"}, "allow_clear_redis", "10.0.0.5"),
    "queue by IPv6": ({"redis_url": "redis://[fd00::5]/0"}, "allow_clear_redis", "fd00::5"),
    "ledger": ({"database_url": f"postgresql://u:{SECRET}@db/x"}, "allow_clear_database", "db"),
    "ledger, as libpq likes it": ({"database_url": "postgresql:///x?host=db&port=1"}, "allow_clear_database", "db"),
    "ledger by address": ({"database_url": "postgresql://localhost/x?hostaddr=10.1.1.1"}, "allow_clear_database", ""),
    "ledger, one of two": ({"database_url": "postgresql:///x?host=/run,db.example"}, "allow_clear_database", ""),
    "ledger, encrypted for anybody": (
        {"database_url": "postgresql://db/x?sslmode=require"},
        "allow_clear_database",
        "",
    ),
    "ledger, if it so likes": ({"database_url": "postgresql://db/x?sslmode=prefer"}, "allow_clear_database", "db"),
    "ledger of a service file": ({"database_url": "postgresql:///x?service=mine"}, "allow_clear_database", ""),
    "messages": ({"notify_urls": "phone=ntfy://10.0.0.7/topic"}, "allow_clear_notifications", "10.0.0.7"),
    "messages as JSON": ({"notify_urls": f"json://u:{SECRET}@h.example/x"}, "allow_clear_notifications", "h.example"),
    "messages to a log": ({"notify_urls": "rsyslog://logs.example"}, "allow_clear_notifications", "logs.example"),
    "mail": (
        {"notify_urls": f"mailto://u:{SECRET}@example.org?smtp=mx.example.org"},
        "allow_clear_notifications",
        "mx.example.org",
    ),
    "mail that could be safe": (
        {"notify_urls": f"mailtos://u:{SECRET}@example.org?mode=insecure"},
        "allow_clear_notifications",
        "example.org",
    ),
    "signs of life": ({"heartbeat_url": f"http://hc.example/{SECRET}"}, "allow_clear_notifications", "hc.example"),
}


def refusal(values: dict[str, Any]) -> str:
    with pytest.raises(ValidationError) as refused:
        Settings.from_flat(values)
    return str(refused.value)


@pytest.mark.parametrize(("values", "allow", "host"), LEAVING.values(), ids=LEAVING.keys())
def test_it_is_refused_with_host_remedy_and_exception(values: dict[str, Any], allow: str, host: str) -> None:
    said = refusal(values)
    assert f"in clear text to {host}" in said
    assert allow.upper() in said
    assert "use " in said or "add " in said or "leave it out" in said
    assert SECRET not in said


@pytest.mark.parametrize(
    ("values", "allow", "host"),
    [one for one in LEAVING.values() if one[2]],
    ids=[n for n, o in LEAVING.items() if o[2]],
)
def test_an_exception_is_for_the_host_that_it_names(values: dict[str, Any], allow: str, host: str) -> None:
    if " " not in host:
        Settings.from_flat(values | {allow: f"other.example, {host.upper()}"})
    refusal(values | {allow: "other.example"})
    for another in {one[1] for one in LEAVING.values()} - {allow}:
        refusal(values | {another: host if " " not in host else "x"})


STAYING: dict[str, dict[str, Any]] = {
    "targets of the sandbox": {"allocations_base_url": "http://127.0.0.1:8090"},
    "targets over TLS": {"allocations_base_url": "https://api.example.org"},
    "signals of the sandbox": {"realtime_tls": False, "realtime_endpoint": "localhost:8080"},
    "queue by a socket": {"redis_url": "unix:///run/redis.sock"},
    "queue of this machine": {"redis_url": "redis://[::1]:6379/0"},
    "queue over TLS": {"redis_url": "rediss://cache.example/0"},
    "ledger by a socket": {"database_url": "postgresql://me@/x?host=/run/postgresql"},
    "ledger of this machine": {"database_url": "postgresql://me@127.0.0.2/x"},
    "ledger over TLS": {"database_url": "postgresql://me@db/x?sslmode=verify-full"},
    "ledger over TLS, name not checked": {"database_url": "postgresql://me@db/x?sslmode=verify-ca"},
    "messages to this machine": {"notify_urls": "ntfy://localhost:8080/topic json://127.0.0.1/x"},
    "messages over TLS": {"notify_urls": "a=ntfys://h.example/t b=jsons://h/x c=tgram://123456789:abcdefg_hijk/12"},
    "messages to ntfy's own": {"notify_urls": "ntfy://topic"},
    "mail over TLS": {"notify_urls": "mailtos://u:p@example.org b=mailto://u:p@gmail.com"},
    "signs of life over TLS": {"heartbeat_url": "https://hc.example/x"},
}


@pytest.mark.parametrize("values", STAYING.values(), ids=STAYING.keys())
def test_what_stays_here_or_is_encrypted_is_accepted(values: dict[str, Any]) -> None:
    Settings.from_flat(values)


@pytest.mark.parametrize(
    ("host", "here"),
    [
        ("", True),
        ("/run/postgresql", True),
        ("localhost", True),
        ("LOCALHOST.", True),
        ("ably.localhost", True),
        ("127.8.8.8", True),
        ("[::1]", True),
        ("::ffff:127.0.0.1", True),
        ("127.1", False),
        ("2130706433", False),
        ("0.0.0.0", False),
        ("localhost.example.org", False),
        ("127.0.0.1.example.org", False),
        ("notlocalhost", False),
        ("host.docker.internal", False),
    ],
)
def test_only_a_plain_name_or_address_of_this_machine_counts(host: str, here: bool) -> None:
    assert is_here(host) is here


def test_what_libpqs_environment_adds_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGHOST", "db.example")
    assert "in clear text to db.example" in refusal({"database_url": "postgresql:///x"})
    monkeypatch.setenv("PGSSLMODE", "verify-full")
    Settings.from_flat({"database_url": "postgresql:///x"})


@pytest.mark.parametrize("url", ["windows://[", "ntfy://[", "json://[::1", "mailto://%", "tgram://", "x://"])
def test_a_url_on_which_the_library_stumbles_is_refused_like_any_other(url: str) -> None:
    said = refusal({"notify_urls": f"phone={url}"})
    assert "NOTIFY_URLS: target 1" in said
    assert url not in said
