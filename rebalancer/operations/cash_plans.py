"""Cash by a day: a person asks, beat has it raised in time. The command line and the API call the same functions."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import structlog

from rebalancer.config.accounts_file import Accounts
from rebalancer.domain.cash_plans import CashPlan, CashPlanState, sale_time
from rebalancer.domain.commands import Command
from rebalancer.domain.errors import RequestRefused
from rebalancer.domain.rebalance_kinds import RebalanceKind, RebalanceMode
from rebalancer.ledger import cash_plans
from rebalancer.ledger.queries import portfolio
from rebalancer.ledger.session import Session
from rebalancer.ledger.signal_intake import Addressee, NewSignal
from rebalancer.operations.requests import read_account
from rebalancer.services import Services

log = structlog.get_logger()

CHANNEL = "cash-plan"


def plan(services: Services, account_id: str, amount: Decimal, by: date, created_by: str) -> CashPlan:
    """Have an amount beyond the reserve settled by a day; what needs no waiting is asked for within a second.

    Args:
        amount: USD, positive.

    Raises:
        UnknownAccount, RequestRefused: the account cannot be traded, no sale settles by then, or it is not worth so
            much.
    """
    account = read_account(services.accounts(), account_id, services.settings.broker.trading_mode)
    try:
        sells_at = sale_time(by, datetime.now(UTC))
    except ValueError as too_late:
        raise RequestRefused(str(too_late)) from too_late
    with services.ledger.begin() as session:
        _require_worth(session, account.account_id, amount)
        made = cash_plans.add(session, account.account_id, amount, by=by, sells_at=sells_at, created_by=created_by)
    log.info("cash_planned", plan=made.id, account_id=account_id, by=created_by, sells_at=sells_at.isoformat())
    return made


def _require_worth(session: Session, account_id: str, amount: Decimal) -> None:
    """Its run would refuse it, on a day on which nothing else can be done about it."""
    newest = portfolio.portfolios(session, [account_id]).get(account_id)
    if newest is not None and amount >= newest.net_liquidation:
        worth = f"{newest.net_liquidation:,.2f} USD at its newest look, {newest.at:%Y-%m-%d}"
        raise RequestRefused(f"{amount:,.2f} USD cannot be raised: {account_id} was worth {worth}")


def in_force(services: Services, account_id: str | None = None) -> list[CashPlan]:
    """Plans whose day has not passed, the next sale first."""
    with services.ledger.begin() as session:
        return cash_plans.in_force(session, account_id)


def cancel(services: Services, plan_id: int, by: str) -> CashPlan:
    """End a plan: nothing is sold for it, or what was raised is free to be invested.

    Returns:
        How far it was; an event that has it already raises the cash all the same.

    Raises:
        RequestRefused: none of that number is in force.
    """
    with services.ledger.begin() as session:
        ended = cash_plans.end(session, plan_id, by)
    if ended is None:
        raise RequestRefused(f"no cash plan {plan_id} is in force; `rebalancer cash-plans list` shows those that are")
    log.warning("cash_plan_cancelled", plan=plan_id, state=ended.state, by=by)
    return ended


def what_is_left(ended: CashPlan) -> str:
    """What a person has to know of a plan that was cancelled."""
    if ended.state is CashPlanState.ASKED:
        return f"cancelled; event {ended.event_id} has it already: remove it, or the cash is raised all the same"
    return "cancelled: what was raised may be invested" if ended.state is CashPlanState.RAISED else "cancelled"


def publish_due(services: Services, accounts: Accounts) -> int:
    """Record a signal for each plan whose sale is due: its id makes one of it, whoever dies in between.

    Returns:
        How many.

    Raises:
        RecordUnavailable: PostgreSQL is away.
    """
    with services.ledger.begin() as session:
        plans = cash_plans.due(session)
    for one in plans:
        _publish(services, one, accounts)
    return len(plans)


def _publish(services: Services, one: CashPlan, accounts: Accounts) -> None:
    active = accounts.active(services.settings.broker.trading_mode)
    addressees = [Addressee.of(account) for account in active if account.account_id == one.account_id]
    signal = NewSignal(
        channel=CHANNEL,
        message_id=str(one.id),
        command=Command.REBALANCE,
        payload={"cash_plan": one.id, "by": one.by.isoformat(), "amount": str(one.amount)},
        remark=None if addressees else f"account {one.account_id} is not configured, switched off or of the other mode",
        kind=RebalanceKind(RebalanceMode.RAISE_CASH, one.amount),
    )
    recorded = services.dispatcher.submit(signal, addressees)
    with services.ledger.begin() as session:
        for served in recorded.served:
            cash_plans.asked(session, one.id, served.event_id, served.request_no)
        if not recorded.served:
            cash_plans.end(session, one.id, signal.remark or "nobody to raise it")
    log.info(
        "cash_plan_due", plan=one.id, account_id=one.account_id, duplicate=recorded.duplicate, remark=signal.remark
    )
