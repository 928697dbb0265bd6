"""What the page shows of a ledger, to whom, and on which screens."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from uuid import UUID

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Locator, Page, expect
from pydantic import SecretStr
from redis import Redis
from sqlalchemy import func, update

from api.app import create_app
from rebalancer.cli.keys import entrance
from rebalancer.config.settings import Settings
from rebalancer.ledger import credentials, heartbeats
from rebalancer.ledger.models import ApprovalRow, Event
from rebalancer.ledger.queries import event_search
from rebalancer.ledger.session import Ledger
from rebalancer.ledger.states import ACTIVE
from rebalancer.runner.servers import RunningServer
from tests.conftest import ROOT
from tests.ledger_rows import SWITCH, add_event, add_failing, add_traded, add_waiting
from tests.pages.conftest import FLAGS, KEY, at_work, chromium, enter_key, tab
from tests.serving import serving

NASTY = "RuntimeError: <script>document.title='owned'</script> & \"quotes\""


@dataclass(frozen=True, slots=True)
class Site:
    """A served page over a seeded ledger."""

    url: str
    ledger: Ledger
    traded: UUID
    failing: UUID


@pytest.fixture
def settings(ledger: Ledger, redis_server: RunningServer) -> Settings:
    Redis.from_url(redis_server.url).flushall()
    return Settings.from_flat(
        {
            "database_url": ledger.url,
            "redis_url": redis_server.url,
            "management_api_key": SecretStr(KEY),
            "api_reads_private": False,
            "accounts_file": ROOT / "accounts.yaml",
            "replacement_sets_file": ROOT / "replacement-sets.yaml",
        }
    )


@pytest.fixture
def site(settings: Settings, ledger: Ledger) -> Iterator[Site]:
    yield from served(settings, ledger)


def served(settings: Settings, ledger: Ledger) -> Iterator[Site]:
    first = [account.account_id for account in create_app(settings).state.services.accounts()][:3]
    now = datetime.now(UTC)
    with ledger.begin() as session:
        for days, equity in ((9, "97250.00"), (6, "98900.00"), (4, "98400.00")):
            add_traded(session, first[0], now - timedelta(days=days), equity)
        traded = add_traded(session, first[0], now - timedelta(hours=2))
        add_traded(session, first[2], now - timedelta(hours=1))
        failing = add_failing(session, first[1], NASTY)
        heartbeats.started(session, "beat", "b", {})
        heartbeats.started(session, "worker", "w", {"gateway": "connected", "trouble": None})
    with serving(create_app(settings)) as client:
        yield Site(str(client.base_url), ledger, traded, failing)


@pytest.fixture
def live(settings: Settings, ledger: Ledger, tmp_path: Path) -> Iterator[Site]:
    """The same with real money."""
    file = tmp_path / "accounts.yaml"
    entries = [f"  - {{account_id: U100000{n}, type: live, strategy_name: etf-blend-301-20}}" for n in (1, 2, 3)]
    file.write_text("\n".join(["accounts:", *entries, ""]))
    changes = {"trading_mode": "live", "ib_port": 4001, "accounts_file": file}
    yield from served(settings.changed(**changes), ledger)


def account_row(page: Page, account_id: str) -> Locator:
    return page.get_by_role("table", name="Accounts").get_by_role("row", name=account_id)


def test_the_overview_answers_in_ten_seconds(page: Page, site: Site) -> None:
    page.goto(site.url)
    expect(page.get_by_role("heading", name="1 event is being retried")).to_be_visible()
    expect(page.get_by_role("region", name="Trading mode")).to_contain_text("PAPER")
    expect(account_row(page, "DU1000001")).to_contain_text("$100,000.00")
    expect(page.get_by_role("term").filter(has_text="Equity").locator("xpath=..")).to_contain_text("$200,000.00")
    expect(page.get_by_role("status")).to_have_text("connected")
    account_row(page, "DU1000001").get_by_role("link", name="DU1000001").click()
    card = page.get_by_role("article", name="DU1000001")
    expect(card.get_by_role("row", name="SPY")).to_contain_text("60.0 %")
    expect(page.locator("#equity-chart canvas")).to_be_visible()


def test_a_failing_event_says_why_and_when_again(page: Page, site: Site) -> None:
    page.goto(site.url)
    row = page.get_by_role("region", name="Active events").get_by_role("row", name="DU1000002")
    expect(row).to_contain_text("retrying")
    expect(row).to_contain_text(NASTY)
    expect(row.locator("time[data-due]")).to_contain_text("in 59 min")
    row.get_by_role("link", name="rebalance").click()
    expect(page.get_by_role("listitem").filter(has_text="Attempt 2 failed")).to_contain_text(NASTY)
    assert "owned" not in page.title()
    enter_key(page)
    page.get_by_role("button", name="Retry now").click()
    expect(page.get_by_role("alert")).to_contain_text("Retry now rebalance of DU1000002: queued")
    expect(page.get_by_role("heading", name="queued")).to_be_visible()
    expect(page.get_by_role("listitem").filter(has_text="Retry asked for by")).to_be_visible()
    expect(page.get_by_role("button", name="Retry now")).to_be_hidden()


def test_an_events_page_tells_the_whole_story(page: Page, site: Site) -> None:
    page.goto(f"{site.url}/events/{site.traded}")
    told = page.locator(".timeline > li")
    for place, text in enumerate(
        ("Signal from", "Queued", "Attempt 1 began", "Planned no sell and 1 buy", "1 order", "Attempt 1 suc", "done")
    ):
        expect(told.nth(place)).to_contain_text(text)
    order = told.nth(4).locator("details")
    expect(order).to_contain_text("BUY 194 SPY filled at $100.01 in 3.0")
    expect(order).to_contain_text("commission $1.00, slippage +$1.94")
    order.locator("summary").click()
    expect(order.get_by_role("listitem").filter(has_text="Filled 94 at")).to_be_visible()
    money = page.get_by_role("table", name="Orders; slippage")
    expect(money.get_by_role("row", name="BUY SPY")).to_contain_text("$19,401.94")
    expect(money.get_by_role("row", name="BUY SPY")).to_contain_text("$1.94")
    expect(page.get_by_role("table", name="After").get_by_role("row", name="SPY")).to_contain_text("60.0 %")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy id").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == str(site.traded)
    page.get_by_role("link", name="As JSON").click()
    assert str(site.traded) in page.content()


def test_what_changes_appears_by_itself_while_it_is_looked_at(page: Page, site: Site) -> None:
    page.goto(site.url)
    expect(page.get_by_role("status")).to_have_text("connected")
    with site.ledger.begin() as session:
        add_event(session, "DU1000007", command="print-equity")
    expect(page.get_by_role("region", name="Active events").get_by_role("link", name="print-equity")).to_be_visible()
    shown(page, is_hidden=True)
    expect(page.get_by_role("status")).to_have_text("connection lost")
    shown(page, is_hidden=False)
    expect(page.get_by_role("status")).to_have_text("connected")


def shown(page: Page, *, is_hidden: bool) -> None:
    """Another tab is in front of it, or no longer is."""
    page.evaluate(
        """(hidden) => {
          Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
          document.dispatchEvent(new Event("visibilitychange"));
        }""",
        is_hidden,
    )


def test_without_a_key_nothing_is_sent(page: Page, site: Site) -> None:
    page.goto(site.url)
    account_row(page, "DU1000001").get_by_role("button", name="Dry run").click()
    expect(page.get_by_role("alert")).to_contain_text("Sign in first")
    expect(page.get_by_label("Management key")).to_be_focused()


def test_an_event_is_removed_after_confirmation(page: Page, site: Site) -> None:
    page.goto(site.url)
    enter_key(page)
    row = page.get_by_role("region", name="Active events").get_by_role("row", name="DU1000002")
    row.get_by_role("button", name="Remove").click()
    expect(page.get_by_role("dialog", name="Remove rebalance of DU1000002?")).to_be_visible()
    page.keyboard.press("Escape")
    expect(row.get_by_role("button", name="Remove")).to_be_focused()
    row.get_by_role("button", name="Remove").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    expect(row).to_be_visible()
    row.get_by_role("button", name="Remove").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    expect(page.get_by_role("alert")).to_contain_text("removed successfully")
    expect(page.get_by_text("Nothing is waiting or running.")).to_be_visible()
    expect(page.get_by_role("heading", name="All is well")).to_be_visible()


def test_real_money_moves_only_after_the_account_was_typed(page: Page, live: Site) -> None:
    page.goto(f"{live.url}/account/U1000001")
    expect(page.get_by_role("region", name="Trading mode")).to_have_text("LIVE real money")
    enter_key(page)
    page.get_by_role("group", name="Actions for U1000001").get_by_role("button", name="Rebalance").click()
    dialog = page.get_by_role("dialog")
    confirm = dialog.get_by_role("button", name="Rebalance")
    expect(dialog).to_contain_text("real money")
    expect(confirm).to_be_disabled()
    word = dialog.get_by_label("Type U1000001 to confirm")
    expect(word).to_be_focused()
    word.fill("U1000002")
    word.press("Enter")
    expect(confirm).to_be_disabled()
    word.fill("U1000001")
    word.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("Rebalance U1000001: queued")
    expect(page.get_by_role("region", name="Events, newest first").get_by_role("row", name="queued")).to_be_visible()


def test_a_wrong_key_is_said(page: Page, site: Site) -> None:
    page.goto(site.url)
    page.get_by_label("Management key").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("Invalid API key")
    expect(page.get_by_label("Management key")).to_have_value("")
    expect(page.get_by_label("Management key")).to_be_focused()
    expect(page.get_by_label("Management key")).to_have_accessible_description("Invalid API key")


@pytest.fixture
def private(settings: Settings, ledger: Ledger) -> Iterator[Site]:
    """As it is without any setting."""
    yield from served(settings.changed(api_reads_private=True), ledger)


def test_private_pages_open_to_whoever_has_signed_in(page: Page, private: Site) -> None:
    page.goto(private.url)
    expect(page.get_by_role("heading", name="Locked")).to_be_visible()
    assert "DU1000001" not in page.content()
    enter_key(page)
    expect(account_row(page, "DU1000001")).to_be_visible()
    expect(page.get_by_role("status")).to_have_text("connected")
    page.get_by_role("link", name="History").click()
    expect(page.get_by_role("heading", name="History")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Locked")).to_be_visible()


def test_a_link_opens_the_page_once_without_typing(browser: Browser, private: Site) -> None:
    link = entrance(private.ledger, private.url)
    with tab(browser, 360, 740) as phone:
        phone.goto(link)
        expect(account_row(phone, "DU1000001")).to_be_visible()
        assert phone.url == f"{private.url}/"
        at_work(phone)
        assert link.partition("#")[2] not in phone.evaluate("JSON.stringify([location.href, history.length])")
        account_row(phone, "DU1000001").get_by_role("button", name="Dry run").press("Enter")
        phone.get_by_role("dialog").wait_for(state="hidden")
        expect(phone.get_by_role("alert")).to_contain_text("Dry run DU1000001: queued")
    with tab(browser) as second:
        second.goto(link)
        expect(second.get_by_role("alert")).to_contain_text("was used or has expired")
        expect(second.get_by_label("Management key")).to_be_visible()
        assert "DU1000001" not in second.content()


def test_no_script_finds_what_trades(page: Page, private: Site) -> None:
    page.goto(private.url)
    enter_key(page)
    kept = page.evaluate("JSON.stringify([{...sessionStorage}, {...localStorage}, document.cookie])")
    assert KEY not in kept
    assert page.evaluate("document.cookie") == ""
    cookie = next(one for one in page.context.cookies() if one["name"].startswith("rebalancer-"))
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
    assert cookie["value"] not in kept


def test_a_session_that_ends_locks_the_open_page(page: Page, private: Site) -> None:
    page.goto(private.url)
    enter_key(page)
    expect(account_row(page, "DU1000001")).to_be_visible()
    with private.ledger.begin() as session:
        for one in credentials.in_force(session):
            credentials.end(session, one.id, "tests")
    page.reload()
    expect(page.get_by_role("heading", name="Locked")).to_be_visible()


def test_a_page_of_another_server_of_this_machine_changes_nothing(page: Page, private: Site) -> None:
    """It is of one site with ours, so that it gets our cookie sent along; it has no proof, and may not read."""
    page.goto(private.url)
    enter_key(page)
    with foreign_page() as other:
        page.goto(other)
        page.evaluate(
            """async ([url]) => {
                const body = JSON.stringify({account_id: "DU1000001", exec_command: "rebalance"});
                const plain = {method: "POST", body, credentials: "include", mode: "no-cors"};
                await fetch(url + "/queue/events", plain).catch(() => undefined);
                const headers = {"Content-Type": "application/json"};
                const json = {method: "POST", body, credentials: "include", headers};
                await fetch(url + "/queue/events", json).catch(() => undefined);
                await fetch(url + "/queue/events", {method: "DELETE", credentials: "include"}).catch(() => undefined);
            }""",
            [private.url],
        )
        read = (
            "async ([url]) => fetch(url + '/accounts', {credentials: 'include'}).then(a => a.text(), () => 'refused')"
        )
        assert page.evaluate(read, [private.url]) == "refused"
    with private.ledger.begin() as session:
        waiting = event_search.find_events(session, ACTIVE, 10)
    assert [event.account_id for event in waiting] == ["DU1000002"], "only what was there before"


def test_a_page_whose_name_was_rebound_reads_nothing(browser: Browser, site: Site) -> None:
    """A name of somebody else's that leads to this machine is no name of ours, even where reading is open."""
    port = site.url.rpartition(":")[2]
    flags = [*FLAGS, f"--host-resolver-rules=MAP rebind.example 127.0.0.1:{port}"]
    rebinding = browser.browser_type.launch(executable_path=chromium(), args=flags)
    try:
        page = rebinding.new_page()
        page.goto(f"http://rebind.example:{port}/")
        assert "DU1000001" not in page.content()
        assert page.evaluate("fetch('/queue/status').then(answer => answer.status)") == 400
    finally:
        rebinding.close()


