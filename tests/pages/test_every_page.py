"""Every page of the desk: it keeps nobody out, fits a phone, stays small and quick, and asks nobody else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect

from api.app import create_app
from rebalancer.ledger.session import Ledger
from rebalancer.runner.servers import RunningServer
from tests.conftest import empty
from tests.pages import stage
from tests.pages.conftest import at_work, enter_key, listened_to, watched
from tests.pages.stage import FOUNDATION, Stage
from tests.serving import serving


@dataclass(frozen=True, slots=True)
class Budget:
    """The most that a page may take, at seven accounts.

    Attributes:
        sent: kilobytes of the document, its scripts and its styles, before they are compressed.
        thread_s: seconds of processor time of the browser's main thread until all is shown. Long tasks by the clock
            of a machine that does other things too would say what those take.
        longest_s: the longest task that PerformanceObserver saw, by that clock: far above what is measured.
    """

    sent: int = 90
    requests: int = 15
    nodes: int = 1200
    thread_s: float = 0.2
    longest_s: float = 1.0


CHARTED = Budget(sent=145, requests=18)
REFERENCE = Budget(sent=2_000, requests=8, nodes=3_000, thread_s=2.0, longest_s=4.0)
DESK = {
    "/": Budget(),
    "/money": CHARTED,
    "/money/costs?by=symbol": Budget(),
    "/money/gains": Budget(),
    "/money/costs?by=run&span=1Y": Budget(),
    "/account/DU1000007": CHARTED,
    "/account/DU1000007/returns?span=all": Budget(),
    "/history": Budget(),
    "/events/{traded}": Budget(),
    "/events/{failing}": Budget(),
    "/events/{waiting}": Budget(),
    "/desk/signals": Budget(),
    "/desk/schedules": Budget(),
    "/desk/notifications": Budget(),
    "/desk/audit": Budget(),
    "/desk/replay?value=2": Budget(),
    "/desk/settings": Budget(sent=100, nodes=1_600),
    "/enter": Budget(),
    "/decide": Budget(sent=40, requests=6, nodes=200),
    "/docs": REFERENCE,
    "/no/such/place": Budget(),
    "/history?since=never": Budget(),
}
REFUSED = {"/no/such/place": 404, "/history?since=never": 422}
LOCKED = ("/", "/desk/audit", f"/account/{FOUNDATION}")
"""Without a session."""

OBSERVE = """
window.tasks = [];
new PerformanceObserver((seen) => tasks.push(...seen.getEntries().map((one) => one.duration / 1000)))
    .observe({type: "longtask", buffered: true});
"""
SENT = """() => [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")
    .filter((one) => ["script", "link", "css", "other"].includes(one.initiatorType))]
    .reduce((sum, one) => sum + one.decodedBodySize, 0)"""
MOVING = """() => {
    const longest = (times) => Math.max(...times.split(",").map(parseFloat));
    const moves = (style) => longest(style.transitionDuration) > 0.01 || longest(style.animationDuration) > 0.01;
    return [...document.querySelectorAll("*")].flatMap((element) => ["", "::before", "::after"]
        .filter((part) => moves(getComputedStyle(element, part)))
        .map((part) => element.tagName + "." + element.className + part));
}"""
"""What would move for longer than a hundredth of a second."""


@dataclass(frozen=True, slots=True)
class Desk:
    """A served desk, and a browser that has signed in to it."""

    url: str
    stage: Stage
    signed_in: BrowserContext

    def address(self, path: str) -> str:
        events = {name: getattr(self.stage, name) for name in ("traded", "failing", "waiting")}
        return self.url + path.format(**events)


@pytest.fixture(scope="module")
def desk(
    browser: Browser,
    postgres: RunningServer,
    redis_server: RunningServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Desk]:
    """Nothing is changed but by the last test."""
    ledger = Ledger(postgres.url)
    empty(ledger)
    with ledger.begin() as session:
        made = stage.set_up(session, datetime.now(UTC))
    settings = stage.settings(postgres.url, redis_server.url, tmp_path_factory.mktemp("desk"))
    with serving(create_app(settings)) as client:
        url = str(client.base_url)
        context = browser.new_context(viewport={"width": 1280, "height": 900}, reduced_motion="reduce")
        context.add_init_script(OBSERVE)
        with watched(context) as page:
            page.goto(url)
            enter_key(page)
        yield Desk(url, made, context)
        context.close()
    ledger.shed()


@pytest.mark.parametrize("path", DESK)
def test_a_page_is_open_to_all_and_small_and_quick(desk: Desk, path: str) -> None:
    budget = DESK[path]
    with watched(desk.signed_in) as page, listened_to(page) as asked:
        devtools = page.context.new_cdp_session(page)
        devtools.send("Performance.enable", {"timeDomain": "threadTicks"})
        answer = page.goto(desk.address(path))
        assert answer is not None
        assert answer.status == REFUSED.get(path, 200)
        page.wait_for_load_state("networkidle") if path == "/docs" else page.wait_for_load_state()
        metrics = {one["name"]: one["value"] for one in devtools.send("Performance.getMetrics")["metrics"]}
        took = Budget(
            sent=round(page.evaluate(SENT) / 1000),
            requests=len(asked),
            nodes=page.evaluate("document.querySelectorAll('*').length"),
            thread_s=metrics["TaskDuration"],
            longest_s=max(page.evaluate("tasks"), default=0.0),
        )
        over = [name for name in Budget.__slots__ if getattr(took, name) > getattr(budget, name)]
        assert over == [], took
        assert [url for url in asked if not url.startswith((f"{desk.url}/", "data:"))] == []
        opens_to_all(page)


@pytest.mark.parametrize("path", LOCKED)
def test_a_locked_page_is_open_to_all(browser: Browser, desk: Desk, path: str) -> None:
    context = browser.new_context(reduced_motion="reduce")
    with watched(context) as page:
        page.goto(desk.address(path))
        expect(page.get_by_role("heading", name="Locked")).to_be_visible()
        opens_to_all(page)
    context.close()


def opens_to_all(page: Page) -> None:
    """By day, by night and on a phone; to those whom movement makes ill, and to those who hear a page."""
    assert page.evaluate(MOVING) == []
    is_told(page)
    assert [one for one in barriers(page) if not (one[0] in OF_SWAGGER and page.url.endswith("/docs"))] == []
    page.emulate_media(color_scheme="dark", reduced_motion="reduce")
    assert barriers(page, runOnly=["color-contrast"]) == []
    page.set_viewport_size({"width": 360, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


OF_SWAGGER = ("heading-order", "nested-interactive", "region")
"""What Swagger UI builds so, whatever one gives it."""


def barriers(page: Page, **options: list[str]) -> list[tuple[str, list[str]]]:
    """What axe finds; of what it passes it need not tell every element."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(Axe().axe_script)  # of half a megabyte
    found = page.evaluate("(options) => axe.run(options)", {"resultTypes": ["violations"], **options})["violations"]
    return [(one["id"], [node["html"] for node in one["nodes"]]) for one in found]


