"""Cash by a day: raised in time, once, kept until its day has passed, and free when it is cancelled."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import func, update

from rebalancer.domain.cash_plans import CashPlan
from rebalancer.domain.commands import Command
from rebalancer.domain.errors import RequestRefused
from rebalancer.domain.rebalance_kinds import RebalanceKind, RebalanceMode
from rebalancer.domain.trading_sessions import trading_day
from rebalancer.ledger import cash_plans as ledger_cash_plans
from rebalancer.ledger import events, ownership, signal_intake
from rebalancer.ledger.models import CashPlanRow
from rebalancer.ledger.queries import portfolio
from rebalancer.ledger.session import Ledger
from rebalancer.ledger.signal_intake import Addressee, NewSignal
from rebalancer.operations import cash_plans
from rebalancer.operations.schedules import publish_schedules
from tests.integration.strategies.conftest import Desk

ACCOUNT = "DU1000005"
AMOUNT = Decimal(20_000)
IN_A_FORTNIGHT = trading_day(datetime.now(UTC)) + timedelta(days=14)
LEASE = timedelta(minutes=5)


def cash(desk: Desk) -> Decimal:
    """After the newest run."""
    with desk.world.ledger.begin() as session:
        found = portfolio.portfolio(session, ACCOUNT)
    assert found is not None
    return found.cash


def make_due(ledger: Ledger) -> None:
    """Its day of sale has come."""
    with ledger.begin() as session:
        session.execute(update(CashPlanRow).values(sells_at=func.now()))


def test_cash_is_raised_in_time_kept_and_invested_when_it_is_not_wanted_any_more(desk: Desk) -> None:
    desk.configure({ACCOUNT: ""}, "")
    desk.world.start_worker()
    desk.world.finish(desk.world.submit(ACCOUNT, Command.REBALANCE))
    before = cash(desk)
    made = cash_plans.plan(desk.services, ACCOUNT, AMOUNT, IN_A_FORTNIGHT, "Ada")
    assert publish_schedules(desk.services) == 0, "it is not due"
    make_due(desk.world.ledger)
    assert publish_schedules(desk.services) == 1
    assert publish_schedules(desk.services) == 0
    (asked,) = cash_plans.in_force(desk.services)
    assert asked.event_id is not None
    desk.until(asked.event_id, "succeeded")
    assert [one.state for one in cash_plans.in_force(desk.services)] == ["raised"]
    raised = cash(desk)
    assert raised >= before + AMOUNT * Decimal("0.97")

    preview = desk.world.finish(desk.world.submit(ACCOUNT, Command.PRINT_REBALANCE)).result
    assert preview is not None
    assert "20000.00 USD were raised for a day to come, and are kept" in preview["notes"]
    desk.world.finish(desk.world.submit(ACCOUNT, Command.REBALANCE))
    assert cash(desk) >= before + AMOUNT * Decimal("0.97")

    assert cash_plans.what_is_left(cash_plans.cancel(desk.services, made.id, "Ada")).startswith("cancelled: what was")
    desk.world.finish(desk.world.submit(ACCOUNT, Command.REBALANCE))
    assert cash(desk) < before + AMOUNT / 2


def test_a_plan_of_nobody_ends_with_the_reason(desk: Desk) -> None:
    desk.configure({ACCOUNT: ""}, "")
    cash_plans.plan(desk.services, ACCOUNT, AMOUNT, IN_A_FORTNIGHT, "Ada")
    desk.configure({"DU1000002": ""}, "")
    make_due(desk.world.ledger)
    assert publish_schedules(desk.services) == 1
    assert cash_plans.in_force(desk.services) == []
    with desk.world.ledger.begin() as session:
        assert "is not configured" in (session.query(CashPlanRow).one().ended_by or "")


def test_what_cannot_be_planned_is_refused_with_the_reason(desk: Desk) -> None:
    desk.configure({ACCOUNT: ""}, "")
    with pytest.raises(RequestRefused, match="give that day or a later one"):
        cash_plans.plan(desk.services, ACCOUNT, AMOUNT, trading_day(datetime.now(UTC)), "Ada")
    with pytest.raises(RequestRefused, match="cash-plans list"):
        cash_plans.cancel(desk.services, 1, "Ada")


def planned(ledger: Ledger, amount: int) -> CashPlan:
    now = datetime.now(UTC)
    with ledger.begin() as session:
        return ledger_cash_plans.add(session, "DU1", Decimal(amount), by=IN_A_FORTNIGHT, sells_at=now, created_by="Ada")


def raise_next(ledger: Ledger) -> Decimal:
    """Ask for the only plan that is due, and run it; what was kept before."""
    with ledger.begin() as session:
        (one,) = ledger_cash_plans.due(session)
        new = NewSignal("cash-plan", str(one.id), Command.REBALANCE, kind=kind(one.amount))
        (served,) = signal_intake.record(session, new, [Addressee("DU1", "blend")]).served
        ledger_cash_plans.asked(session, one.id, served.event_id, served.request_no)
        assert ledger_cash_plans.due(session) == []
    claim = ownership.claim(ledger, served.event_id, "w/1/1", LEASE)
    assert claim is not None
    with ledger.begin() as session:
        events.succeed(session, claim, {})
    return claim.kept_cash


def kind(amount: Decimal) -> RebalanceKind:
    return RebalanceKind(RebalanceMode.RAISE_CASH, amount)


def test_several_sums_are_raised_one_after_the_other_and_add_up(ledger: Ledger) -> None:
    planned(ledger, 5000)
    planned(ledger, 3000)
    assert [raise_next(ledger), raise_next(ledger)] == [0, 5000]
    with ledger.begin() as session:
        new = NewSignal("blend", "m", Command.REBALANCE)
        (served,) = signal_intake.record(session, new, [Addressee("DU1", "blend")]).served
    claim = ownership.claim(ledger, served.event_id, "w/1/1", LEASE)
    assert claim is not None
    assert claim.kept_cash == 8000


def test_nothing_is_kept_after_its_day(ledger: Ledger) -> None:
    planned(ledger, 5000)
    raise_next(ledger)
    with ledger.begin() as session:
        session.execute(update(CashPlanRow).values(keeps_until=func.now() - timedelta(seconds=1)))
        assert ledger_cash_plans.in_force(session) == []
        new = NewSignal("blend", "m", Command.REBALANCE)
        (served,) = signal_intake.record(session, new, [Addressee("DU1", "blend")]).served
    claim = ownership.claim(ledger, served.event_id, "w/1/1", LEASE)
    assert claim is not None
    assert claim.kept_cash == 0
