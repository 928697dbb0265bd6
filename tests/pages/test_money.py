"""Equity is drawn from the table that says the same, under our content policy."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.ledger_rows import add_event
from tests.pages.test_pages import Site, settings, site

__all__ = ["settings", "site"]


def test_money_over_time_is_drawn_and_told(page: Page, site: Site) -> None:
    page.goto(f"{site.url}/account/DU1000001?span=1M")
    chart = page.locator("#equity-chart")
    expect(chart.locator("canvas")).to_be_visible()
    inked = """() => {
        const canvas = document.querySelector("#equity-chart canvas");
        const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        return data.some((value, at) => at % 4 === 3 && value > 0);
    }"""
    assert page.evaluate(inked)
    page.get_by_text("The same as a table").click()
    days = page.get_by_role("table", name="Equity at the last look").locator("tbody tr")
    expect(days.first).to_contain_text("$97,250.00")
    expect(page.get_by_role("region", name="What trading cost").get_by_role("row").nth(1)).to_contain_text("bp")
    with site.ledger.begin() as session:
        add_event(session, "DU1000001", command="print-equity")
    expect(page.get_by_role("link", name="print-equity").first).to_be_visible()
    expect(chart.locator("canvas")).to_be_visible()
    page.get_by_role("link", name="3M").click()
    expect(page.get_by_role("link", name="3M")).to_have_attribute("aria-current", "true")
    page.get_by_role("link", name="Money").click()
    expect(page.get_by_role("heading", name="Equity of 7 accounts")).to_be_visible()
    expect(chart.locator("canvas")).to_be_visible()
    with page.expect_download() as saved:
        page.get_by_role("link", name="Fills (CSV)").click()
    assert saved.value.suggested_filename == "fills.csv"
