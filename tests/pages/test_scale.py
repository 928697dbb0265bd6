"""Hundreds of accounts and dozens of plans: how much is sent, and what a renewal costs the reader's browser."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import uuid4

from playwright.sync_api import CDPSession, Page, expect

from api.app import create_app
from rebalancer.config.settings import Settings
from rebalancer.ledger.models import Attempt, Event, SnapshotRow
from rebalancer.ledger.session import Ledger, Session
from tests.ledger_rows import INPUTS, PLAN, STRATEGY, add_event, add_waiting
from tests.pages.test_pages import settings  # noqa: F401 - fixture
from tests.serving import serving

LARGEST_PAGE = 300_000
LONGEST_RENEWAL_S = 0.2
TALLEST_PLANS = 5_000
"""Pixels of ninety plans."""
SYMBOLS = [f"{first}{second}X" for first in "ABCDEFGHIJ" for second in "ABCDEF"]
WIDE_PLAN = PLAN | {
    "lines": [
        {
            "symbol": symbol,
            "held": "10",
            "price": "100",
            "target_weight": "0.0166",
            "current_weight": "0.0166",
            "planned_shares": "12",
            "planned_weight": "0.0170",
            "note": None,
        }
        for symbol in SYMBOLS
    ],
    "orders": [
        {"symbol": symbol, "side": "BUY", "quantity": 2, "price": "100", "fee": "1.00", "reason": "below its target"}
        for symbol in SYMBOLS
    ],
}
HELD = [{"symbol": symbol, "quantity": "10", "price": "100", "weight": None} for symbol in SYMBOLS]


def account_id(number: int) -> str:
    return f"DU{2_000_000 + number}"


@contextmanager
def desk(settings: Settings, ledger: Ledger, folder: Path, count: int, wide: int) -> Iterator[str]:  # noqa: F811
    """A served page of that many accounts, ``wide`` of which hold sixty symbols."""
    file = folder / "accounts.yaml"
    entries = [
        f"  - {{account_id: {account_id(n)}, name: Client {n} of the family, type: paper, strategy_name: {STRATEGY}}}"
        for n in range(count)
    ]
    file.write_text("\n".join(["accounts:", *entries, ""]))
    with ledger.begin() as session:
        add_rebalanced(session, count, wide)
    with serving(create_app(settings.changed(accounts_file=file))) as client:
        yield str(client.base_url)


def add_rebalanced(session: Session, count: int, wide: int) -> None:
    """An event, its attempt and what the account held afterwards, for each account."""
    ids = [uuid4() for _ in range(count)]
    ended = [datetime.now(UTC) - timedelta(hours=1, minutes=number) for number in range(count)]
    facts: dict[str, Any] = {"command": "rebalance", "exclusive": True, "strategy": STRATEGY, "data": {}, "attempt": 1}
    facts |= {"state": "succeeded", "reason": "done"}
    for number, (event_id, at) in enumerate(zip(ids, ended, strict=True)):
        session.add(Event(id=event_id, account_id=account_id(number), due_at=at, finished_at=at, **facts))
    session.flush()
    for number, (event_id, at) in enumerate(zip(ids, ended, strict=True)):
        plan, held = (WIDE_PLAN, HELD) if number < wide else (PLAN, HELD[:1])
        facts = {"plan": plan, "inputs": INPUTS, "observed_generation": 1, "worker": "w", "outcome": "succeeded"}
        session.add(Attempt(event_id=event_id, number=1, started_at=at, finished_at=at, **facts))
        money: dict[str, Any] = {"net_liquidation": Decimal(1_000_000 + number), "cash": Decimal(20_000)}
        facts = {"attempt": 1, "moment": "after", "at": at, "positions": held} | money
        session.add(SnapshotRow(account_id=account_id(number), event_id=event_id, **facts))


def thread_s(devtools: CDPSession) -> float:
    """Processor time of the page's main thread so far; what other programs take of this machine is not in it."""
    metrics = devtools.send("Performance.getMetrics")["metrics"]
    return next(float(one["value"]) for one in metrics if one["name"] == "TaskDuration")


def test_five_hundred_accounts_are_small_and_renewed_where_they_changed(
    page: Page,
    settings: Settings,  # noqa: F811
    ledger: Ledger,
    tmp_path: Path,
) -> None:
    with desk(settings, ledger, tmp_path, 500, 100) as url:
        sent = page.goto(url)
        assert sent is not None
        assert len(sent.body()) <= LARGEST_PAGE
        rows = page.locator("#accounts tbody tr")
        expect(rows).to_have_count(500)
        expect(page.get_by_role("status")).to_have_text("connected")
        page.get_by_role("button", name="Equity").click()
        page.get_by_role("button", name="Equity").click()
        expect(rows.first).to_contain_text("Client 499")
        page.get_by_label("Filter").fill("family idle DU200049")
        expect(page.locator("#accounts-count")).to_have_text("10 of 500")
        page.evaluate("getSelection().selectAllChildren(document.querySelector('#row-DU2000490 th'))")
        page.evaluate(
            """() => {
                window.touched = new Set();
                new MutationObserver((seen) => { for (const one of seen) touched.add((one.target.closest ?
                    one.target : one.target.parentElement).closest('tr, section, main')?.id); })
                    .observe(document.getElementById('content'),
                        {subtree: true, childList: true, characterData: true, attributes: true});
            }"""
        )
        devtools = page.context.new_cdp_session(page)
        devtools.send("Performance.enable", {"timeDomain": "threadTicks"})
        before = thread_s(devtools)
        with ledger.begin() as session:
            add_event(session, account_id(495))
        expect(page.locator("#row-DU2000495")).to_contain_text("queued")
        spent = thread_s(devtools) - before
        assert page.evaluate("getSelection().toString()").startswith("Client 490")
        expect(page.get_by_role("columnheader", name="Equity")).to_have_attribute("aria-sort", "descending")
        expect(page.locator("#accounts-count")).to_have_text("9 of 500")
        assert page.evaluate("[...touched].filter(id => id.startsWith('row-'))") == ["row-DU2000495"]
        page.reload()
        expect(rows.first).to_contain_text("Client 499")
        assert spent <= LONGEST_RENEWAL_S


def test_a_hundred_accounts_of_sixty_symbols_ask_for_nine_tenths_of_their_plans(
    page: Page,
    settings: Settings,  # noqa: F811
    ledger: Ledger,
    tmp_path: Path,
) -> None:
    with desk(settings, ledger, tmp_path, 100, 100) as url:
        with ledger.begin() as session:
            for number in range(90):
                add_waiting(session, account_id(number), WIDE_PLAN)
        sent = page.goto(url)
        assert sent is not None
        expect(page.get_by_role("heading", name="90 plans wait for you")).to_be_visible()
        expect(page.get_by_role("article")).to_have_count(90)
        expect(page.get_by_role("article").first.locator("tbody tr")).to_have_count(60)
        expect(page.get_by_role("article").last).to_contain_text("60 orders")
        assert page.evaluate("document.getElementById('approvals-part').offsetHeight") <= TALLEST_PLANS
        assert len(sent.body()) <= LARGEST_PAGE
