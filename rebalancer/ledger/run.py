"""One run of an event: its lease, and everything that goes on record while it lasts."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any, Concatenate, Literal, ParamSpec, TypeVar

from rebalancer.domain.account_history import AfterSnapshot, LastTrade, OrderRecord, Seen, Strangers, Traded
from rebalancer.domain.approvals import Approval, Question
from rebalancer.domain.claims import Claim
from rebalancer.domain.errors import LeaseLost, OrderRejected, RecordUnavailable, RemovalRequested
from rebalancer.domain.household import Household
from rebalancer.domain.orders import OrderRequest, OrderTrace, OrderUpdate, SentOrder
from rebalancer.domain.outcomes import Blocked
from rebalancer.domain.portfolio import AccountSnapshot, ProposedOrder, StrategyPart
from rebalancer.domain.run_record import Observed, RunRecord
from rebalancer.ledger import (
    approvals,
    automatic_halts,
    cash_plans,
    halts,
    installations,
    last_trading_run,
    ownership,
    previous_trades,
    recovered_orders,
    sent_orders,
    strategy_holds,
    unacknowledged_orders,
)
from rebalancer.ledger import orders as order_records
from rebalancer.ledger.lease import Lease
from rebalancer.ledger.queries import household_trades, trading_activity
from rebalancer.ledger.run_ledger import RunLedger
from rebalancer.ledger.session import Ledger, Session
from rebalancer.ledger.states import EventState

P = ParamSpec("P")
T = TypeVar("T")


class Run(RunRecord):
    """The record of a run in PostgreSQL. What the methods do is said there; each is a transaction of its own, see
    :class:`~rebalancer.ledger.run_ledger.RunLedger`.
    """

    def __init__(self, ledger: Ledger, claim: Claim, length: timedelta) -> None:
        self.lease = Lease(ledger, claim, length)
        self._claim = claim
        self._ledger = RunLedger(ledger, claim, self.lease)
        self._known_identity: tuple[str, datetime | None] | None = None
        self._known_at_rest = False

    # -- the right to work on the event -----------------------------------------------------------------------------

    @property
    def claim(self) -> Claim:
        return self._claim

    @contextmanager
    def kept_alive(self) -> Iterator[None]:
        """Renew the lease in a thread, and keep one connection, as long as the block runs."""
        with self.lease.kept_alive(), self._ledger.kept():
            yield

    def end(self, transition: Callable[[Session], EventState]) -> EventState:
        """Put on record how it ended.

        Raises:
            LeaseLost: another attempt owns the event.
        """
        return self._ledger.do(transition)

    def checkpoint(self) -> None:
        self.clearance()

    def require_lease(self) -> None:
        self._confirmed(lambda: self._ledger.patiently(self.lease.renew))

    def clearance(self) -> list[Blocked]:
        wanted, found = self._confirmed(lambda: self._ledger.read(halts.clearance, self.claim))
        if not wanted or self.lease.removal_requested:
            raise RemovalRequested(f"event {self.claim.event_id} was removed by an operator")
        return [halt.blocks for halt in found]

    def _confirmed(self, asked: Callable[[], T]) -> T:
        """What the ledger says of the lease, which our own clock has to allow, too."""
        self.fence()
        try:
            return asked()
        except RecordUnavailable as error:
            raise self._unconfirmed(error) from error

    def _unconfirmed(self, error: RecordUnavailable) -> LeaseLost:
        return LeaseLost(f"the ledger cannot confirm the lease of event {self.claim.event_id}: {error}")

    def fence(self) -> None:
        self.lease.require()

    # -- what it sees and decides -----------------------------------------------------------------------------------

    def decided(self, inputs: dict[str, Any], plan: dict[str, Any], before: Observed | None = None) -> None:
        def put(session: Session) -> None:
            order_records.record_decision(session, self.claim, inputs, plan)
            if before is not None:
                order_records.record_snapshot(session, self.claim, "before", *before)

        self._ledger.write(put)

    def planned_again(self, why: str, inputs: dict[str, Any], plan: dict[str, Any]) -> None:
        self._ledger.write(order_records.record_round, self.claim, why, inputs, plan)

    def observed(
        self, moment: Literal["before", "after"], snapshot: AccountSnapshot, positions: Sequence[dict[str, Any]]
    ) -> None:
        self._ledger.write(order_records.record_snapshot, self.claim, moment, snapshot, positions)

    def approval(self) -> Approval | None:
        return self._ledger.read(approvals.current, self.claim)

    def ask(self, question: Question) -> None:
        self._ledger.write(approvals.ask, self.claim, question)

    def use(self, approval: Approval, by: str | None = None) -> None:
        self._ledger.write(approvals.use, approval.id, by)

    # -- orders -----------------------------------------------------------------------------------------------------

    def _change_orders(
        self, change: Callable[Concatenate[Session, P], object], *arguments: P.args, **named: P.kwargs
    ) -> None:
        self._known_at_rest = False
        self._ledger.write(change, *arguments, **named)

    def _at_rest(self) -> bool:
        """Nothing is left of the account's orders that anything could be asked of. While the run has the account to
        itself it alone changes that.
        """
        if self._claim.command.touches_orders and not self._known_at_rest:
            self._known_at_rest = self._ledger.read(sent_orders.at_rest, self.claim.account_id)
        return self._known_at_rest

    def intend(self, orders: Sequence[tuple[ProposedOrder, OrderRequest]]) -> None:
        def intended(session: Session) -> None:
            ownership.require_wanted(session, self.claim)
            order_records.record_intents(session, self.claim, orders)

        self.fence()
        self._known_at_rest = False
        try:
            self._ledger.do(intended)
        except RecordUnavailable as error:
            if error.away:
                raise self._unconfirmed(error) from error
            raise

    def heard(self, reports: Sequence[OrderUpdate]) -> None:
        self._change_orders(order_records.record_updates, reports)

    def finalize(self, order_refs: Sequence[str]) -> None:
        self._change_orders(order_records.finalize, order_refs)

    def never_sent(self, order_refs: Collection[str], why: str) -> None:
        self._change_orders(order_records.record_never_sent, order_refs, why)

    def interrupted(self, order_refs: Collection[str], why: str) -> None:
        self._change_orders(unacknowledged_orders.interrupted, order_refs, why)

    def traced(self, order_refs: Collection[str], traces: Mapping[str, OrderTrace], listed_since: datetime) -> None:
        unknown = [ref for ref in order_refs if ref not in traces]

        def put(session: Session) -> None:
            for trace in traces.values():
                order_records.record_trace(session, trace)
            unacknowledged_orders.left_silent(session, unknown, listed_since)
            order_records.record_missing(session, unknown, listed_since)

        self._change_orders(put)

    def recover(self, traces: Iterable[OrderTrace]) -> None:
        self._change_orders(recovered_orders.record, self.claim, traces)

    def orders(self) -> tuple[OrderRecord, ...]:
        return self._ledger.read(order_records.orders_of, self.claim)

    def unresolved(self) -> list[SentOrder]:
        return [] if self._at_rest() else self._ledger.read(sent_orders.unresolved_orders, self.claim.account_id)

    def unexplained(self) -> list[SentOrder]:
        return [] if self._at_rest() else self._ledger.read(sent_orders.unexplained_orders, self.claim.account_id)

    def refused(self) -> Mapping[str, OrderRejected]:
        found = [] if self._at_rest() else self._ledger.read(sent_orders.refused_orders, self.claim.account_id)
        return {one.order_ref: one for one in found}

    def unacknowledged(self) -> list[str]:
        if self._at_rest():
            return []
        waiting = self._ledger.read(unacknowledged_orders.waiting, [self.claim.account_id])
        return [order.order_ref for order in waiting]

    def witnesses(self, since: datetime) -> list[SentOrder]:
        return self._ledger.read(sent_orders.witnesses, self.claim.account_id, since)

    def perm_ids(self) -> frozenset[int]:
        return self._ledger.read(sent_orders.perm_ids)

    # -- halts ------------------------------------------------------------------------------------------------------

    def halts(self) -> list[Blocked]:
        return [halt.blocks for halt in self._ledger.read(halts.in_force, self.claim.account_id)]

    def strategy_hold(self) -> Blocked | None:
        held = self._ledger.read(strategy_holds.of_account, self.claim.account_id)
        return None if held is None else held.blocks

    def hold_unacknowledged(self, order_refs: Collection[str]) -> Blocked:
        return self._ledger.write(automatic_halts.unacknowledged_orders, self.claim.account_id, order_refs).blocks

    def hold_for_others(self, order_refs: Collection[str]) -> Blocked:
        return self._ledger.write(automatic_halts.other_installation, self.claim.account_id, order_refs).blocks

    def release_unacknowledged(self, gateway: str) -> None:
        if self._ledger.read(automatic_halts.anything_to_release, self.claim):
            self._ledger.write(automatic_halts.release_unacknowledged, self.claim.account_id, gateway)

    # -- what is known of the account -------------------------------------------------------------------------------

    def traded_since(self, since: datetime) -> Traded:
        return self._ledger.read(trading_activity.traded_since, self.claim.account_id, since)

    def traded_everywhere_since(self, since: datetime) -> Traded:
        return self._ledger.read(trading_activity.traded_everywhere_since, self.claim, since)

    def household(self, symbols: Collection[str], since: datetime) -> Household:
        return self._ledger.read(household_trades.household, self.claim, symbols, since)

    def cash_planned(self) -> bool:
        return bool(self._ledger.read(cash_plans.in_force, self.claim.account_id))

    def last_rebalance(self) -> datetime | None:
        return self._ledger.read(trading_activity.last_rebalance, self.claim)

    def last_run(self, within: timedelta) -> AfterSnapshot | None:
        return self._ledger.read(last_trading_run.last_run, self.claim.account_id, within)

    def seen(self, within: timedelta) -> Seen | None:
        return self._ledger.read(last_trading_run.seen, self.claim.account_id, within)

    def ever_traded(self) -> bool:
        return self._ledger.read(trading_activity.ever_traded, self.claim.account_id)

    def last_trade(self) -> LastTrade | None:
        return self._ledger.read(previous_trades.known, self.claim.account_id)

    def last_targets(self) -> tuple[StrategyPart, ...]:
        return self._ledger.read(previous_trades.last_targets, self.claim.account_id)

    def installation(self) -> str:
        return self._identity()[0]

    def strangers(self, seen: Mapping[str, datetime | None]) -> Strangers:
        return self._ledger.read(installations.strangers, seen, self._identity()[1])

    def _identity(self) -> tuple[str, datetime | None]:
        """Who we are and when the ledger was restored, which no run outlives; whom a restore has retired is on record
        afterwards.
        """
        if self._known_identity is None:
            identity = self._ledger.read(installations.known) or self._ledger.do(installations.current)
            self._known_identity = identity, self._ledger.read(recovered_orders.restored_at)
        return self._known_identity
