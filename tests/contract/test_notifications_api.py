"""What people were told, over HTTP."""

from __future__ import annotations

from datetime import timedelta

import httpx

from rebalancer.domain.notices import Delivery, NoticeKind
from rebalancer.ledger import outbox
from rebalancer.ledger.session import Ledger


def test_notices_are_listed_newest_first_with_what_became_of_them(client: httpx.Client, ledger: Ledger) -> None:
    with ledger.begin() as session:
        outbox.tell(
            session, NoticeKind.ATTENTION, "DU1000001", command="rebalance", error="x of 12,000.00 USD", failures=3
        )
        outbox.route_new(session, lambda notice: [Delivery("phone", "", notice.at)])
        claimed = outbox.claim(session, "phone", timedelta(seconds=9))
        assert claimed is not None
        outbox.failed(session, claimed, "the service answered 500", timedelta(days=1))
    with ledger.begin() as session:
        outbox.tell(session, NoticeKind.RESUMED, by="me")
    newest, oldest = client.get("/notifications").json()
    assert (newest["kind"], newest["routed"], newest["deliveries"]) == ("resumed", False, [])
    assert (oldest["severity"], oldest["account_id"]) == ("error", "DU1000001")
    assert "x of …" in oldest["text"]
    [told] = oldest["deliveries"]
    assert (told["target"], told["state"], told["tries"]) == ("phone", "waiting", 1)
    page = client.get("/notifications", params={"limit": 1, "before": newest["id"]}).json()
    assert [one["id"] for one in page] == [oldest["id"]]
    assert 'rebalancer_notifications_stuck{target="phone"} 1.0' in client.get("/metrics").text
    assert client.get("/health/detailed").json()["notifications_stuck"] == {"phone": "the service answered 500"}
