"""The command line on notifications, and the doctor's word on them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable

import pytest
from typer.testing import CliRunner

from rebalancer.cli.main import app
from rebalancer.domain.errors import ConfigurationError
from rebalancer.health import notifications
from rebalancer.ledger.session import Ledger
from tests.integration.notify.conftest import ServicesWith
from tests.integration.notify.ntfy import TOPIC, NtfyServer
from tests.integration.notify.test_delivery import a_post, hurry, route_all, tell_error

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(services: ServicesWith, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command; gives its exit code and its standard output."""
    settings = services().settings
    monkeypatch.setenv("ENV_FILE", os.devnull)
    for name in ("database_url", "redis_url", "accounts_file", "replacement_sets_file"):
        monkeypatch.setenv(name.upper(), str(settings.flat()[name]))

    def run(*arguments: str, urls: str = "") -> tuple[int, str]:
        monkeypatch.setenv("NOTIFY_URLS", urls)
        done = CliRunner().invoke(app, arguments, catch_exceptions=False)
        return done.exit_code, done.stdout

    return run


def test_a_test_message_says_which_target_took_it(run: Run, ntfy: NtfyServer) -> None:
    wrong = ntfy.url.replace(TOPIC, "another-topic")
    ntfy.status = 200
    code, said = run("notify", "test", "--json", urls=f"phone={ntfy.url} mail=ntfy://127.0.0.1:1/{TOPIC}")
    assert code == 1
    phone, mail = json.loads(said)["targets"]
    assert (phone["ok"], mail["ok"]) == (True, False)
    assert "no connection" in mail["error"]
    assert ntfy.titles == ["Rebalancer: test"]
    assert run("notify", "test", urls=ntfy.url) == (0, "ok   ntfy: was taken\n")
    assert "another-topic" not in run("notify", "test", urls=wrong)[1]


def test_without_a_target_the_remedy_is_said(run: Run) -> None:
    with pytest.raises(ConfigurationError, match="NOTIFY_URLS is not set: add it"):
        run("notify", "test")


def test_what_was_told_is_listed(run: Run, services: ServicesWith, ledger: Ledger) -> None:
    tell_error(ledger)
    tell_error(ledger, "DU1000003")
    here = services()
    route_all(here)
    a_post(here).send_next()
    code, said = run("notify", "list", "--json")
    newest, oldest = json.loads(said)
    assert code == 0
    assert newest["notice"]["account_id"] == "DU1000003"
    assert [one["state"] for one in (*newest["tellings"], *oldest["tellings"])] == ["waiting", "sent"]
    assert "Alice" in run("notify", "list")[1]


def test_the_doctor_tells_of_a_target_that_takes_nothing(
    services: ServicesWith, ledger: Ledger, ntfy: NtfyServer
) -> None:
    assert "NOTIFY_URLS is not set" in notifications.check(services(notify_urls=None)).detail
    here = services()
    assert notifications.check(here).detail == "phone: nothing is stuck"
    ntfy.status = 401
    tell_error(ledger)
    route_all(here)
    a_post(here).send_next()
    found = notifications.check(here)
    assert not found.ok
    assert "phone has not taken 1 since" in found.detail
    assert "the token or password in NOTIFY_URLS is wrong" in found.detail
    ntfy.status = 200
    hurry(ledger)
    a_post(here).send_next()
    assert notifications.check(here).ok
