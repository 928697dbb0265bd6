"""Letters of any month or week, on the command line and as PDF on the page."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner, Result

from api.app import create_app
from rebalancer.cli.main import app
from rebalancer.config.settings import Settings
from rebalancer.domain.errors import RequestRefused, UnknownAccount
from rebalancer.ledger.session import Ledger
from tests.contract.conftest import BEARER
from tests.integration.ledger.test_costs import traded
from tests.ledger_rows import NOON
from tests.serving import serving

HTML = BEARER | {"Accept": "text/html"}
Type = Callable[..., Result]


@pytest.fixture
def typed(app_settings: Settings, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> Type:
    """Types a command where an account has traded in March."""
    with ledger.begin() as session:
        traded(session)
    monkeypatch.setenv("ENV_FILE", os.devnull)
    for name in ("database_url", "redis_url", "accounts_file", "replacement_sets_file"):
        monkeypatch.setenv(name.upper(), str(app_settings.flat()[name]))
    return lambda *arguments: CliRunner().invoke(app, ["letter", *arguments])


def test_a_letter_is_read_at_home_with_amounts(typed: Type) -> None:
    shown = typed("--month", "2026-03").stdout
    assert "Letter of March 2026" in shown
    for told in ("DU1000001", "76,772.68 USD", "buy SPY", "spread", "together"):
        assert told in shown
    week = typed("--week", f"{NOON:%Y-%m-%d}", "--account", "DU1000001").stdout
    assert "Letter of March 2 to March 8, 2026" in week
    (told,) = json.loads(typed("--month", "2026-03", "--json").stdout)["accounts"].values()
    assert (told["orders"], told["costs"]["orders"]) == (2, 2)


def test_the_last_month_is_meant_by_default(typed: Type) -> None:
    last = datetime.now(UTC).date().replace(day=1) - timedelta(days=1)
    assert f"{last:%B %Y}" in typed().stdout
    assert typed("--month", "2020-01").stdout.strip() == "Nothing is on record of January 2020."


def test_it_is_written_as_pdf(typed: Type, tmp_path: Path) -> None:
    file = tmp_path / "march.pdf"
    done = typed("--month", "2026-03", "--pdf", str(file))
    assert (done.exit_code, file.read_bytes()[:5]) == (0, b"%PDF-")
    nowhere = typed("--month", "2026-03", "--pdf", str(tmp_path / "none" / "march.pdf"))
    assert "cannot be written: No such file or directory; name another one with --pdf" in str(nowhere.exception)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--month", "2026-3"), "'2026-3' is neither a month as in 2026-10"),
        (("--month", "2026-03-01"), "--month takes a month"),
        (("--week", "2026-03"), "--week a day"),
        (("--week", "2026-03-02", "--month", "2026-03"), "ask for one"),
    ],
)
def test_what_is_no_letter_is_refused_with_the_remedy(typed: Type, arguments: tuple[str, ...], told: str) -> None:
    refused = typed(*arguments)
    assert isinstance(refused.exception, RequestRefused)
    assert told in str(refused.exception)
    assert isinstance(typed("--account", "DU9").exception, UnknownAccount)


def test_the_page_has_it_as_pdf_for_who_may_read(typed: Type, client: httpx.Client, app_settings: Settings) -> None:
    del typed
    found = client.get("/letters/2026-03.pdf", headers=BEARER).raise_for_status()
    assert (found.headers["content-type"], found.content[:5]) == ("application/pdf", b"%PDF-")
    assert found.headers["content-disposition"] == 'attachment; filename="letter-2026-03.pdf"'
    answers = [client.get(f"/letters/{name}.pdf", headers=BEARER) for name in ("2020-01", "march")]
    assert [one.status_code for one in answers] == [404, 404]
    assert [one.json()["detail"].partition(":")[0] for one in answers] == [
        "Nothing is on record of January 2020",
        "No letter march",
    ]
    with serving(create_app(app_settings)) as stranger:
        assert stranger.get("/letters/2026-03.pdf").status_code == 403


@pytest.mark.parametrize(("weekly", "monthly", "count"), [("off", "off", 0), ("sat 08:00", "08:00", 24)])
def test_the_money_page_offers_the_letters_that_are_sent(
    app_settings: Settings, weekly: str, monthly: str, count: int
) -> None:
    with serving(create_app(app_settings.changed(letter_weekly=weekly, letter_monthly=monthly))) as client:
        shown = client.get("/money", headers=HTML).raise_for_status().text
    assert shown.count('href="/letters/') == count
    assert ("Letters" in shown) is bool(count)
