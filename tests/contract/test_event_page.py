"""An event's page tells what people were asked, and asked for."""

from __future__ import annotations

import httpx
from sqlalchemy import select, update

from rebalancer.ledger.models import Attempt, Event
from rebalancer.ledger.session import Ledger
from tests.contract.conftest import BEARER
from tests.ledger_rows import add_event, add_traded, add_waiting

HTML = BEARER | {"Accept": "text/html"}


def test_who_rejected_a_plan_is_part_of_its_story(client: httpx.Client, ledger: Ledger) -> None:
    with ledger.begin() as session:
        event_id = add_waiting(session)
    page = client.get(f"/events/{event_id}", headers=HTML).text
    assert "Put before a person: an order of $2,000,000 is larger than $1,000,000" in page
    assert f'data-path="/approvals/{event_id}/approve?plan=' in page
    assert "buys $2,000,000.00" in page
    client.post(f"/approvals/{event_id}/reject", headers=BEARER).raise_for_status()
    page = client.get(f"/events/{event_id}", headers=HTML).text
    assert (
        page.index("Attempt 1 held with its plan")
        < page.index("Plan rejected by API key")
        < page.index("Event removed")
    )
    assert "/approve" not in page


def test_who_asked_for_removal_is_part_of_its_story(client: httpx.Client, ledger: Ledger) -> None:
    with ledger.begin() as session:
        one, other = add_event(session), add_event(session, "DU1000002")
    client.delete(f"/queue/events/{one}", headers=BEARER).raise_for_status()
    client.delete("/queue/events", headers=BEARER).raise_for_status()
    assert "Removal asked for by" in client.get(f"/events/{one}", headers=HTML).text
    assert "with all other events" not in client.get(f"/events/{one}", headers=HTML).text
    assert "with all other events" in client.get(f"/events/{other}", headers=HTML).text


def test_the_members_of_a_blend_are_part_of_its_story(client: httpx.Client, ledger: Ledger) -> None:
    one = {"as_of": "2026-11-23", "last_rebalance_on": None, "weights": {"SPY": "1"}, "frozen": None}
    members = {"a": {**one, "share": "0.6"}, "b": {**one, "share": "0.4", "frozen": "its table is <away>"}}
    with ledger.begin() as session:
        event_id = add_traded(session)
    plain = client.get(f"/events/{event_id}", headers=HTML).text
    with ledger.begin() as session:
        attempt = session.scalars(select(Attempt).where(Attempt.event_id == event_id)).one()
        targets = {**attempt.inputs["targets"], "members": members, "moved": {"a": {"SPY": "0.06"}, "b": {}}}
        attempt.inputs = {**attempt.inputs, "targets": targets}
    page = client.get(f"/events/{event_id}", headers=HTML).text
    assert "<dt>a, 60.0 %</dt><dd>as of 2026-11-23; moved SPY +6.0 % of the account</dd>" in page
    assert "as at the last rebalance, since its table is &lt;away&gt;; moved nothing" in page
    assert "moved" not in plain


def test_the_login_is_said_where_there_are_several(client: httpx.Client, ledger: Ledger) -> None:
    with ledger.begin() as session:
        event_id = add_event(session)
    assert "<dt>Login</dt>" not in client.get(f"/events/{event_id}", headers=HTML).text
    assert client.get(f"/queue/events/{event_id}", headers=BEARER).json()["event"]["gateway"] == "main"
    with ledger.begin() as session:
        session.execute(update(Event).where(Event.id == event_id).values(gateway="partner"))
    assert "<dt>Login</dt><dd>partner</dd>" in client.get(f"/events/{event_id}", headers=HTML).text
    assert client.get(f"/queue/events/{event_id}", headers=BEARER).json()["event"]["gateway"] == "partner"