WORKED = {"button", "link", "checkbox", "combobox", "textbox", "searchbox", "DisclosureTriangle"}
TWICE = {("button", "Show date picker Show date picker"), ("button", "Show date picker")}
"""The browser's own, beside a field that has a name."""
UNTOLD = """() => [...document.querySelectorAll("table:not([aria-hidden] *, .swagger-ui *)")]
    .filter((one) => !one.caption).map((one) => one.outerHTML)"""


def is_told(page: Page) -> None:
    """In the accessibility tree each thing that one can work with has a name of its own."""
    names = Counter[tuple[str, str]]()
    for node in page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")["nodes"]:
        role = node.get("role", {}).get("value")
        if role in WORKED and not node["ignored"]:
            names[role, node.get("name", {}).get("value", "").strip()] += 1
    assert [role for role, name in names if not name] == []
    again = {key: many for key, many in names.items() if many > 1 and key[0] != "link" and key not in TWICE}
    assert again == {} or page.url.endswith("/docs"), "Swagger UI calls the buttons of all operations the same"
    assert page.evaluate(UNTOLD) == []


def test_a_plan_is_approved_with_the_keyboard_alone_and_its_result_is_heard(desk: Desk) -> None:
    with watched(desk.signed_in) as page:
        page.goto(desk.url)
        at_work(page)
        equity = page.get_by_role("columnheader", name="Equity")
        expect(equity).to_have_attribute("aria-sort", "none")
        tab_to(page, "Equity")
        page.keyboard.press("Enter")
        expect(equity).to_have_attribute("aria-sort", "ascending")
        expect(page.locator("#accounts th[data-column=Account]")).to_have_attribute("aria-sort", "none")
        page.get_by_role("link", name="Skip to content").focus()
        page.keyboard.press("Enter")
        tab_to(page, f"Approve the plan for {FOUNDATION}")
        page.keyboard.press("Enter")
        dialog = page.get_by_role("dialog", name=f"Approve the plan for {FOUNDATION}?")
        expect(dialog).to_be_visible()
        tab_to(page, "Approve")
        page.keyboard.press("Enter")
        heard = page.get_by_role("complementary", name="What became of it").get_by_role("alert")
        expect(heard).to_contain_text(f"Approve the plan for {FOUNDATION}: queued")
        expect(page.get_by_role("article", name=f"Plan for {FOUNDATION}")).to_have_count(0)
        expect(page.get_by_role("status")).to_have_text("connected")
        expect(page.locator("#accounts-count")).to_have_attribute("aria-live", "polite")
        assert page.evaluate(MOVING) == []
        assert page.evaluate("document.getAnimations().length") == 0
        page.emulate_media(reduced_motion="no-preference")
        assert page.evaluate(MOVING) == ["MAIN."], "it is reduced, and not what a page never has"


FOCUSED = """() => {
    const one = document.activeElement;
    return one.getAttribute("aria-label") ?? one.textContent.trim();
}"""


def tab_to(page: Page, name: str) -> None:
    """As somebody without a mouse."""
    passed = []
    while (here := page.evaluate(FOCUSED)) != name:
        passed.append(here)
        assert len(passed) < 100, passed
        page.keyboard.press("Tab")