@contextmanager
def foreign_page() -> Iterator[str]:
    """An empty page of another server of this machine."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Empty) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


class _Empty(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>elsewhere</title>")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class' name
        del format, args


def test_what_one_presses_on_a_phone_is_large_enough(browser: Browser, site: Site) -> None:
    with tab(browser, 360, 740) as page:
        for path, buttons in (
            ("/account/DU1000001", '[aria-label="Actions for DU1000001"] button'),
            ("/", "#content button"),
        ):
            page.goto(site.url + path)
            # In one step: the live page may replace its buttons between two.
            heights = page.evaluate(
                "buttons => [...document.querySelectorAll(buttons)].map(one => one.getBoundingClientRect().height)",
                buttons,
            )
            assert len(heights) >= 3
            assert min(heights) >= 44


def test_the_keyboard_is_enough(page: Page, site: Site) -> None:
    page.goto(site.url)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.getElementById('content').contains(document.activeElement)")


def test_everything_is_halted_and_resumed(page: Page, site: Site) -> None:
    page.goto(site.url)
    enter_key(page)
    page.get_by_role("button", name="Halt everything").click()
    page.get_by_role("dialog").get_by_role("button", name="Halt everything").click()
    expect(page.get_by_role("heading", name="Halted")).to_be_visible()
    page.get_by_role("button", name="Resume").click()
    page.get_by_role("dialog").get_by_role("button", name="Resume").click()
    expect(page.get_by_role("heading", name="1 event is being retried")).to_be_visible()


def test_a_plan_waits_for_its_owner(page: Page, live: Site) -> None:
    with live.ledger.begin() as session:
        event_id = add_waiting(session, "U1000003")
    page.goto(live.url)
    enter_key(page)
    expect(page.get_by_role("heading", name="1 plan waits for you")).to_be_visible()
    asked = page.get_by_role("article", name="Plan for U1000003")
    expect(asked).to_contain_text("larger than")
    expect(asked.get_by_role("row", name="SPY")).to_contain_text("BUY")
    expect(asked.get_by_role("row", name="SPY")).to_contain_text("$2,000,000.00")
    asked.get_by_role("button", name="Approve").click()
    dialog = page.get_by_role("dialog", name="Approve the plan for U1000003?")
    expect(dialog.get_by_role("button", name="Approve")).to_be_disabled()
    dialog.get_by_label("Type U1000003 to confirm").fill("U1000003")
    dialog.get_by_role("button", name="Approve").click()
    expect(page.get_by_role("alert")).to_contain_text("the plan for U1000003: queued")
    expect(asked).to_be_hidden()
    with live.ledger.begin() as session:
        found = event_search.event(session, event_id)
    assert found is not None
    assert (found.state, found.reason) == ("queued", "approved")


def test_plans_are_tables_of_orders_and_decided_together(browser: Browser, site: Site) -> None:
    with site.ledger.begin() as session:
        silent_at = datetime.now(UTC) + timedelta(minutes=12, seconds=30)
        waiting = [
            add_waiting(session, "DU1000004", SWITCH, silent_at=silent_at),
            *(add_waiting(session, account, SWITCH) for account in ("DU1000005", "DU1000006")),
        ]
    with tab(browser, 360, 740) as page:
        page.goto(site.url)
        enter_key(page)
        expect(page.get_by_role("heading", name="3 plans wait for you")).to_be_visible()
        plan = page.get_by_role("article", name="Plan for DU1000004")
        rows = plan.locator("tbody tr")
        expect(rows.first).to_have_text(
            re.compile(r"SELL\s*MSFT\s*138\s*\$415.74\s*\$57,372.12\s*58.0 % → 0.0 %\s*no target")
        )
        expect(rows.last).to_contain_text("40.4 % → 60.0 %")
        expect(plan).to_contain_text("Sells $57,372.12, buys $19,400.00; turnover 76.8 % of equity; fees about $2.50.")
        expect(plan).to_contain_text("Goes ahead in 12 min")
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        assert Axe().run(page).response["violations"] == []

        page.get_by_label("All 3").check()
        page.get_by_label("Choose the plan for DU1000006").uncheck()
        with site.ledger.begin() as session:
            add_event(session, "DU1000007", command="print-equity")
        expect(
            page.get_by_role("region", name="Active events").get_by_role("link", name="print-equity")
        ).to_be_visible()
        page.get_by_role("button", name="Approve 2 selected").click()
        page.get_by_role("dialog", name="Approve 2?").get_by_role("button", name="Approve 2").click()
        expect(page.get_by_role("alert")).to_contain_text("Approve: 2 of 2 done")
        expect(page.get_by_role("heading", name="1 plan waits for you")).to_be_visible()
        page.get_by_role("article").get_by_role("button", name="Reject").click()
        page.get_by_role("dialog").get_by_role("button", name="Reject").click()
        expect(page.get_by_role("article")).to_have_count(0)
    with site.ledger.begin() as session:
        states = [found.state for one in waiting if (found := event_search.event(session, one))]
    assert states == ["queued", "queued", "removed"]


def test_a_plan_that_is_replaced_while_one_decides_is_not_approved(page: Page, site: Site) -> None:
    with site.ledger.begin() as session:
        event_id = add_waiting(session, "DU1000004", SWITCH)
    page.goto(site.url)
    enter_key(page)
    page.get_by_role("button", name="Approve").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("sell $57,372.12")
    with site.ledger.begin() as session:
        session.execute(update(ApprovalRow).values(state="replaced"))
        again = {"event_id": event_id, "account_id": "DU1000004", "attempt": 1, "state": "pending", "reasons": ["anew"]}
        expires_at = datetime.now(UTC) + timedelta(hours=1)
        session.add(ApprovalRow(**again, orders={"SPY": "1.00"}, plan={}, expires_at=expires_at))
    expect(page.get_by_text("anew", exact=True)).to_be_attached()
    dialog.get_by_role("button", name="Approve").click()
    expect(page.get_by_role("alert")).to_contain_text("has changed meanwhile")
    with site.ledger.begin() as session:
        found = event_search.event(session, event_id)
    assert found is not None
    assert found.state == "held"


def test_what_is_not_renewed_is_dimmed_and_nothing_is_sent_of_it(page: Page, site: Site) -> None:
    page.clock.install()
    page.goto(site.url)
    enter_key(page)
    expect(page.get_by_role("status")).to_have_text("connected")
    expect(page.locator("#clock")).to_have_text(re.compile(r"^\d\d:\d\d:\d\d New York \(local \d\d:\d\d:\d\d\)$"))
    button = account_row(page, "DU1000001").get_by_role("button", name="Dry run")
    page.context.set_offline(True)
    page.clock.fast_forward(41_000)
    expect(page.get_by_text("The server has been silent since")).to_be_visible()
    expect(page.get_by_role("status")).not_to_have_text("connected")
    expect(button).to_be_disabled()
    button.click(force=True)
    expect(page.get_by_text("Not sent")).to_be_visible()
    page.context.set_offline(False)
    page.clock.run_for(30_000)
    expect(page.get_by_role("status")).to_have_text("connected")
    expect(page.get_by_text("The server has been silent since")).to_be_hidden()
    expect(button).to_be_enabled()


def test_a_running_event_that_is_to_end_says_that_it_stops(page: Page, site: Site) -> None:
    with site.ledger.begin() as session:
        running = {"state": "running", "reason": "running", "attempt": 1, "worker": "w/1/1"}
        event_id = add_event(session, "DU1000003", lease_until=datetime.now(UTC) + timedelta(minutes=5), **running)
    page.goto(site.url)
    enter_key(page)
    row = page.get_by_role("region", name="Active events").get_by_role("row", name="DU1000003")
    row.get_by_role("button", name="Remove").click()
    page.get_by_role("dialog").get_by_role("button", name="Remove").click()
    expect(page.get_by_role("alert")).to_contain_text("Remove rebalance of DU1000003: stopping at its next step")
    expect(row.locator(".state")).to_have_text("stopping")
    expect(row.get_by_role("button")).to_have_count(0)
    with site.ledger.begin() as session:
        session.execute(
            update(Event)
            .where(Event.id == event_id)
            .values(state="removed", reason="removed by a person", lease_until=None, finished_at=func.now())
        )
    expect(page.get_by_role("alert")).to_contain_text("Remove rebalance of DU1000003: removed: removed by a person")


def test_light_dark_and_the_time_zone_are_chosen(browser: Browser, site: Site) -> None:
    with tab(browser) as page:
        page.goto(f"{site.url}/events/{site.failing}")
        seen = page.locator(".timeline time").first
        expect(seen).to_have_text("Mar 2, 12:00:00")
        expect(seen).to_have_attribute("title", "2026-03-02 17:00:00 UTC")
        page.get_by_label("Times").select_option("utc")
        expect(seen).to_have_text("Mar 2, 17:00:00")
        expect(page.locator("#clock")).to_have_text(re.compile("UTC"))
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        page.get_by_label("Theme").select_option("dark")
        dark = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert dark != ground
        page.goto(site.url)
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == dark
        expect(page.get_by_label("Times")).to_have_value("utc")


def test_the_past_is_found_by_what_is_known_of_it(page: Page, site: Site) -> None:
    page.goto(f"{site.url}/history")
    rows = page.get_by_role("table", name="Events, newest first").locator("tbody tr")
    expect(rows).to_have_count(6)
    expect(rows.filter(has_text="DU1000003")).to_contain_text("$19,401.94")
    expect(rows.filter(has_text="DU1000003")).to_contain_text("1.5")
    page.get_by_role("combobox", name="Account").select_option("DU1000002")
    page.get_by_role("combobox", name="State").select_option("retrying")
    page.get_by_role("button", name="Show").click()
    expect(page).to_have_url(f"{site.url}/history?account_id=DU1000002&state=retrying")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text(NASTY)
    page.goto(f"{site.url}/history")
    page.get_by_label("Id or account").fill(str(site.traded)[:8])
    page.get_by_label("Id or account").press("Enter")
    expect(rows).to_have_count(1)
    rows.get_by_role("link", name="rebalance").click()
    expect(page).to_have_url(f"{site.url}/events/{site.traded}")
