"""What the first page says of accounts that are called by a name, that rest, or that are halted."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from api.app import create_app
from rebalancer.config.settings import Settings
from rebalancer.ledger import halts
from rebalancer.ledger.session import Ledger
from tests.contract.conftest import BEARER
from tests.ledger_rows import STRATEGY, add_traded, add_waiting
from tests.serving import serving

BROWSER = BEARER | {"Accept": "text/html"}


@pytest.fixture
def three(app_settings: Settings, tmp_path: Path) -> Iterator[httpx.Client]:
    file = tmp_path / "accounts.yaml"
    entries = [
        f"  - {{account_id: {account}, type: paper, strategy_name: {STRATEGY}{more}}}"
        for account, more in (("DU1", ", name: Family trust"), ("DU2", ", enabled: false"), ("DU3", ""))
    ]
    file.write_text("\n".join(["accounts:", *entries, ""]))
    with serving(create_app(app_settings.changed(accounts_file=file))) as client:
        yield client


def row(client: httpx.Client, account_id: str) -> str:
    """Text of an account's row, its cells apart by bars."""
    page = client.get("/", headers=BROWSER).text
    found = re.search(rf'<tr id="row-{account_id}">(.*?)</tr>', page)
    assert found is not None
    return re.sub(r"<[^>]+>", "", found[1].replace("</td>", "|").replace("</th>", "|").replace("<small>", "/"))


def test_an_account_is_called_by_its_name_and_one_that_rests_has_no_button(three: httpx.Client) -> None:
    assert row(three, "DU1") == f"Family trust/DU1 {STRATEGY}|–|–|–|never|next signal|idle|Dry run|"  # noqa: RUF001
    assert row(three, "DU2") == f"DU2/{STRATEGY}|–|–|–|never|–|disabled||"  # noqa: RUF001
    page = three.get("/account/DU2", headers=BROWSER).text
    assert "nothing runs" in page
    assert "dry run" not in page.lower()


def test_what_is_halted_and_what_waits_for_a_decision_say_so(three: httpx.Client, ledger: Ledger) -> None:
    with ledger.begin() as session:
        halts.halt(session, "DU1", "travelling", "me")
        add_traded(session, "DU1")
        add_waiting(session, "DU3")
    assert row(three, "DU1").endswith("|halted|Dry run|")
    assert row(three, "DU1").startswith(f"Family trust/DU1 {STRATEGY}|$100,000.00|–|20.0 %|2026-03-02")  # noqa: RUF001
    assert row(three, "DU3").endswith("|when decided|held|Dry run|")
    page = three.get("/", headers=BROWSER).text
    assert "1 of 2 accounts known" in page
    assert re.search(r'<h2 id="health-title">Not ready: [^<]* · Halted · 1 plan waits for you</h2>', page)
