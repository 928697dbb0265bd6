"""A plan is looked at and decided on with a phone, by the link that its message brought."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, expect
from sqlalchemy import select, update

from api.app import create_app
from rebalancer.config.settings import Settings
from rebalancer.ledger import credentials
from rebalancer.ledger.models import ApprovalRow
from rebalancer.ledger.session import Ledger
from tests.contract.conftest import app_settings
from tests.ledger_rows import PLAN, add_waiting
from tests.pages.conftest import tab
from tests.serving import serving

__all__ = ["app_settings"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_plan_is_decided_on_with_a_phone(
    app_settings: Settings, ledger: Ledger, browser: Browser, scheme: str
) -> None:
    with ledger.begin() as session:
        add_waiting(session)
        session.flush()
        (approval_id,) = session.scalars(update(ApprovalRow).values(plan=PLAN).returning(ApprovalRow.id))
        until = datetime.now(UTC) + timedelta(hours=1)
        token = credentials.make_decision_link(session, approval_id, "phone", until)
    settings = app_settings.changed(notify_approval_links="https://desk.example.org")
    with serving(create_app(settings)) as client, tab(browser, 360, 740, scheme) as page:
        page.goto(f"{client.base_url}/decide#{token}")
        expect(page.get_by_role("heading", name="A plan for …0001")).to_be_visible()
        assert token not in page.url
        row = page.get_by_role("row", name="Buy 194 SPY")
        expect(row).to_contain_text("$19,400.00")
        expect(row).to_contain_text("40.4 % → 60.0 %")
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        assert Axe().run(page).response["violations"] == []
        page.get_by_role("button", name="Approve" if scheme == "light" else "Reject").click()
        said = "Approved: it is traded now" if scheme == "light" else "Rejected: nothing of it is traded"
        expect(page.get_by_role("status")).to_have_text(said)
        expect(page.get_by_role("button", name="Approve")).to_be_hidden()
        page.goto(f"{client.base_url}/livez")
        page.goto(f"{client.base_url}/decide#{token}")
        expect(page.get_by_role("status")).to_contain_text("This link was used or has expired")
    with ledger.begin() as session:
        decided = session.scalars(select(ApprovalRow.state)).one()
    assert decided == ("approved" if scheme == "light" else "rejected")


def test_real_money_is_approved_by_typing_the_accounts_name(
    app_settings: Settings, ledger: Ledger, browser: Browser
) -> None:
    with ledger.begin() as session:
        add_waiting(session)
        session.flush()
        (approval_id,) = session.scalars(select(ApprovalRow.id))
        until = datetime.now(UTC) + timedelta(hours=1)
        token = credentials.make_decision_link(session, approval_id, "phone", until)
    live = app_settings.changed(notify_approval_links="https://desk.example.org", trading_mode="live", ib_port=4001)
    with serving(create_app(live)) as client, tab(browser, 360, 740) as page:
        page.goto(f"{client.base_url}/decide#{token}")
        approve = page.get_by_role("button", name="Approve")
        expect(approve).to_be_disabled()
        page.get_by_label("Type 0001").fill("0001")
        approve.click()
        expect(page.get_by_role("status")).to_have_text("Approved: it is traded now")
