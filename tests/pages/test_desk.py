"""What a person does at the desk beside the overview."""

from __future__ import annotations

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from api.web import approvals
from tests.ledger_rows import SWITCH, add_event, add_waiting
from tests.pages.conftest import enter_key, tab
from tests.pages.test_pages import Site, live, settings, site

__all__ = ["live", "settings", "site"]


def test_schedules_are_added_changed_and_deleted(page: Page, site: Site) -> None:
    page.goto(f"{site.url}/desk/schedules")
    enter_key(page)
    page.get_by_role("combobox", name="Account").select_option("DU1000002")
    page.get_by_role("combobox", name="Repeats").select_option("weekly")
    first_on = page.get_by_label("First on")
    day = first_on.input_value()
    first_on.fill("")
    page.get_by_role("button", name="Schedule").click()
    expect(first_on).to_be_focused()
    first_on.fill(day)
    first_on.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("Schedule rebalance of DU1000002, weekly: done")
    row = page.get_by_role("region", name="Schedules").get_by_role("row", name="DU1000002")
    expect(row).to_contain_text("weekly")
    row.get_by_role("link", name="Change rebalance of DU1000002").click()
    expect(page.get_by_role("heading", name="Change rebalance of DU1000002")).to_be_visible()
    expect(page.get_by_role("combobox", name="Repeats")).to_have_value("weekly")
    page.get_by_role("combobox", name="Repeats").select_option("monthly")
    page.get_by_role("button", name="Change").click()
    expect(row).to_contain_text("monthly")
    expect(page.get_by_role("heading", name="Add one")).to_be_visible()
    row.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog", name="Delete the schedule of rebalance for DU1000002?").get_by_role(
        "button", name="Delete"
    ).click()
    expect(page.get_by_text("Nothing is scheduled")).to_be_visible()


def test_many_plans_are_lines_that_open_to_their_orders(
    browser: Browser, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By keyboard as by mouse; what was opened stays open over renewals, also where its orders were fetched."""
    monkeypatch.setattr(approvals, "LISTED_ORDERS", 2)  # beyond the first plan's
    with site.ledger.begin() as session:
        for number in (1, 3, 4, 5, 6, 7):
            add_waiting(session, f"DU100000{number}", SWITCH)
    with tab(browser, 360, 740) as page:
        page.goto(site.url)
        enter_key(page)
        plan = page.get_by_role("article", name="Plan for DU1000004")
        expect(plan.locator("summary")).to_have_text(
            re.compile(
                r"etf-blend-301-20\s*2 orders\s*76.8 % turnover\s*"
                r"largest\s*SELL MSFT \$57,372.12\s*made\s*anew in 59 min"
            )
        )
        expect(plan.locator("tbody tr")).to_have_count(0)
        plan.locator("summary").focus()
        page.keyboard.press("Enter")
        expect(plan.get_by_role("row", name="MSFT")).to_contain_text("58.0 % → 0.0 %")
        expect(plan).to_contain_text("Sells $57,372.12, buys $19,400.00; turnover 76.8 % of equity; fees about $2.50.")
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        assert Axe().run(page).response["violations"] == []
        with site.ledger.begin() as session:
            add_event(session, "DU1000007", command="print-equity")
        expect(
            page.get_by_role("region", name="Active events").get_by_role("link", name="print-equity")
        ).to_be_visible()
        expect(plan.get_by_role("row", name="MSFT")).to_be_visible()
        first = page.get_by_role("article").first
        first.get_by_role("button", name="Reject").press("Enter")
        page.get_by_role("dialog").get_by_role("button", name="Reject").press("Enter")
        expect(page.get_by_role("heading", name="5 plans wait for you")).to_be_visible()
        expect(page.locator("article summary")).to_have_count(0)


def test_what_may_trade_real_money_later_or_again_asks_for_the_account(page: Page, live: Site) -> None:
    page.goto(f"{live.url}/desk/schedules")
    enter_key(page)
    page.get_by_role("combobox", name="Account").select_option("U1000003")
    page.get_by_role("button", name="Schedule").click()
    asked = page.get_by_role("dialog", name="Schedule rebalance of U1000003, once?")
    expect(asked).to_contain_text("A rebalance trades real money")
    expect(asked.get_by_role("button", name="Schedule")).to_be_disabled()
    asked.get_by_label("Type U1000003 to confirm").fill("U1000003")
    asked.get_by_role("button", name="Schedule").click()
    expect(page.get_by_role("region", name="Schedules").get_by_role("row", name="U1000003")).to_be_visible()
    page.goto(live.url)
    page.get_by_role("region", name="Active events").get_by_role("button", name="Retry now").click()
    asked = page.get_by_role("dialog", name="Retry now rebalance of U1000002?")
    expect(asked.get_by_role("button", name="Retry now")).to_be_disabled()
    asked.get_by_label("Type U1000002 to confirm").fill("U1000002")
    asked.get_by_role("button", name="Retry now").click()
    expect(page.get_by_role("alert")).to_contain_text("Retry now rebalance of U1000002: queued")
