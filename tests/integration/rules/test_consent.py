"""Plans that a person has to see: nothing is sent before the answer, and the answer is for that plan."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import httpx
import pytest
from sqlalchemy import update

from rebalancer.domain.commands import Command
from rebalancer.domain.errors import RequestRefused
from rebalancer.ledger.models import ApprovalRow, Event
from rebalancer.operations import halts_and_approvals
from rebalancer.services import Services
from tests.world import World, held, until


def publish(working: World, **shares: float) -> None:
    """New targets for all accounts of this module."""
    body = {"allocations": [{"symbol": symbol, "allocation": share} for symbol, share in shares.items()]}
    url = f"{working.allocations.url}/etf-blend-301-20/allocations"
    httpx.put(url, json=body, headers={"x-api-key": "sandbox"}).raise_for_status()


def waits(working: World, event_id: UUID, text: str) -> None:
    until(lambda: working.event(event_id).state == "held", 30, lambda: str(working.event(event_id)))
    assert text in working.event(event_id).reason


def sent(working: World, account: str) -> int:
    return working.gateway.do(lambda gateway: sum(order.account == account for order in gateway.orders))


def test_a_manual_account_trades_after_approval_only(working: World, services: Services) -> None:
    event_id = working.submit("DU1000001", Command.REBALANCE)
    waits(working, event_id, "needs approval: the account's approval mode is manual")
    assert sent(working, "DU1000001") == 0
    (asked,) = [one for one in halts_and_approvals.waiting(services) if one.event_id == event_id]
    assert len(asked.orders) == 6
    assert asked.silent_at is None

    publish(working, SPY=0.5, QQQ=0.5)
    halts_and_approvals.approve(services, event_id, "Ada")
    until(lambda: "moved by" in working.event(event_id).reason, 30, lambda: str(working.event(event_id)))
    assert sent(working, "DU1000001") == 0

    waits(working, event_id, "moved by")
    halts_and_approvals.approve(services, event_id, "Ada")
    assert working.finish(event_id).orders == 2
    assert set(held(working, "DU1000001")) == {"SPY", "QQQ"}
    assert [one for one in halts_and_approvals.waiting(services) if one.event_id == event_id] == []
    with pytest.raises(RequestRefused, match="no plan of event"):
        halts_and_approvals.approve(services, event_id, "Ada")


def test_an_order_beyond_the_limit_waits_and_a_rejection_ends_it(working: World, services: Services) -> None:
    preview = working.finish(working.submit("DU1000002", Command.PRINT_REBALANCE)).result
    assert preview is not None
    assert {rule["rule"] for rule in preview["rules"]} == {"limits"}
    event_id = working.submit("DU1000002", Command.REBALANCE)
    waits(working, event_id, "USD, more than 40000")
    halts_and_approvals.reject(services, event_id, "Ada")
    assert working.event(event_id).state == "removed"
    assert sent(working, "DU1000002") == 0


def test_targets_that_change_between_sells_and_buys_stop_the_buys(working: World, services: Services) -> None:
    account = "DU1000007"
    publish(working, SPY=0.5, GLD=0.5)
    event_id = working.submit(account, Command.REBALANCE)
    until(lambda: sent(working, account) > 0, 30, lambda: str(working.event(event_id)))
    publish(working, SPY=0.5, QQQ=0.5)
    until(lambda: working.event(event_id).state == "retrying", 30, lambda: str(working.event(event_id)))
    assert "allocations_changed: changed while the run was under way: GLD 0.5 -> 0, QQQ 0 -> 0.5" in (
        working.event(event_id).last_error or ""
    )
    assert working.gateway.do(lambda gateway: {o.side for o in gateway.orders if o.account == account}) == {"SELL"}
    until(lambda: services.dispatcher.publish_due() > 0)
    working.finish(event_id)
    assert set(held(working, account)) == {"SPY", "QQQ"}


def test_silence_is_consent_after_the_wait(working: World, services: Services) -> None:
    account = "DU1000004"
    publish(working, SPY=0.5, QQQ=0.5)
    event_id = working.submit(account, Command.REBALANCE)
    waits(working, event_id, "approval mode is notify-then-wait")
    (asked,) = [one for one in halts_and_approvals.waiting(services) if one.event_id == event_id]
    assert asked.silent_at is not None
    assert 14 * 60 < (asked.silent_at - datetime.now(UTC)).total_seconds() < 16 * 60
    with working.ledger.begin() as session:
        session.execute(update(ApprovalRow).where(ApprovalRow.event_id == event_id).values(silent_at=asked.asked_at))
        session.execute(update(Event).where(Event.id == event_id).values(due_at=asked.asked_at))
    services.dispatcher.publish_due()
    working.finish(event_id)
    with working.ledger.begin() as session:
        row = session.query(ApprovalRow).filter_by(event_id=event_id).one()
    assert (row.state, row.decided_by) == ("used", "nobody objected")
    assert set(held(working, account)) == {"SPY", "QQQ"}


def test_a_symbol_on_hold_stays(working: World) -> None:
    before = held(working, "DU1000005")["QQQ"]
    result = working.finish(working.submit("DU1000005", Command.REBALANCE)).result
    assert result is not None
    assert held(working, "DU1000005")["QQQ"] == before
    assert "QQQ" not in {order["symbol"] for order in result["orders"]}
    assert any("QQQ" in note and "on hold" in note for note in result["notes"])
