"""Whoever keeps records of runs: PostgreSQL, and the record in memory that tests of use cases have."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Protocol
from uuid import uuid4

from sqlalchemy import update

from rebalancer.domain.approvals import ApprovalState, Question
from rebalancer.domain.commands import Command
from rebalancer.domain.order_states import OrderStatus
from rebalancer.domain.orders import CommissionReport, Fill, OrderRequest, OrderTrace, StatusUpdate
from rebalancer.domain.outcomes import FOREVER, Blocked
from rebalancer.domain.portfolio import AccountSnapshot, OrderType, Position, ProposedOrder, Side, TimeInForce
from rebalancer.domain.rule_names import Rule
from rebalancer.domain.run_record import RunRecord
from rebalancer.domain.strategy_holds import CanaryTerms, StrategyGuard
from rebalancer.domain.units import Ratio
from rebalancer.ledger import cash_plans, events, gateways, halts, ownership, signal_intake
from rebalancer.ledger.halts import EVERYTHING
from rebalancer.ledger.models import ApprovalRow, HaltRow
from rebalancer.ledger.run import Run
from rebalancer.ledger.session import Ledger
from rebalancer.ledger.signal_intake import Addressee, NewSignal
from tests import memory_record
from tests.memory_record import MemoryLedger

ACCOUNT, OTHER = "DU1", "DU2"
GATEWAY = "gateway:4002"
LEASE = timedelta(seconds=60)
LATELY = timedelta(hours=1)


class Keeper(Protocol):
    """Keeps records of runs, and does what others than the run do to them."""

    def claim(self, account_id: str = ACCOUNT, lease_s: float = 60) -> RunRecord:
        """The first attempt of a new event; at most one of an account."""

    def take_over(self, run: RunRecord) -> RunRecord:
        """The next attempt of the event, whose worker is taken for dead."""

    def succeed(self, run: RunRecord) -> None: ...

    def remove(self, run: RunRecord) -> None: ...

    def cut_off(self, run: RunRecord) -> RunRecord:
        """The same run, for as long as the record is away."""

    def halt(self, scope: str) -> None: ...

    def resume(self, scope: str) -> None: ...

    def approve(self, run: RunRecord) -> None: ...

    def hold_strategy(self, run: RunRecord) -> None:
        """Its account waits for another one, which trades first."""

    def plan_cash(self, run: RunRecord) -> None:
        """Its owner wants some by a day to come."""

    def gateway_restarts(self) -> None: ...

    def restore(self) -> None:
        """From a backup that is older than all orders."""


class InPostgres:
    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def claim(self, account_id: str = ACCOUNT, lease_s: float = 60) -> RunRecord:
        with self._ledger.begin() as session:
            signal = NewSignal("blend", uuid4().hex, Command.REBALANCE, {})
            made = signal_intake.record(session, signal, [Addressee(account_id, "blend")])
        return self._claimed(made.served[0].event_id, timedelta(seconds=lease_s))

    def _claimed(self, event_id: Any, lease: timedelta = LEASE) -> Run:
        claim = ownership.claim(self._ledger, event_id, "test", lease)
        assert claim is not None
        return Run(self._ledger, claim, lease)

    def take_over(self, run: RunRecord) -> RunRecord:
        with self._ledger.begin() as session:
            events.reap(session, timedelta(), timedelta(), ["test"])
        return self._claimed(run.claim.event_id)

    def succeed(self, run: RunRecord) -> None:
        with self._ledger.begin() as session:
            events.succeed(session, run.claim, {})

    def remove(self, run: RunRecord) -> None:
        with self._ledger.begin() as session:
            events.remove(session, run.claim.event_id, "by ada")

    def cut_off(self, run: RunRecord) -> RunRecord:
        nobody = Ledger("postgresql+psycopg2://nobody@127.0.0.1:9/nothing")
        return Run(nobody, run.claim, timedelta(seconds=0.3))

    def halt(self, scope: str) -> None:
        with self._ledger.begin() as session:
            halts.halt(session, scope, "fire drill", "ada")

    def resume(self, scope: str) -> None:
        with self._ledger.begin() as session:
            halts.resume(session, scope, "ada")

    def approve(self, run: RunRecord) -> None:
        """As a person does it, once the event is held."""
        asked = run.approval()
        assert asked is not None
        with self._ledger.begin() as session:
            session.execute(
                update(ApprovalRow)
                .where(ApprovalRow.id == asked.id)
                .values(state=ApprovalState.APPROVED, decided_by="ada", decided_at=datetime.now(UTC))
            )

    def hold_strategy(self, run: RunRecord) -> None:
        guard = StrategyGuard(CanaryTerms(Ratio(Decimal(1)), LATELY))
        with self._ledger.begin() as session:
            signal = NewSignal("blend", uuid4().hex, Command.REBALANCE, {})
            both = [Addressee(account_id, "blend", guard=guard) for account_id in ("DU0", run.claim.account_id)]
            signal_intake.record(session, signal, both)

    def plan_cash(self, run: RunRecord) -> None:
        day = now() + timedelta(days=9)
        with self._ledger.begin() as session:
            cash_plans.add(session, run.claim.account_id, Decimal(500), by=day.date(), sells_at=day, created_by="ada")

    def gateway_restarts(self) -> None:
        with self._ledger.begin() as session:
            gateways.away(session, GATEWAY)

    def restore(self) -> None:
        with self._ledger.begin() as session:
            session.add(HaltRow(scope=EVERYTHING, reason="restored", by="restore"))


class InMemory:
    def __init__(self) -> None:
        self._ledger = MemoryLedger()

    def claim(self, account_id: str = ACCOUNT, lease_s: float = 60) -> RunRecord:
        return memory_record.claim(self._ledger, account_id, lease_s=lease_s)

    def take_over(self, run: RunRecord) -> RunRecord:
        return memory_record.take_over(self._ledger, run)

    def succeed(self, run: RunRecord) -> None:
        self._ledger.succeed(run)

    def remove(self, run: RunRecord) -> None:
        self._ledger.remove(run)

    def cut_off(self, run: RunRecord) -> RunRecord:
        self._ledger.away = True
        return run

    def halt(self, scope: str) -> None:
        self._ledger.halt(scope)

    def resume(self, scope: str) -> None:
        self._ledger.resume(scope)

    def approve(self, run: RunRecord) -> None:
        self._ledger.decide(run, ApprovalState.APPROVED)

    def hold_strategy(self, run: RunRecord) -> None:
        self._ledger.held_strategies[run.claim.account_id] = Blocked(Rule.CANARY, "DU0 trades first", FOREVER)

    def plan_cash(self, run: RunRecord) -> None:
        self._ledger.cash_planned.add(run.claim.account_id)

    def gateway_restarts(self) -> None:
        self._ledger.gateway_restarts(GATEWAY)

    def restore(self) -> None:
        self._ledger.restore()


def now() -> datetime:
    return datetime.now(UTC)


def ref(run: RunRecord, number: int = 1) -> str:
    return f"{run.claim.event_id.hex[:12]}-{run.claim.attempt}-{number:02d}"


def an_order(run: RunRecord, number: int = 1) -> tuple[ProposedOrder, OrderRequest]:
    """10 SPY are bought at 100 USD."""
    asked = OrderRequest(
        ref(run, number), run.claim.account_id, "SPY", 1001, Side.BUY, 10, OrderType.MARKET, TimeInForce.DAY
    )
    return ProposedOrder("SPY", Side.BUY, 10, Decimal(100), Decimal(1), "a test"), asked


def status(order_ref: str, name: OrderStatus, filled: int = 0, **fields: Any) -> StatusUpdate:
    return replace(StatusUpdate(order_ref, now(), name, Decimal(filled), Decimal(10 - filled), 11, 7, 4711), **fields)


def fill(order_ref: str, quantity: int, total: int, execution: str = "e.01.01", price: str = "101") -> Fill:
    shares = Decimal(quantity)
    return Fill(order_ref, execution, now(), ACCOUNT, "SPY", Side.BUY, shares, Decimal(price), Decimal(total), 4711)


def trace(order_ref: str, name: OrderStatus, *fills: Fill, is_open: bool = False) -> OrderTrace:
    return OrderTrace(order_ref, name, is_open, 4711, fills, ())


def snapshot(run: RunRecord, cash: int = 5000) -> AccountSnapshot:
    """100 SPY at 100 USD, an option without a price."""
    held = (Position("SPY", Decimal(100)), Position("SPY 260116C", Decimal(2), security_type="OPT"))
    return AccountSnapshot(run.claim.account_id, now(), Decimal(15_400), Decimal(cash), None, None, held)


POSITIONS: list[dict[str, Any]] = [
    {"symbol": "SPY", "quantity": "100", "price": "100"},
    {"symbol": "SPY 260116C", "quantity": "2", "price": None},
]
PLAN: dict[str, Any] = {"orders": [{"quantity": 10, "price": "100"}, {"quantity": 5, "price": "20"}]}
INPUTS: dict[str, Any] = {
    "targets": {"strategy": "blend", "weights": {"SPY": "0.6", "GLD": "0.4", "OLD": "0"}},
    "gateway": {"address": GATEWAY, "login": "abc"},
}


def traded(keeper: Keeper, account_id: str = ACCOUNT) -> RunRecord:
    """A run that has bought 10 SPY at 101 USD for a commission of 1 USD."""
    run = keeper.claim(account_id)
    run.decided(INPUTS, PLAN, (snapshot(run), POSITIONS))
    run.intend([an_order(run)])
    run.heard([status(ref(run), OrderStatus.SUBMITTED), fill(ref(run), 10, 10)])
    run.heard([status(ref(run), OrderStatus.FILLED, 10), CommissionReport("e.01.01", Decimal(1), "USD")])
    run.finalize([ref(run)])
    return run


def question(reason: str = "too large") -> Question:
    return Question((reason,), {"SPY": Decimal(1000)}, {"equity": "1000"}, None, now() + LATELY)
