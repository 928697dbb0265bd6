"""Where targets come from, as the command line, the page and the doctor tell it."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import text
from typer.testing import CliRunner, Result

from api.app import create_app
from rebalancer.cli.main import app
from rebalancer.config.settings import Settings
from rebalancer.domain.errors import RequestRefused
from rebalancer.health.doctor import examine
from rebalancer.ledger.queries import signals
from rebalancer.ledger.session import Ledger
from rebalancer.ledger.sources import Found
from rebalancer.services import Services
from rebalancer.sources.watch import SourceWatch
from tests.conftest import ROOT
from tests.contract.conftest import BEARER
from tests.serving import serving

FOUR = "Symbol,Weight,As of\nA,25%,2026-11-20\nB,25%,2026-11-20\nC,25%,2026-11-20\nD,25%,2026-11-20\n"
ONE = "Symbol,Weight,As of\nA,100%,2026-11-21\n"


@dataclass
class Desk:
    folder: Path
    settings: Settings
    ledger: Ledger

    def write(self, table: str) -> Found | None:
        """Change the table, and look at it."""
        path = self.folder / "targets.csv"
        path.write_text(table, encoding="utf-8")
        os.utime(path, (time.time() - 60,) * 2)
        services = Services.of(self.settings)
        return SourceWatch(self.settings, self.ledger, services.accounts).look_at(services.accounts().sources["mine"])

    def page(self, path: str) -> str:
        with serving(create_app(self.settings)) as client:
            return client.get(path, headers=BEARER | {"Accept": "text/html"}).text

    def remarks(self) -> list[str]:
        with serving(create_app(self.settings)) as client:
            found: list[str] = client.get("/health/detailed", headers=BEARER).json()["remarks"]
        return found


@pytest.fixture
def desk(app_settings: Settings, ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    file = tmp_path / "accounts.yaml"
    rows = (ROOT / "accounts.yaml").read_text().replace("etf-blend-301-20", "mine", 2)
    file.write_text(f"{rows}\nsources:\n  mine: {{file: targets.csv}}\n  mnie: {{url: 'https://example.org/key/a'}}\n")
    settings = app_settings.changed(accounts_file=file, targets_max_age_days=3660)
    monkeypatch.setenv("ENV_FILE", os.devnull)
    for name in ("database_url", "redis_url", "accounts_file", "replacement_sets_file"):
        monkeypatch.setenv(name.upper(), str(settings.flat()[name]))
    return Desk(tmp_path, settings, ledger)


def typed(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["sources", *arguments])


def listed() -> dict[str, dict[str, Any]]:
    done = typed("--json")
    assert done.exit_code == 0, done.exception
    return {row["strategy"]: row for row in json.loads(done.stdout)}


def test_a_source_is_listed_with_what_was_read_of_it(desk: Desk) -> None:
    assert (listed()["mine"]["state"], listed()["mine"]["read_at"]) == ("new", None)
    desk.write(FOUR)
    row = listed()["mine"]
    assert (row["kind"], row["state"], row["as_of"], row["symbols"]) == ("file", "good", "2026-11-20", 4)
    assert row["place"] == str(desk.folder / "targets.csv")
    assert (listed()["mnie"]["followed"], listed()["mnie"]["place"]) == (False, "example.org")
    shown = typed().stdout
    assert "no account that is traded follows it" in shown
    assert "key" not in shown


def test_what_waits_is_shown_and_accepted_on_the_command_line(desk: Desk, ledger: Ledger) -> None:
    desk.write(FOUR)
    assert desk.write(ONE) is Found.REFUSED
    shown = typed().stdout
    assert "refused: allocations_shrunk: 1 symbols are left of 4" in shown
    assert "mine waits for you: A 25.0 % -> 100.0 %; B 25.0 % -> 0.0 %" in shown
    done = typed("accept", "mine", "--json")
    assert done.exit_code == 0, done.exception
    told = json.loads(done.stdout)
    assert (told["message"], told["weights"]) == ("accepted: 1 symbols, 2 events", {"A": "1"})
    with ledger.begin() as session:
        (signal,) = signals.find_signals(session, 10)
        assert [event.account_id for event in signal.events] == ["DU1000001", "DU1000002"]
        audited = session.execute(text("SELECT action, subject FROM audit")).all()
    assert [tuple(one) for one in audited] == [("accept-source", "mine")]
    with pytest.raises(RequestRefused, match="nothing of mine waits"):
        CliRunner().invoke(app, ["sources", "accept", "mine"], catch_exceptions=False)


def test_what_waits_is_listed_and_accepted_over_http(desk: Desk, ledger: Ledger) -> None:
    desk.write(FOUR)
    desk.write(ONE)
    with serving(create_app(desk.settings)) as client:
        client.headers.update(BEARER)
        mine, other = client.get("/sources").json()
        assert (mine["strategy"], mine["state"], mine["changes"][0]) == ("mine", "refused", "A 25.0 % -> 100.0 %")
        assert (other["followed"], other["place"], other["read_at"]) == (False, "example.org", None)
        done = client.post("/sources/mine/accept")
        assert (done.status_code, done.json()["weights"]) == (200, {"A": "1"})
        assert client.get("/sources").json()[0]["state"] == "good"
        assert "nothing of mine waits" in client.post("/sources/mine/accept").text
        assert client.post("/sources/no-such/accept").status_code == 422
        client.headers.pop("Authorization")
        assert client.post("/sources/mine/accept").status_code == 403
    with ledger.begin() as session:
        audited = session.execute(text("SELECT action, subject FROM audit ORDER BY id LIMIT 1")).one()
    assert tuple(audited) == ("accept-source", "mine")


def test_prometheus_hears_of_tables_that_somebody_follows(desk: Desk) -> None:
    def told() -> dict[tuple[str, str], float]:
        with serving(create_app(desk.settings)) as client:
            families = text_string_to_metric_families(client.get("/metrics", headers=BEARER).text)
        samples = [one for family in families if "_source_" in family.name for one in family.samples]
        return {(one.name.removeprefix("rebalancer_source_"), one.labels["strategy"]): one.value for one in samples}

    assert told() == {("good", "mine"): 0, ("read_timestamp_seconds", "mine"): 0}
    desk.write(FOUR)
    good = told()
    assert good["good", "mine"] == 1
    assert abs(good["read_timestamp_seconds", "mine"] - time.time()) < 60
    desk.write(ONE)
    assert told()["good", "mine"] == 0


def test_without_sources_nothing_is_shown(desk: Desk) -> None:
    path = desk.settings.files.accounts_file
    path.write_text((ROOT / "accounts.yaml").read_text())
    assert "all strategies' targets come from the allocations API" in typed().stdout
    assert "Tables of targets" not in desk.page("/desk/signals")
    assert "Where targets come from" not in desk.page("/desk/settings")
    with serving(create_app(desk.settings)) as client:
        assert client.get("/sources", headers=BEARER).json() == []
        assert "_source_" not in client.get("/metrics", headers=BEARER).text


def test_the_page_says_where_targets_come_from(desk: Desk) -> None:
    desk.write(FOUR)
    desk.write(ONE)
    page = desk.page("/desk/signals")
    assert "Tables of targets" in page
    assert "rebalancer sources accept mine" in page
    assert "allocations_shrunk: 1 symbols are left of 4" in page
    settings = desk.page("/desk/settings")
    assert "<strong>mnie</strong>: url example.org" in settings
    assert "/key/a" not in page + settings


def test_the_first_line_remarks_a_table_that_is_not_followed(desk: Desk, ledger: Ledger) -> None:
    assert [one.partition(": ")[2] for one in desk.remarks()] == ["nobody has read them yet"]
    desk.write(FOUR)
    assert desk.remarks() == []
    desk.write(ONE)
    assert "if it is meant: `rebalancer sources accept mine`" in desk.remarks()[0]
    desk.write(FOUR)
    assert desk.remarks() == []
    with ledger.begin() as session:
        session.execute(text("UPDATE sources SET read_at = now() - interval '16 minutes'"))
    assert "beat does not look" in desk.remarks()[0]


def test_the_doctor_tries_each_source(desk: Desk) -> None:
    desk.write(FOUR)
    found = {check.name: check for check in examine()}
    mine = found["targets of mine"]
    assert (mine.ok, "4 symbols, 100.0 %, as of 2026-11-20, from" in mine.detail) == (True, True)
    assert "did you mean mine?" in found["targets of mnie"].detail
    assert "cannot be read without ALLOCATIONS_API_KEY" in found["targets of etf-blend-301-20"].detail
    desk.write("Symbol,Weight\nA,60\n")
    wrong = {check.name: check for check in examine()}["targets of mine"]
    assert (wrong.ok, "say whether they are percent" in wrong.detail) == (False, True)


def test_who_follows_tables_only_needs_no_key_of_a_provider(desk: Desk) -> None:
    path = desk.settings.files.accounts_file
    path.write_text(path.read_text().replace("strategy_name: etf-blend-301-20", "strategy_name: mine"))
    names = {check.name for check in examine()}
    assert {"REALTIME_API_KEY", "ALLOCATIONS_API_KEY"} & names == set()
    assert "MANAGEMENT_API_KEY" in names
