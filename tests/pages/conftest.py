"""A real Chromium in front of the page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.tools.browser import MISSING, find_chromium

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
QUIET = ["--disable-component-update", "--disable-sync"]
CONNECTING = re.compile("^connecting$")
"""What the status says as long as no script has begun."""
PATIENCE_MS = 15_000
KEY = "a-key-for-the-tests-of-this"

expect.set_options(timeout=PATIENCE_MS)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """This machine's Chromium; `.ci/run` installs one. Playwright keeps an event loop running in this thread."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=[*FLAGS, *QUIET])
        yield browser
        browser.close()


def chromium() -> str:
    """Path of the browser, for those who start it themselves."""
    path = find_chromium()
    if path is None:
        pytest.skip(MISSING)
    return path


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A tab that must have nothing to complain about at the end."""
    with tab(browser) as page:
        yield page


@contextmanager
def tab(browser: Browser, width: int = 1280, height: int = 900, scheme: str = "light") -> Iterator[Page]:
    """A tab of its own profile; the script's errors and refusals by the content policy are failures."""
    dark = scheme == "dark"
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme="dark" if dark else "light", reduced_motion="reduce"
    )
    with watched(context) as page:
        yield page
    context.close()


@contextmanager
def watched(context: BrowserContext) -> Iterator[Page]:
    """A tab in whose place the script's errors and refusals by the content policy are failures. No locator is clicked,
    or looked at, before the page's scripts have begun: until then a click is heard by nobody.
    """
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.add_locator_handler(page.get_by_role("status").filter(has_text=CONNECTING), lambda: None)
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda said: complaints.append(said.text) if "Content Security" in said.text else None)
    try:
        yield page
    finally:
        page.close()  # a page that stays open keeps one of the browser's few connections
    assert complaints == []


@contextmanager
def listened_to(page: Page) -> Iterator[list[str]]:
    """The addresses that it asks."""
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    yield asked


def enter_key(page: Page, key: str = KEY) -> None:
    """As a person does."""
    page.get_by_label("Management key").fill(key)
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()


def at_work(page: Page) -> None:
    """The page's scripts have begun: for those who press keys, and use no locator."""
    expect(page.get_by_role("status")).not_to_have_text("connecting")
