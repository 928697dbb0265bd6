"""What a person does at the desk beside the overview."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.pages.conftest import at_work, enter_key
from tests.pages.test_pages import Site, settings, site

__all__ = ["settings", "site"]


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
    at_work(page)
    expect(page.get_by_role("heading", name="Change rebalance of DU1000002")).to_be_visible()
    expect(page.get_by_role("combobox", name="Repeats")).to_have_value("weekly")
    page.get_by_role("combobox", name="Repeats").select_option("monthly")
    page.get_by_role("button", name="Change").click()
    expect(row).to_contain_text("monthly")
    expect(page.get_by_role("heading", name="Add one")).to_be_visible()
    row.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog", name="Delete rebalance of DU1000002?").get_by_role("button", name="Delete").click()
    expect(page.get_by_text("Nothing is scheduled")).to_be_visible()
