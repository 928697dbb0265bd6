"""The accounts: how they are configured, what they hold, how far they are from their targets."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, ConfigDict, Field

from api.auth import Caller, Given, ReadAllowed, identify
from api.problems import NOT_FOUND, READING, Problem, Responses
from api.state import ServicesOf
from api.values import BaseState, Number, Record, WaitSeconds, WeightState
from api.waiting import answered, ask
from rebalancer.config.accounts_file import Account
from rebalancer.domain.accounts import TradingMode
from rebalancer.domain.cash_flows import CashFlowKind
from rebalancer.domain.commands import Command
from rebalancer.domain.portfolio import BaseCurrency
from rebalancer.domain.scopes import Scope
from rebalancer.ledger.queries import cash_flows, portfolio
from rebalancer.ledger.queries.portfolio import Portfolio, Runs
from rebalancer.ledger.states import EventState
from rebalancer.services import Services

router = APIRouter(prefix="/accounts", tags=["accounts"], dependencies=[ReadAllowed])

MOST_FLOWS = 100
Source = Literal["ledger", "broker"]
Fresh = Annotated[
    bool, Query(description="Ask the broker now instead of the newest record; needs a key that may operate.")
]
GAIN = "USD since the last close, deposits and withdrawals included; null where no record of today says it."
PENDING: Responses = {
    409: {"model": Problem, "description": "Nothing is on record yet, or the broker did not answer in time."},
}


class AccountState(BaseModel):
    """An account, its newest snapshot, and its runs; money in USD, weights and drift as fractions."""

    account_id: str = Field(examples=["DU1000001"])
    type: TradingMode
    enabled: bool
    strategy: str
    cash_reserve_percent: Number
    replacement_set: str | None
    as_of: datetime | None = Field(description="Time of the newest snapshot on record.")
    net_liquidation: Number | None
    cash: Number | None
    base: BaseState | None = Field(default=None, description="Absent for an account that is kept in USD.")
    gain_today: Number | None = Field(description=GAIN)
    drift: Number | None = Field(description="Share of investable equity in wrong securities then.")
    last_rebalance_at: datetime | None
    next_due_at: datetime | None = Field(description="When the active rebalance event is due, if there is one.")
    next_state: EventState | None


class CashFlowRecord(Record):
    """Cash that came or went between two looks at the account; negative for what went."""

    account_id: str
    at: datetime = Field(description="Of the later look.")
    amount: Number
    kind: CashFlowKind | None


class HoldingState(BaseModel):
    """One position; price in USD, weight as a fraction of investable equity, both absent where it is not counted."""

    model_config = ConfigDict(from_attributes=True, extra="ignore")

    symbol: str = Field(examples=["SPY"])
    quantity: Number
    price: Number | None = None
    weight: Number | None = None
    average_cost: Number | None = None


class Positions(BaseModel):
    """What an account holds, and when that was so."""

    account_id: str
    timestamp: datetime
    source: Source = Field(description="ledger: the newest record of a run; broker: asked just now.")
    positions: list[HoldingState]
    weights: list[WeightState] = Field(
        default=[], description="Held against wanted by symbol, cash last, at the newest record with a plan."
    )


class Value(BaseModel):
    """What an account is worth, and when that was so."""

    account_id: str
    net_liquidation: Number
    cash: Number
    base: BaseState | None = Field(default=None, description="Absent for an account that is kept in USD.")
    gain_today: Number | None = Field(description=GAIN)
    timestamp: datetime
    source: Source = Field(description="ledger: the newest record of a run; broker: asked just now.")


def _fresh_caller(request: Request, services: ServicesOf, given: Given, fresh: Fresh = False) -> Caller | None:
    if not fresh:
        return None
    caller = identify(request, services, given)
    caller.require(Scope.OPERATE)
    return caller


FreshCaller = Annotated[Caller | None, Depends(_fresh_caller)]


@router.get("", responses=READING)
def list_accounts(services: ServicesOf) -> list[AccountState]:
    """Every configured account, in the order of the file."""
    with services.ledger.begin() as session:
        accounts = services.accounts()
        ids = [account.account_id for account in accounts]
        newest, runs = portfolio.portfolios(session, ids), portfolio.runs(session, ids)
    return [_state(one, newest.get(one.account_id), runs[one.account_id]) for one in accounts]


@router.get("/{account_id}/positions", responses={**READING, **NOT_FOUND, **PENDING})
async def positions(services: ServicesOf, caller: FreshCaller, account_id: str, wait_s: WaitSeconds = 30) -> Positions:
    """From the newest record of a run, or with ``fresh=true`` from the broker."""
    if caller is None:
        found = await run_in_threadpool(_newest, services, account_id)
        held = [HoldingState.model_validate(one) for one in found.holdings]
        lines = [WeightState.model_validate(line) for line in found.lines]
        return Positions(account_id=account_id, timestamp=found.at, source="ledger", positions=held, weights=lines)
    at, result = await _asked(services, caller, account_id, Command.PRINT_POSITIONS, wait_s)
    held = [HoldingState.model_validate(one) for one in result["positions"]]
    return Positions(account_id=account_id, timestamp=at, source="broker", positions=held)


@router.get("/{account_id}/value", responses={**READING, **NOT_FOUND, **PENDING})
async def value(services: ServicesOf, caller: FreshCaller, account_id: str, wait_s: WaitSeconds = 30) -> Value:
    """From the newest record of a run, or with ``fresh=true`` from the broker."""
    if caller is None:
        found = await run_in_threadpool(_newest, services, account_id)
        return Value(
            account_id=account_id,
            net_liquidation=found.net_liquidation,
            cash=found.cash,
            base=_base(found.base, found.net_liquidation),
            gain_today=found.gain_today(datetime.now(UTC)),
            timestamp=found.at,
            source="ledger",
        )
    at, result = await _asked(services, caller, account_id, Command.PRINT_EQUITY, wait_s)
    equity, previous = Decimal(result["net_liquidation"]), result.get("previous_equity")
    return Value(
        account_id=account_id,
        net_liquidation=equity,
        cash=Decimal(result["cash"]),
        base=_base(BaseCurrency.read(result.get("base")), equity),
        gain_today=None if previous is None else equity - Decimal(previous),
        timestamp=at,
        source="broker",
    )


@router.get("/{account_id}/cash-flows", responses={**READING, **NOT_FOUND})
def list_cash_flows(services: ServicesOf, account_id: str) -> list[CashFlowRecord]:
    """Cash that came or went without a trade, the newest first; what is too small to be told apart is left out."""
    services.accounts().get(account_id)
    with services.ledger.begin() as session:
        return [CashFlowRecord.model_validate(one) for one in cash_flows.newest(session, account_id, MOST_FLOWS)]


async def _asked(
    services: Services, caller: Caller, account_id: str, command: Command, wait_s: float
) -> tuple[datetime, dict[str, Any]]:
    asked = await ask(services, caller, account_id, command, via="GET /accounts?fresh=true")
    found = await answered(services, asked, wait_s)
    if found.result is None or found.finished_at is None:
        raise HTTPException(409, f"No answer yet, event {asked.event_id}: {found.error or found.reason}")
    return found.finished_at, found.result


def _newest(services: Services, account_id: str) -> Portfolio:
    services.accounts().get(account_id)
    with services.ledger.begin() as session:
        found = portfolio.portfolio(session, account_id)
    if found is None:
        raise HTTPException(409, f"Nothing is on record of account {account_id} yet; ask with fresh=true")
    return found


def _base(base: BaseCurrency | None, equity: Decimal) -> BaseState | None:
    if base is None:
        return None
    return BaseState(currency=base.currency, rate=base.rate, cash=base.cash, net_liquidation=base.of(equity))


def _state(account: Account, newest: Portfolio | None, runs: Runs) -> AccountState:
    return AccountState(
        account_id=account.account_id,
        type=account.type,
        enabled=account.enabled,
        strategy=account.strategy,
        cash_reserve_percent=account.cash_reserve_percent,
        replacement_set=account.replacement_set,
        as_of=newest.at if newest else None,
        net_liquidation=newest.net_liquidation if newest else None,
        cash=newest.cash if newest else None,
        base=_base(newest.base, newest.net_liquidation) if newest else None,
        gain_today=newest.gain_today(datetime.now(UTC)) if newest else None,
        drift=newest.drift if newest else None,
        last_rebalance_at=runs.last_rebalance_at,
        next_due_at=runs.next_due_at,
        next_state=runs.next_state,
    )
