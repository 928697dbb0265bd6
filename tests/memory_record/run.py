"""One run's record."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import reduce
from typing import Any, Literal
from uuid import UUID, uuid4

from rebalancer.domain.account_history import AfterSnapshot, LastTrade, OrderRecord, Seen, Strangers, Traded
from rebalancer.domain.approvals import Approval, ApprovalState, Question
from rebalancer.domain.claims import Claim
from rebalancer.domain.commands import Command
from rebalancer.domain.errors import LeaseLost, OrderRejected, RecordUnavailable, RemovalRequested
from rebalancer.domain.household import Household, Intention
from rebalancer.domain.money import ZERO
from rebalancer.domain.order_progress import OrderProgress, addressees
from rebalancer.domain.order_refs import OrderRef
from rebalancer.domain.order_states import OrderStatus
from rebalancer.domain.orders import OrderRequest, OrderTrace, OrderUpdate, SentOrder, StatusUpdate
from rebalancer.domain.outcomes import Blocked
from rebalancer.domain.portfolio import AccountSnapshot, ProposedOrder, Side, StrategyPart
from rebalancer.domain.rebalance_kinds import RebalanceKind
from rebalancer.domain.run_record import Observed, RunRecord
from rebalancer.ledger import automatic_halts, unacknowledged_orders
from rebalancer.ledger.halts import EVERYTHING
from rebalancer.ledger.orders import ENDED, NEVER_SENT, NOT_FOUND, PLANNED, REFUSED, RELEASED, UNACKNOWLEDGED, UNLISTED
from rebalancer.ledger.previous_trades import parts_on_record
from tests.memory_record import history
from tests.memory_record.ledger import MemoryLedger
from tests.memory_record.rows import Attempt, Sent, Snapshot

STRATEGY = "blend"
DAY = timedelta(days=1)
FULL = RebalanceKind()


class MemoryRun(RunRecord):
    """One run's record in a :class:`MemoryLedger`; it does not wait while that is away."""

    def __init__(self, ledger: MemoryLedger, claim: Claim, lease_s: float) -> None:
        self._ledger = ledger
        self._claim = claim
        self._attempt = (claim.event_id, claim.attempt)
        self._lease_s = lease_s
        self._deadline = time.monotonic() + lease_s

    # -- the right to work on the event -----------------------------------------------------------------------------

    @property
    def claim(self) -> Claim:
        return self._claim

    def checkpoint(self) -> None:
        self.require_lease()
        if self.claim.event_id in self._ledger.removed:
            raise RemovalRequested(f"event {self.claim.event_id} was removed by an operator")

    def clearance(self) -> list[Blocked]:
        self.checkpoint()
        return self.halts()

    def require_lease(self) -> None:
        self.fence()
        try:
            self._written()
        except RecordUnavailable as away:
            raise LeaseLost("the lease cannot be confirmed") from away
        self._deadline = time.monotonic() + self._lease_s

    def fence(self) -> None:
        if time.monotonic() >= self._deadline:
            raise LeaseLost("the lease has passed")

    def _read(self) -> MemoryLedger:
        if self._ledger.away:
            raise RecordUnavailable("the ledger is away", away=True)
        return self._ledger

    def _written(self) -> MemoryLedger:
        ledger = self._read()
        if ledger.owners.get(self.claim.event_id) != self.claim.attempt:
            raise LeaseLost(f"attempt {self.claim.attempt} does not own the event any more")
        return ledger

    def _own(self) -> list[Sent]:
        return self._read().of(self.claim.account_id)

    # -- what it sees and decides -----------------------------------------------------------------------------------

    def decided(self, inputs: dict[str, Any], plan: dict[str, Any], before: Observed | None = None) -> None:
        ledger = self._written()
        ledger.inputs[self._attempt], ledger.plans[self._attempt] = inputs, plan
        if before is not None:
            self.observed("before", *before)

    def planned_again(self, why: str, inputs: dict[str, Any], plan: dict[str, Any]) -> None:
        self._written().rounds[self._attempt].append({"why": why, "inputs": inputs, "plan": plan})

    def observed(
        self, moment: Literal["before", "after"], snapshot: AccountSnapshot, positions: Sequence[dict[str, Any]]
    ) -> None:
        self._written().snapshots.append(Snapshot(self._attempt, moment, snapshot, positions))

    def approval(self) -> Approval | None:
        ledger = self._read()
        done = ledger.succeeded.get(self.claim.event_id, 0)
        asked = (one for (event, number), one in ledger.approvals if event == self.claim.event_id and number > done)
        return next(reversed([*asked]), None)

    def ask(self, question: Question) -> None:
        ledger = self._written()
        ours = self.claim.event_id
        open_states = (ApprovalState.PENDING, ApprovalState.APPROVED, ApprovalState.USED)
        ledger.approvals = [
            (attempt, replace(one, state=ApprovalState.REPLACED))
            if one.event_id == ours and one.state in open_states
            else (attempt, one)
            for attempt, one in ledger.approvals
        ]
        asked = Approval(
            id=next(ledger.numbers),
            event_id=ours,
            account_id=self.claim.account_id,
            state=ApprovalState.PENDING,
            reasons=question.reasons,
            orders=question.orders,
            plan=question.plan,
            asked_at=datetime.now(UTC),
            silent_at=question.silent_at,
            expires_at=question.expires_at,
            decided_by=None,
        )
        ledger.approvals.append((self._attempt, asked))

    def use(self, approval: Approval, by: str | None = None) -> None:
        ledger = self._written()
        ledger.approvals = [
            (attempt, replace(one, state=ApprovalState.USED, decided_by=one.decided_by or by))
            if one.id == approval.id
            else (attempt, one)
            for attempt, one in ledger.approvals
        ]

    # -- orders -----------------------------------------------------------------------------------------------------

    def intend(self, orders: Sequence[tuple[ProposedOrder, OrderRequest]]) -> None:
        self.checkpoint()
        ledger = self._written()
        for proposed, request in orders:
            assert request.order_ref not in ledger.orders, "an order ref is unique for ever"
            ledger.orders[request.order_ref] = Sent(self._attempt, request, proposed.price, datetime.now(UTC))

    def heard(self, reports: Sequence[OrderUpdate]) -> None:
        orders = self._written().orders
        for report in reports:
            for ref in addressees(report, orders):
                orders[ref].progress = orders[ref].progress.after(report)
            if isinstance(report, StatusUpdate):
                orders[report.order_ref].hear(report)

    def finalize(self, order_refs: Sequence[str]) -> None:
        for order in self._named(order_refs):
            order.end(OrderStatus.FILLED if order.progress.filled >= order.request.quantity else None)

    def never_sent(self, order_refs: Collection[str], why: str) -> None:
        del why
        for order in self._named(order_refs):
            order.end(NEVER_SENT)

    def interrupted(self, order_refs: Collection[str], why: str) -> None:
        del why
        for order in self._named(order_refs):
            order.broken = order.broken or order.status == PLANNED

    def traced(self, order_refs: Collection[str], traces: Mapping[str, OrderTrace], listed_since: datetime) -> None:
        for order in self._named(traces):
            self._trace(order, traces[order.request.order_ref])
        for order in self._named([ref for ref in order_refs if ref not in traces]):
            self._miss(order, listed_since)

    def _trace(self, order: Sent, trace: OrderTrace) -> None:
        if order.status == REFUSED and trace.lies_idle:
            order.final_at = order.final_at or datetime.now(UTC)
            return
        news = order.final_at is None or order.status in NOT_FOUND
        reports: tuple[OrderUpdate, ...] = (*trace.fills, *trace.commissions)
        told = reduce(OrderProgress.after, reports, order.progress)
        order.progress = replace(
            told,
            status=trace.status,
            stated=max(told.stated, trace.stated),
            perm_id=trace.perm_id or told.perm_id,
        )
        order.status = trace.status
        if trace.open:
            order.final_at = None
        elif news:
            order.end()

    def _miss(self, order: Sent, listed_since: datetime) -> None:
        said = order.progress.perm_id or order.progress.filled
        silent = order.status == PLANNED and order.written and not order.broken and order.at >= listed_since
        if silent and order.attempt in self._ledger.lost:
            order.status, order.silent_at = UNACKNOWLEDGED, order.at
        if order.status == UNACKNOWLEDGED:
            return
        if order.status in ENDED or order.progress.filled >= order.request.quantity:
            self.finalize([order.request.order_ref])
        elif order.status == REFUSED and not order.progress.filled:
            order.end(OrderStatus.CANCELLED)
        elif said or order.at < listed_since:
            order.end(UNLISTED)
        else:
            order.end(RELEASED if order.status == RELEASED else NEVER_SENT)

    def recover(self, traces: Iterable[OrderTrace]) -> None:
        ledger = self._written()
        for trace in traces:
            if trace.fills:
                order = ledger.orders[trace.order_ref] = history.recovered(trace)
                self._trace(order, trace)

    def orders(self) -> tuple[OrderRecord, ...]:
        ours = (order for order in self._own() if order.attempt == self._attempt)
        return tuple(history.record(order) for order in ours)

    def unresolved(self) -> list[SentOrder]:
        return [order.sought for order in self._own() if order.final_at is None]

    def unexplained(self) -> list[SentOrder]:
        lately = datetime.now(UTC) - DAY
        return [
            order.sought
            for order in self._own()
            if order.final_at is not None
            and (order.at > lately or order.status == REFUSED)
            and (order.status in (*NOT_FOUND, REFUSED) or order.progress.unpaid or order.untold > 0)
        ]

    def refused(self) -> Mapping[str, OrderRejected]:
        refused = (order for order in self._own() if order.status == REFUSED)
        return {order.request.order_ref: order.refusal for order in refused if order.refusal is not None}

    def unacknowledged(self) -> list[str]:
        return [order.request.order_ref for order in self._waiting()]

    def _waiting(self) -> list[Sent]:
        return [order for order in self._own() if order.final_at is None and order.status == UNACKNOWLEDGED]

    def witnesses(self, since: datetime) -> list[SentOrder]:
        return [
            order.sought
            for order in self._own()
            if order.final_at is not None
            and order.status == OrderStatus.FILLED
            and order.progress.perm_id
            and order.at > since
        ][-3:]

    def perm_ids(self) -> frozenset[int]:
        return frozenset(order.progress.perm_id for order in self._read().orders.values() if order.progress.perm_id)

    def _named(self, order_refs: Iterable[str]) -> list[Sent]:
        orders = self._written().orders
        return [orders[ref] for ref in order_refs]

    # -- halts ------------------------------------------------------------------------------------------------------

    def halts(self) -> list[Blocked]:
        halted = self._read().halted
        return [halted[scope].blocks for scope in halted if scope in (self.claim.account_id, EVERYTHING)]

    def strategy_hold(self) -> Blocked | None:
        return self._read().held_strategies.get(self.claim.account_id)

    def hold_unacknowledged(self, order_refs: Collection[str]) -> Blocked:
        words = []
        for order in self._named(order_refs):
            if order.final_at is None:
                order.status, order.silent_at = UNACKNOWLEDGED, order.silent_at or datetime.now(UTC)
                words.append(f"{order.request.side} {order.request.quantity} {order.request.symbol}")
        return self._ledger.halt(self.claim.account_id, ", ".join(words), unacknowledged_orders.BY)

    def hold_for_others(self, order_refs: Collection[str]) -> Blocked:
        reason = automatic_halts.others_at_work(self.claim.account_id, order_refs)
        return self._written().halt(self.claim.account_id, f"other_installation: {reason}", automatic_halts.OTHER)

    def release_unacknowledged(self, gateway: str) -> None:
        away_at, waiting = self._written().gateway_away.get(gateway), self._waiting()
        lost = [one for one in waiting if away_at and one.silent_at and one.silent_at < away_at]
        for order in lost:
            order.status = RELEASED
        halt = self._ledger.halted.get(self.claim.account_id)
        if len(lost) == len(waiting) and halt is not None and halt.by == unacknowledged_orders.BY:
            del self._ledger.halted[self.claim.account_id]

    # -- what is known of the account -------------------------------------------------------------------------------

    def traded_since(self, since: datetime) -> Traded:
        return history.traded(self._own(), since)

    def traded_everywhere_since(self, since: datetime) -> Traded:
        ledger = self._read()
        done = history.traded(ledger.orders.values(), since)
        running = ((event, number) for event, number in ledger.owners.items() if event != self.claim.event_id)
        rest = [self._outstanding(attempt) for attempt in running if attempt in ledger.plans]
        return Traded(done.orders + sum(one.orders for one in rest), sum((one.notional for one in rest), done.notional))

    def _outstanding(self, attempt: Attempt) -> Traded:
        planned = self._ledger.plans[attempt]["orders"]
        wanted = sum((Decimal(order["quantity"]) * Decimal(order["price"]) for order in planned), ZERO)
        ours = [order for order in self._ledger.orders.values() if order.attempt == attempt]
        sent = [order for order in ours if order.request.security_type == "STK"]
        done = sum((order.notional for order in sent), ZERO)
        return Traded(max(0, len(planned) - len(sent)), max(ZERO, wanted - done))

    def household(self, symbols: Collection[str], since: datetime) -> Household:
        ledger = self._read()
        waiting = {attempt for attempt, approval in ledger.approvals if approval.state is ApprovalState.PENDING}
        under_way = [attempt for attempt in ledger.plans if attempt in {*ledger.owners.items(), *waiting}]
        intentions = (
            Intention(ledger.accounts[attempt[0]], order["symbol"], order["quantity"])
            for attempt in under_way
            for order in ledger.plans[attempt]["orders"]
            if (order["symbol"] in symbols, order["side"]) == (True, Side.BUY)
        )
        return Household(
            tuple(history.trades(ledger.orders.values(), symbols, since)),
            tuple(one for one in intentions if one.account_id != self.claim.account_id),
        )

    def cash_planned(self) -> bool:
        return self.claim.account_id in self._read().cash_planned

    def last_rebalance(self) -> datetime | None:
        ours, done = self.claim.event_id, self._read().succeeded.get(self.claim.event_id, 0)
        sent = [one for one in self._sent() if one.attempt[0] != ours or one.attempt[1] <= done]
        return min((one.at for one in sent if one.attempt == sent[-1].attempt), default=None)

    def last_run(self, within: timedelta) -> AfterSnapshot | None:
        for snapshot in reversed(self._read().snapshots):
            ours = [order for order in self._own() if order.attempt == snapshot.attempt]
            counting = [order for order in ours if order.progress.filled or order.status == UNLISTED]
            now = datetime.now(UTC)
            if snapshot.moment == "before" and any((one.final_at or now) > now - within for one in counting):
                before = history.turnover_before(snapshot, self._own(), within)
                return history.after(snapshot, ours, counting, before)
        return None

    def seen(self, within: timedelta) -> Seen | None:
        account_id, earliest = self.claim.account_id, datetime.now(UTC) - within
        for snapshot in reversed(self._read().snapshots):
            if snapshot.account.account_id == account_id and snapshot.account.at > earliest:
                seen = history.seen(snapshot, history.since(snapshot, self._own()))
                return replace(seen, kept=history.kept(self._read().plans.get(snapshot.attempt)))
        return None

    def ever_traded(self) -> bool:
        return bool(self._sent())

    def last_targets(self) -> tuple[StrategyPart, ...]:
        known = self._read().targets.get(self.claim.account_id)
        return parts_on_record(known) if known else ()

    def last_trade(self) -> LastTrade | None:
        inputs = self._read().inputs
        attempts = dict.fromkeys(order.attempt for order in reversed(self._sent()) if order.attempt in inputs)
        if not attempts:
            return None
        newest = inputs[next(iter(attempts))]
        gateway = newest.get("gateway") or {}
        return LastTrade(
            strategy=newest["targets"]["strategy"],
            gateway=gateway.get("address"),
            login=gateway.get("login"),
            targets=len(history.symbols(newest)),
            symbols=frozenset(symbol for attempt in attempts for symbol in history.symbols(inputs[attempt])),
        )

    def _sent(self) -> list[Sent]:
        return [order for order in self._own() if order.status != NEVER_SENT]

    def installation(self) -> str:
        return self._read().identity

    def strangers(self, seen: Mapping[str, datetime | None]) -> Strangers:
        ledger = self._read()
        read = {ref: OrderRef.read(ref) for ref in seen if ref not in ledger.orders}
        unknown = {ref: one for ref, one in read.items() if one is not None}
        lost = {ref for ref, one in unknown.items() if self._is_lost(one, seen[ref])}
        return Strangers(frozenset(lost), frozenset(unknown.keys() - lost))

    def _is_lost(self, ref: OrderRef, executed: datetime | None) -> bool:
        restored_at = self._ledger.restored_at
        if restored_at is None or (ref.installation is not None and ref.installation not in self._ledger.retired):
            return False
        return executed is None or executed <= restored_at


