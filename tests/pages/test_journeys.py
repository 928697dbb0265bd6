"""From the button to the fill: a real worker trades with the simulated gateway while Chromium watches."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Page, expect
from redis import Redis

from api.app import create_app
from rebalancer.ledger.session import Ledger
from rebalancer.runner.servers import RunningServer
from tests.conftest import empty
from tests.pages.conftest import enter_key
from tests.serving import serving
from tests.world import KEY, World, until, world

BEARER = {"Authorization": f"Bearer {KEY}"}
SLOW_MS = 60_000


@pytest.fixture(scope="module")
def working(
    tmp_path_factory: pytest.TempPathFactory, postgres: RunningServer, redis_server: RunningServer
) -> Iterator[World]:
    """One world with a worker and the dispatcher; each test takes an account of its own."""
    ledger = Ledger(postgres.url)
    empty(ledger)
    Redis.from_url(redis_server.url).flushall()
    with world(tmp_path_factory.mktemp("world"), ledger, redis_server.url) as made:
        made.start_worker()
        made.start_beat()
        yield made
    ledger.close()


@pytest.fixture(scope="module")
def api(working: World) -> Iterator[httpx.Client]:
    opened = working.settings.changed(api_reads_private=False)
    with serving(create_app(opened)) as client:
        yield client


def orders_seen(working: World) -> int:
    return working.gateway.do(lambda gateway: len(gateway.orders))


def test_a_dry_run_shows_the_plan_and_a_rebalance_the_fills(page: Page, working: World, api: httpx.Client) -> None:
    page.goto(f"{api.base_url}/account/DU1000001")
    enter_key(page, KEY)
    actions = page.get_by_role("group", name="Actions for DU1000001")
    card = page.get_by_role("article", name="DU1000001")
    actions.get_by_role("button", name="Dry run").click()
    expect(card).to_contain_text("$250,000.00", timeout=SLOW_MS)
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("Dry run DU1000001: done, 6 orders proposed, none sent", timeout=SLOW_MS)
    assert orders_seen(working) == 0

    actions.get_by_role("button", name="Rebalance").click()
    page.get_by_role("dialog").get_by_role("button", name="Rebalance").click()
    expect(alert).to_contain_text("Rebalance DU1000001: done, 6 orders sent", timeout=SLOW_MS)
    page.get_by_role("link", name="show it").click()
    expect(page.get_by_role("heading", name="done")).to_be_visible(timeout=SLOW_MS)
    expect(page.get_by_role("table", name="Orders; slippage").get_by_role("row", name="BUY")).to_have_count(6)
    expect(page.locator(".timeline details.order")).to_have_count(6)
    assert orders_seen(working) == 6


def test_the_api_waits_for_the_result(working: World, api: httpx.Client) -> None:
    preview = api.post("/rebalance/DU1000002/dry-run", headers=BEARER, timeout=70)
    assert (preview.status_code, preview.json()["execution_mode"]) == (200, "dry_run")
    done = api.post("/rebalance/DU1000002", headers=BEARER, timeout=70).json()
    assert (done["status"], done["execution_mode"]) == ("success", "live")
    assert [order["symbol"] for order in done["orders"]] == [order["symbol"] for order in preview.json()["orders"]]
    assert isinstance(done["equity_info"]["total_equity"], float)
    held = api.get("/accounts/DU1000002/positions?fresh=true", headers=BEARER, timeout=70).json()
    assert held["source"] == "broker"
    bought = {order["symbol"] for order in done["orders"] if order["action"] == "BUY"}
    assert {one["symbol"] for one in held["positions"]} >= bought
    value = api.get("/accounts/DU1000002/value?fresh=true", headers=BEARER, timeout=70).json()
    assert -2500 < value["gain_today"] < 2500, "an account of 250,000 in a calm market"
    assert value["net_liquidation"] == pytest.approx(done["equity_info"]["total_equity"], rel=0.01)


def test_a_failure_is_an_error_with_its_reason(working: World, api: httpx.Client) -> None:
    url = f"{working.allocations.url}/etf-blend-301-20/raw"
    headers = {"x-api-key": "sandbox"}
    httpx.put(url, json={"status": 503, "body": "maintenance"}, headers=headers).raise_for_status()
    answer = api.post("/rebalance/DU1000003/dry-run", headers=BEARER, timeout=70)
    httpx.delete(url, headers=headers).raise_for_status()
    assert (answer.status_code, answer.json()["status"]) == (200, "error")
    assert "503" in answer.json()["message"]


def test_it_is_ready_while_worker_and_dispatcher_are_at_work(working: World, api: httpx.Client) -> None:
    def broken() -> list[str]:
        return [check["name"] for check in api.get("/readyz").json()["checks"] if not check["ok"]]

    until(lambda: broken() == [], 30, lambda: str(broken()))
