"""The kill switch, the pace, raised cash, the schedules: with a real worker."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import update

from rebalancer.domain.commands import Command
from rebalancer.domain.errors import RequestRefused
from rebalancer.domain.recurrence import Recurrence
from rebalancer.ledger import schedules
from rebalancer.ledger.models import ScheduleRow
from rebalancer.operations import halts_and_approvals
from rebalancer.operations.requests import request
from rebalancer.operations.schedules import publish_schedules
from rebalancer.services import Services
from tests.world import World, until


def test_a_halt_takes_effect_between_two_orders_and_what_it_held_goes_on(working: World, services: Services) -> None:
    account = "DU1000007"
    event_id = working.submit(account, Command.REBALANCE)
    until(lambda: working.gateway.do(lambda gateway: any(one.account == account for one in gateway.orders)))
    assert halts_and_approvals.halt(services, account, "fire drill", "Ada")
    until(lambda: working.event(event_id).state == "held", 30, lambda: str(working.event(event_id)))
    assert "halted: DU1000007 by Ada" in working.event(event_id).reason
    sides = working.gateway.do(lambda gateway: {one.side for one in gateway.orders if one.account == account})
    assert sides == {"SELL"}
    assert (
        working.gateway.do(lambda gateway: [one for one in gateway.orders if one.account == account and one.open]) == []
    )

    looked = working.finish(working.submit(account, Command.PRINT_REBALANCE)).result
    assert looked is not None
    assert [rule["rule"] for rule in looked["rules"]] == ["halt"]
    working.finish(working.submit(account, Command.CANCEL_ORDERS))

    assert halts_and_approvals.resume(services, account, "Ada") == 1
    working.finish(event_id)
    left = working.finish(working.submit(account, Command.PRINT_REBALANCE)).result
    assert left is not None
    assert (left["orders"], left["rules"]) == ([], [])
    cash = working.gateway.do(lambda gateway: gateway.cash(account))
    assert Decimal(25000) <= cash < Decimal(27000), "the fixed reserve stays"


def test_a_halt_of_everything_holds_every_account_until_it_is_lifted(working: World, services: Services) -> None:
    assert halts_and_approvals.halt(services, None, "holiday", "Ada")
    assert not halts_and_approvals.halt(services, None, "again", "Ben")
    event_id = working.submit("DU1000005", Command.REBALANCE)
    until(lambda: working.event(event_id).state == "held", 30, lambda: str(working.event(event_id)))
    with pytest.raises(RequestRefused, match="in force are all"):
        halts_and_approvals.resume(services, "DU1000005", "Ada")
    assert halts_and_approvals.resume(services, None, "Ada") == 1
    working.finish(event_id)


def test_once_a_day_means_that_the_second_waits_for_the_next_open(working: World) -> None:
    working.finish(working.submit("DU1000003", Command.REBALANCE))
    preview = working.finish(working.submit("DU1000003", Command.PRINT_REBALANCE)).result
    assert preview is not None
    assert [rule["rule"] for rule in preview["rules"]] == ["pace"]
    event_id = working.submit("DU1000003", Command.REBALANCE)
    until(lambda: working.event(event_id).state == "held", 30, lambda: str(working.event(event_id)))
    waiting = working.event(event_id)
    assert "once a day is allowed" in waiting.reason
    assert timedelta(0) < waiting.due_at - datetime.now(UTC) <= timedelta(hours=26)


def test_cash_is_raised_by_as_much_as_asked_for_then_the_account_cools_down(working: World, services: Services) -> None:
    account = services.accounts().get("DU1000006")
    wish = {"kind": "raise-cash", "amount": "17000"}
    event_id = request(services.dispatcher, account, Command.REBALANCE, wish, "cli").event_id
    working.finish(event_id)
    sides = working.gateway.do(lambda gateway: {one.side for one in gateway.orders if one.account == "DU1000006"})
    assert sides == {"SELL"}
    cash = working.gateway.do(lambda gateway: gateway.cash("DU1000006"))
    assert Decimal(17000) <= cash <= Decimal(18200)
    event_id = working.submit("DU1000006", Command.REBALANCE)
    until(lambda: working.event(event_id).state == "held", 30, lambda: str(working.event(event_id)))
    assert "cooling down for 30 days" in working.event(event_id).reason
    with pytest.raises(RequestRefused, match="unknown kind"):
        request(services.dispatcher, account, Command.REBALANCE, {"kind": "sell-all"}, "api")


def test_a_due_schedule_becomes_one_signal_and_moves_on(working: World, services: Services) -> None:
    now = datetime.now(UTC)
    with services.ledger.begin() as session:
        made = schedules.add(
            session,
            "DU1000001",
            Command.PRINT_REBALANCE,
            recurrence=Recurrence.MONTHLY,
            first_on=now.date(),
            now=now,
            by="Ada",
        )
        stranger = schedules.add(
            session, "DU5", Command.REBALANCE, recurrence=Recurrence.DAILY, first_on=now.date(), now=now, by="Ada"
        )
        assert made is not None
        assert stranger is not None
        session.execute(update(ScheduleRow).values(next_at=now - timedelta(days=1)))
    assert publish_schedules(services) == 2
    assert publish_schedules(services) == 0
    with services.ledger.begin() as session:
        assert all(one.next_at > now for one in schedules.everything(session))
        assert schedules.remove(session, stranger.id)
        assert schedules.clear(session) == 1