def claim(
    ledger: MemoryLedger,
    account_id: str = "DU1",
    command: Command = Command.REBALANCE,
    lease_s: float = 60,
    kind: RebalanceKind = FULL,
) -> MemoryRun:
    """The first attempt of a new event."""
    return _attempt(ledger, uuid4(), 1, account_id, command, lease_s, kind)


def take_over(ledger: MemoryLedger, run: RunRecord) -> MemoryRun:
    """The next attempt of an event whose worker is taken for dead."""
    last = run.claim
    ledger.lost.add((last.event_id, last.attempt))
    return _attempt(ledger, last.event_id, last.attempt + 1, last.account_id, last.command, 60, last.kind)


def _attempt(  # noqa: PLR0917 - parts of a claim
    ledger: MemoryLedger,
    event_id: UUID,
    number: int,
    account_id: str,
    command: Command,
    lease_s: float,
    kind: RebalanceKind,
) -> MemoryRun:
    ledger.owners[event_id], ledger.accounts[event_id] = number, account_id
    claimed = Claim(
        event_id=event_id,
        attempt=number,
        account_id=account_id,
        command=command,
        strategy=STRATEGY,
        kind=kind,
        observed_generation=1,
        times_queued=1,
        failures=0,
        refusals=0,
        needs_attention=False,
        removed=event_id in ledger.removed,
        worker="test",
    )
    return MemoryRun(ledger, claimed, lease_s)
