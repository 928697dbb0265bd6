"""An event's page tells what people were asked, and asked for."""

from __future__ import annotations

import httpx

from rebalancer.ledger.session import Ledger
from tests.contract.conftest import BEARER
from tests.ledger_rows import add_event, add_waiting

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
