"""The API's reference in a real Chromium: whole, from this server only, under the content policy."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.pages.conftest import enter_key
from tests.pages.test_pages import Site, private, settings  # noqa: F401 - fixtures


def test_the_reference_works_under_our_policy_without_a_foreign_request(page: Page, private: Site) -> None:  # noqa: F811
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{private.url}/redoc")
    assert page.url == f"{private.url}/docs"
    expect(page.get_by_role("heading", name="IBKR rebalancer")).to_be_visible()
    expect(page.locator(".opblock")).not_to_have_count(0)
    assert [url for url in asked if not url.startswith((f"{private.url}/", "data:"))] == []


def test_the_reference_tries_operations_out_as_whoever_has_signed_in(page: Page, private: Site) -> None:  # noqa: F811
    page.goto(private.url)
    enter_key(page)
    page.goto(f"{private.url}/docs")
    operation = page.locator("#operations-control-halt_halts_post")
    operation.get_by_role("button").first.click()
    operation.get_by_role("button", name="Try it out").click()
    operation.get_by_role("button", name="Execute").click()
    expect(operation.get_by_text("Halted").first).to_be_visible()
