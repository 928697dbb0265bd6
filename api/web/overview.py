"""What the first page shows: in ten seconds the owner knows whether all is well."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from api.web.drawing import Bar, Line, bars, line
from rebalancer.config.accounts_file import Account
from rebalancer.domain.approvals import Approval
from rebalancer.health import readiness, settings_in_use
from rebalancer.health.readiness import Check
from rebalancer.health.settings_in_use import Process
from rebalancer.ledger import approvals, halts, heartbeats, schedules
from rebalancer.ledger.halts import Halt
from rebalancer.ledger.queries import event_search, portfolio, signals
from rebalancer.ledger.queries.event_search import EventView
from rebalancer.ledger.queries.portfolio import Runs
from rebalancer.ledger.queries.signals import SignalView
from rebalancer.ledger.session import Session
from rebalancer.ledger.states import ACTIVE, EventState
from rebalancer.services import Services

QUEUE_ROWS = 100
RECENT_ROWS = 10
EQUITY_POINTS = 40
ENDED = (EventState.SUCCEEDED, EventState.REMOVED)


@dataclass(frozen=True, slots=True)
class AccountCard:
    """An account as a card; everything but its configuration is absent before its first run."""

    account: Account
    steerable: bool
    as_of: datetime | None
    net_liquidation: Decimal | None
    cash: Decimal | None
    gain_today: Decimal | None
    drift: Decimal | None
    bars: tuple[Bar, ...]
    equity: Line | None
    runs: Runs
    scheduled_at: datetime | None


@dataclass(frozen=True, slots=True)
class Overview:
    """Everything on the first page."""

    checks: tuple[Check, ...]
    processes: list[Process]
    older: list[str]
    attention: int
    halts: list[Halt]
    approvals: list[Approval]
    cards: tuple[AccountCard, ...]
    queue: list[EventView]
    ended: list[EventView]
    signals: list[SignalView]


def overview(services: Services) -> Overview:
    """Read the first page.

    Raises:
        RecordUnavailable: PostgreSQL is away.
    """
    with services.ledger.begin() as session:
        processes = settings_in_use.processes(heartbeats.known(session))
        return Overview(
            checks=readiness.check_within(services, session),
            processes=processes,
            older=settings_in_use.older(processes),
            attention=event_search.attention(session),
            halts=halts.in_force(session),
            approvals=approvals.pending(session),
            cards=cards(services, session, tuple(services.accounts()), EQUITY_POINTS),
            queue=event_search.find_events(session, ACTIVE, QUEUE_ROWS),
            ended=event_search.find_events(session, ENDED, RECENT_ROWS, newest_first=True),
            signals=signals.find_signals(session, RECENT_ROWS),
        )


def cards(
    services: Services, session: Session, accounts: Sequence[Account], equity_points: int
) -> tuple[AccountCard, ...]:
    """Read the accounts, all with the same few questions."""
    ids = [account.account_id for account in accounts]
    newest = portfolio.portfolios(session, ids)
    runs = portfolio.runs(session, ids)
    equity = portfolio.equity_over_time(session, ids, equity_points)
    now = datetime.now(UTC)
    scheduled: dict[str, datetime] = {}
    for schedule in schedules.everything(session):
        scheduled.setdefault(schedule.account_id, schedule.next_at)
    return tuple(
        AccountCard(
            account=account,
            steerable=account.enabled and account.type is services.settings.broker.trading_mode,
            as_of=known.at if known else None,
            net_liquidation=known.net_liquidation if known else None,
            cash=known.cash if known else None,
            gain_today=known.gain_today(now) if known else None,
            drift=known.drift if known else None,
            bars=bars(known.lines) if known else (),
            equity=line(equity[account.account_id]),
            runs=runs[account.account_id],
            scheduled_at=scheduled.get(account.account_id),
        )
        for account in accounts
        for known in (newest.get(account.account_id),)
    )
