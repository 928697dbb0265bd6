"""Fills, orders and changes for a spreadsheet."""

from __future__ import annotations

import csv
import io

import httpx
import pytest

from api.app import create_app
from api.web.tables import cell
from rebalancer.config.settings import Settings
from rebalancer.ledger import audit_log
from rebalancer.ledger.queries import exports
from rebalancer.ledger.session import Ledger
from tests.contract.conftest import BEARER
from tests.ledger_rows import add_traded, seeded
from tests.serving import serving


def table(client: httpx.Client, path: str) -> list[dict[str, str]]:
    answer = client.get(path, headers=BEARER).raise_for_status()
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert "attachment" in answer.headers["content-disposition"]
    return list(csv.DictReader(io.StringIO(answer.text)))


def test_every_fill_and_order_is_in_its_table(client: httpx.Client, ledger: Ledger) -> None:
    traded = seeded(ledger)["traded"]
    with ledger.begin() as session:
        add_traded(session, "DU1000002")
    fills = table(client, "/csv/fills")
    assert len(fills) == 4
    assert (fills[0]["at"], fills[0]["quantity"], fills[0]["price"], fills[0]["commission"]) == (
        "2026-03-02T17:00:04+00:00",
        "100",
        "100.01",
        "0.50",
    )
    (order,) = table(client, "/csv/orders?account_id=DU1000001&since=2026-03-02&until=2026-03-02")
    assert (order["event_id"], order["status"], order["limit_price"]) == (str(traded), "Filled", "")
    assert table(client, "/csv/orders?since=2026-03-03") == table(client, "/csv/fills?until=2026-03-01") == []


@pytest.mark.parametrize("size", [1, 2, 3])
def test_tables_of_many_batches_have_each_row_once(
    client: httpx.Client, ledger: Ledger, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    seeded(ledger)
    with ledger.begin() as session:
        add_traded(session, "DU1000002")
    whole = table(client, "/csv/fills")
    monkeypatch.setattr(exports, "BATCH", size)
    assert table(client, "/csv/fills") == whole


def test_no_text_is_a_formula(client: httpx.Client, ledger: Ledger) -> None:
    with ledger.begin() as session:
        audit_log.note(session, '=HYPERLINK("http://evil")', "::1", action="@SUM(A1)", subject="-1", detail={"a": "=1"})
    (row,) = table(client, "/csv/audit")
    assert [row[name][0] for name in ("actor", "action", "subject")] == ["'", "'", "'"]
    assert row["detail"] == '{"a": "=1"}'
    assert cell(-5) == "-5", "a number stays one"


def test_they_are_as_private_as_what_they_hold(app_settings: Settings) -> None:
    for private, answers in ((True, [403, 403, 403]), (False, [200, 200, 403])):
        with serving(create_app(app_settings.changed(api_reads_private=private))) as stranger:
            assert [stranger.get(f"/csv/{name}").status_code for name in ("fills", "orders", "audit")] == answers
