"""A changed setting is applied or told: each process says what it works with, and what a start today would change."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from rebalancer.config.settings import Settings, load_settings
from rebalancer.health import settings_in_use
from rebalancer.health.settings_in_use import SettingsInUse
from rebalancer.ledger import heartbeats
from rebalancer.ledger.heartbeats import API, LISTENER, WORKER, ComponentView
from rebalancer.ledger.presence import Presence
from rebalancer.ledger.session import Ledger
from rebalancer.runner.ports import free_port
from tests.programs import Started
from tests.world import until


@pytest.fixture
def file(app_settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The settings file of a deployment."""
    path = tmp_path / "settings.env"
    monkeypatch.setenv("ENV_FILE", str(path))
    for name in ("database_url", "redis_url", "accounts_file", "replacement_sets_file"):
        monkeypatch.setenv(name.upper(), str(app_settings.flat()[name]))
    (tmp_path / "key").write_text("first-key-of-the-provider")
    monkeypatch.setenv("ALLOCATIONS_API_KEY_FILE", str(tmp_path / "key"))
    path.write_text("MAX_ORDER_USD=5000\n")
    return path


@pytest.fixture
def worker(file: Path, ledger: Ledger) -> SettingsInUse:
    """What a worker says that began with the file as it is now."""
    in_use = SettingsInUse(load_settings(), look_every_s=0)
    tell(ledger, in_use)
    return in_use


def tell(ledger: Ledger, in_use: SettingsInUse) -> None:
    with ledger.begin() as session:
        heartbeats.seen(session, WORKER, "h/7/1", in_use.report())


def seen(ledger: Ledger) -> list[ComponentView]:
    with ledger.begin() as session:
        return heartbeats.known(session)


def problem(ledger: Ledger) -> str:
    """What the doctor says, reading the settings now."""
    found = settings_in_use.check(settings_in_use.processes(seen(ledger)), load_settings())
    return "" if found.ok else found.detail


def test_a_process_with_the_settings_as_they_are_is_well(worker: SettingsInUse, ledger: Ledger) -> None:
    tell(ledger, worker)
    assert problem(ledger) == ""


def test_an_edit_that_a_process_has_not_read_is_told_by_name(worker: SettingsInUse, file: Path, ledger: Ledger) -> None:
    """An editor that puts a new file in the place of the old one is no exception."""
    (new := file.with_suffix(".new")).write_text("MAX_ORDER_USD=900\n# a remark\nORDER_TYPE=LMT\n")
    new.replace(file)
    tell(ledger, worker)
    assert "works without the change of MAX_ORDER_USD, ORDER_TYPE: restart it" in problem(ledger)
    tell(ledger, SettingsInUse(load_settings(), look_every_s=0))
    assert problem(ledger) == ""


def test_a_key_that_was_exchanged_is_told_without_its_value(worker: SettingsInUse, file: Path, ledger: Ledger) -> None:
    (file.parent / "key").write_text("second-key-of-the-provider")
    tell(ledger, worker)
    assert "works without the change of ALLOCATIONS_API_KEY" in problem(ledger)
    assert "-key-of-the-provider" not in str([one.detail for one in seen(ledger)])


def test_an_edit_that_would_be_refused_is_told_before_a_restart(
    worker: SettingsInUse, file: Path, ledger: Ledger
) -> None:
    before = file.read_text()
    file.write_text("MAX_ORDER_USD=many\n")
    tell(ledger, worker)
    (one,) = settings_in_use.processes(seen(ledger))
    assert settings_in_use.older([one])[0].startswith("worker (since ")
    assert f"would not start again: {file}:1: MAX_ORDER_USD = 'many' is refused" in settings_in_use.older([one])[0]
    file.write_text(before)
    tell(ledger, worker)
    assert problem(ledger) == ""


def test_another_environment_than_the_doctors_is_told(
    worker: SettingsInUse, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What Compose would hand over today and the running container does not have."""
    monkeypatch.setenv("IB_PORT", "4004")
    assert "worker: other trading settings than this command reads" in problem(ledger)
    assert "docker compose up --detach" in problem(ledger)


def test_page_and_health_show_each_process_and_who_works_with_older_settings(
    worker: SettingsInUse, file: Path, ledger: Ledger, client: httpx.Client
) -> None:
    file.write_text("MAX_ORDER_USD=900\n")
    tell(ledger, worker)
    (one,) = client.get("/health/detailed").json()["processes"]
    assert (one["name"], one["host"], one["changed"], one["refused"]) == ("worker", "h/7/1", ["MAX_ORDER_USD"], [])
    assert one["mark"] in (page := client.get("/", headers={"Accept": "text/html"}).text)
    assert "works without the change of MAX_ORDER_USD: restart it" in page


def test_who_was_silent_for_long_or_is_of_an_older_release_says_nothing(ledger: Ledger) -> None:
    with ledger.begin() as session:
        heartbeats.seen(session, WORKER, "h/8/1", {"gateway": "connected"})
    assert settings_in_use.processes(seen(ledger)) == []


def test_a_process_signs_on_and_off(ledger: Ledger) -> None:
    with Presence(ledger, LISTENER, "h/9/1", lambda: {"x": 1}):
        until(lambda: [(one.name, one.detail) for one in seen(ledger)] == [(LISTENER, {"x": 1})])
    assert seen(ledger) == []


@pytest.fixture
def api(file: Path) -> Iterator[Started]:
    """The API as a process."""
    environment = {**os.environ, "MANAGEMENT_API_KEY": "a-key-for-the-tests-of-this"}
    process = Started(("-m", "api", "--port", str(free_port())), environment)
    yield process
    process.terminate()
    process.wait(20)


def test_the_api_says_what_it_works_with(api: Started, ledger: Ledger) -> None:
    until(lambda: [one.name for one in settings_in_use.processes(seen(ledger))] == [API], 30)
    api.terminate()
    assert api.wait(20) == 0
    assert seen(ledger) == []
