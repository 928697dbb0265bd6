"""What the first page shows: in ten seconds the owner knows whether all is well."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from api.web.approvals import IN_FULL, WaitingPlan, waiting_plans
from api.web.drawing import Bar, bars
from rebalancer.config.accounts_file import Account
from rebalancer.domain.money import ZERO
from rebalancer.domain.portfolio import BaseCurrency
from rebalancer.health import settings_in_use
from rebalancer.health.headline import Standing, standing
from rebalancer.health.settings_in_use import Process
from rebalancer.ledger import halts, heartbeats, schedules
from rebalancer.ledger.halts import Halt
from rebalancer.ledger.queries import event_search, portfolio, signals
from rebalancer.ledger.queries.event_search import EventView, QueueStatus
from rebalancer.ledger.queries.portfolio import Runs
from rebalancer.ledger.queries.signals import SignalView
from rebalancer.ledger.session import Session
from rebalancer.ledger.states import ACTIVE, EventState
from rebalancer.services import Services

QUEUE_ROWS = 25
RECENT_ROWS = 10
FULL_BAR = Decimal("0.10")
"""A drift from here on fills its bar."""
BAR_STEPS = 10
ENDED = (EventState.SUCCEEDED, EventState.REMOVED)


@dataclass(frozen=True, slots=True)
class AccountCard:
    """An account as a row or a card; everything but its configuration is absent before its first run.

    Attributes:
        drift_step: length of the drift's bar, 0-10.
        bars: none in a row.
        halted: nothing is traded for it until a person resumes it.
        base: ``None`` for an account that is kept in dollars.
    """

    account: Account
    steerable: bool
    as_of: datetime | None
    net_liquidation: Decimal | None
    cash: Decimal | None
    gain_today: Decimal | None
    drift: Decimal | None
    drift_step: int
    bars: tuple[Bar, ...]
    runs: Runs
    scheduled_at: datetime | None
    halted: bool
    base: BaseCurrency | None


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums in USD over the accounts of this mode, each as it was last seen; ``None`` where no account is known.

    Attributes:
        known: accounts whose equity is.
        today_known: accounts whose gain of today is.
        accounts: how many there are.
    """

    net_liquidation: Decimal | None
    cash: Decimal | None
    gain_today: Decimal | None
    known: int
    today_known: int
    accounts: int


@dataclass(frozen=True, slots=True)
class Overview:
    """Everything on the first page.

    Attributes:
        folded: plans are so many that each is a line, which opens.
        known: accounts by id.
    """

    standing: Standing
    totals: Totals
    processes: list[Process]
    older: list[str]
    plans: tuple[WaitingPlan, ...]
    folded: bool
    known: Mapping[str, Account]
    rows: tuple[AccountCard, ...]
    queued: QueueStatus
    queue: list[EventView]
    ended: list[EventView]
    signals: list[SignalView]


def overview(services: Services) -> Overview:
    """Read the first page.

    Raises:
        RecordUnavailable: PostgreSQL is away.
    """
    accounts = tuple(services.accounts())
    with services.ledger.begin() as session:
        processes = settings_in_use.processes(heartbeats.known(session))
        plans = waiting_plans(session)
        stands = standing(services, session, len(plans))
        rows = cards(services, session, accounts, stands.halts)
        return Overview(
            standing=stands,
            totals=totals(row for row in rows if row.steerable),
            processes=processes,
            older=settings_in_use.older(processes),
            plans=plans,
            folded=len(plans) > IN_FULL,
            known={account.account_id: account for account in accounts},
            rows=rows,
            queued=event_search.queue_status(session),
            queue=event_search.find_events(session, ACTIVE, QUEUE_ROWS),
            ended=event_search.find_events(session, ENDED, RECENT_ROWS, newest_first=True),
            signals=signals.find_signals(session, RECENT_ROWS),
        )


def cards(
    services: Services,
    session: Session,
    accounts: Sequence[Account],
    in_force: Iterable[Halt],
    *,
    with_bars: bool = False,
) -> tuple[AccountCard, ...]:
    """Read the accounts, all with the same few questions.

    Args:
        in_force: the halts that are.
        with_bars: for cards; rows have none.
    """
    ids = [account.account_id for account in accounts]
    mode, configured = services.settings.broker.trading_mode, services.accounts()
    newest = portfolio.portfolios(session, ids)
    runs = portfolio.runs(session, ids)
    now = datetime.now(UTC)
    halted = {halt.scope for halt in in_force}
    scheduled: dict[str, datetime] = {}
    for schedule in schedules.everything(session):
        scheduled.setdefault(schedule.account_id, schedule.next_at)
    return tuple(
        AccountCard(
            account=account,
            steerable=account.enabled and account.type is configured.mode_of(account, mode),
            as_of=known.at if known else None,
            net_liquidation=known.net_liquidation if known else None,
            cash=known.cash if known else None,
            gain_today=known.gain_today(now) if known else None,
            drift=(drift := known.drift if known else None),
            drift_step=_bar_step(drift),
            bars=bars(known.lines) if known and with_bars else (),
            runs=runs[account.account_id],
            scheduled_at=scheduled.get(account.account_id),
            halted=bool(halted & {halts.EVERYTHING, account.account_id}),
            base=known.base if known else None,
        )
        for account in accounts
        for known in (newest.get(account.account_id),)
    )


def totals(rows: Iterable[AccountCard]) -> Totals:
    """Sum what is known; what is not is counted."""
    every = list(rows)
    known = [row for row in every if row.net_liquidation is not None]
    gains = [row.gain_today for row in every if row.gain_today is not None]
    return Totals(
        net_liquidation=sum((row.net_liquidation or ZERO for row in known), ZERO) if known else None,
        cash=sum((row.cash or ZERO for row in known), ZERO) if known else None,
        gain_today=sum(gains, ZERO) if gains else None,
        known=len(known),
        today_known=len(gains),
        accounts=len(every),
    )


def _bar_step(drift: Decimal | None) -> int:
    """A drift that shows as 0.0 % has no bar."""
    if drift is None or drift < Decimal("0.0005"):
        return 0
    return max(1, min(BAR_STEPS, round(drift / FULL_BAR * BAR_STEPS)))
