"""Turns schedules whose time has come into signals, through the one way in."""

from __future__ import annotations

from datetime import UTC, datetime

import structlog

from rebalancer.config.accounts_file import Accounts
from rebalancer.domain.accounts import TradingMode
from rebalancer.domain.errors import ConfigurationError
from rebalancer.ledger import schedules
from rebalancer.ledger.schedules import Schedule
from rebalancer.ledger.signal_intake import Addressee, NewSignal
from rebalancer.operations.cash_plans import publish_due
from rebalancer.services import Services

log = structlog.get_logger()

CHANNEL = "schedule"


def publish_schedules(services: Services) -> int:
    """Record a signal for each schedule and each cash plan that is due, and move the schedule on.

    Two processes may do so at once, or one may die in between: the occurrence's message id makes one signal of it.

    Returns:
        How many were served; 0 while the accounts file is wrong, which keeps them due.

    Raises:
        RecordUnavailable: PostgreSQL is away.
    """
    if not services.ledger.finds(schedules.ANY_DUE):
        return 0
    with services.ledger.begin() as session:
        due = schedules.due(session)
    try:
        accounts = services.accounts()
    except ConfigurationError as wrong:
        log.error("schedules_wait", error=str(wrong), due=len(due))
        return 0
    return sum(_serve(services, one, accounts) for one in due) + publish_due(services, accounts)


def _serve(services: Services, due: Schedule, accounts: Accounts) -> bool:
    """Whether it worked; a schedule that cannot be served stays due, and keeps no other waiting."""
    try:
        _submit(services, due, accounts)
        with services.ledger.begin() as session:
            schedules.advance(session, due, datetime.now(UTC))
    except Exception as error:  # noqa: BLE001 - whatever is wrong with one, the others are served
        log.error(
            "schedule_failed", schedule=due.id, account_id=due.account_id, error=f"{type(error).__name__}: {error}"
        )
        return False
    return True


def _submit(services: Services, due: Schedule, accounts: Accounts) -> None:
    addressees = _addressees(due, accounts, services.settings.broker.trading_mode)
    remark = None if addressees else f"account {due.account_id} is not configured, switched off or of the other mode"
    payload = {"schedule": due.id, "recurrence": str(due.recurrence)}
    signal = NewSignal(
        channel=CHANNEL,
        message_id=due.message_id,
        command=due.command,
        payload=payload,
        remark=remark,
        published_at=due.next_at,
    )
    recorded = services.dispatcher.submit(signal, addressees)
    log.info("schedule_due", schedule=due.id, account_id=due.account_id, duplicate=recorded.duplicate, remark=remark)


def _addressees(due: Schedule, accounts: Accounts, mode: TradingMode) -> list[Addressee]:
    """The schedule's account, if it may be traded."""
    active = (account for account in accounts.active(mode) if account.account_id == due.account_id)
    return [Addressee.of(account) for account in active]
