"""A ledger, a Redis and a dispatcher without processes: the test itself is courier, workers, clock and power cut."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID, uuid4

import redis
from celery import Celery
from sqlalchemy import case, select, update

from rebalancer.config.settings import Settings
from rebalancer.domain.approvals import Approval, Question
from rebalancer.domain.claims import Claim
from rebalancer.domain.commands import Command
from rebalancer.domain.orders import OrderRequest
from rebalancer.domain.outcomes import FOREVER
from rebalancer.domain.portfolio import OrderType, ProposedOrder, Side, TimeInForce
from rebalancer.domain.rebalance_kinds import RebalanceKind
from rebalancer.domain.rule_names import Rule
from rebalancer.ledger import approvals, events, halts, ownership, retries, signal_intake
from rebalancer.ledger.models import ApprovalRow, Attempt, Event, HaltRow, Order, SignalEvent
from rebalancer.ledger.retries import RetryAnswer
from rebalancer.ledger.run import Run
from rebalancer.ledger.session import Ledger
from rebalancer.ledger.signal_intake import Addressee, NewSignal, Recorded
from rebalancer.ledger.states import ACTIVE, EventState
from rebalancer.queueing.celery_queues import QUEUES, event_of
from rebalancer.queueing.dispatcher import Dispatcher
from rebalancer.queueing.message_locks import PREFIX
from rebalancer.risk import Blocked
from tests.conftest import empty

LEASE = timedelta(seconds=90)
GRACE = LEASE / 3

Ending = Literal["succeed", "fail", "hold", "stop"]
Cut = Literal["before", "after"] | None


class PowerCut(Exception):
    """The process ends here; nothing in it is told."""


class Courier(Celery):
    """Sends for real, unless the power goes right before or right after."""

    cut: Cut = None

    def send_task(self, *args: Any, **options: Any) -> Any:
        if self.cut == "before":
            raise PowerCut
        sent = super().send_task(*args, **options)
        if self.cut == "after":
            raise PowerCut
        return sent


@dataclass(frozen=True, slots=True)
class Message:
    """A message as it lies in its queue."""

    queue: str
    raw: str

    @property
    def event_id(self) -> UUID:
        found = event_of(json.loads(self.raw)["headers"]["id"])
        assert found is not None
        return found


@dataclass(frozen=True, slots=True)
class Picture:
    """The ledger at one moment."""

    events: dict[UUID, Event]
    attempts: dict[tuple[UUID, int], Attempt]
    requests: dict[tuple[int, UUID], int]
    unresolved: frozenset[UUID]
    halts: frozenset[int]
    """In force."""
    asked: frozenset[UUID]
    """Events with a plan that is before a person."""


@dataclass
class Site:
    """Everything real; only time and processes are the test's."""

    ledger: Ledger
    redis: redis.Redis
    courier: Courier
    dispatcher: Dispatcher
    sent: list[Message] = field(default_factory=list)

    @classmethod
    def of(cls, ledger: Ledger, redis_url: str) -> Site:
        """A site on running servers."""
        settings = Settings.from_flat(
            {
                "database_url": ledger.url,
                "redis_url": redis_url,
                "lease_s": LEASE.total_seconds(),
                "retry_delay_s": 60,
            }
        )
        courier = Courier("courier", broker=redis_url, config_source="celeryconfig")
        return cls(
            ledger,
            redis.Redis.from_url(redis_url, decode_responses=True),
            courier,
            Dispatcher(settings, ledger, courier),
        )

    def clear(self) -> None:
        """As on the first day."""
        empty(self.ledger)
        self.redis.flushall()
        self.sent.clear()
        self.courier.cut = None

    # -- signals and messages ---------------------------------------------------------------------------------------

    def record(
        self, accounts: Sequence[str], command: Command, message_id: str = "", kind: RebalanceKind | None = None
    ) -> Recorded:
        """Record a signal, publish nothing."""
        signal = NewSignal("blend", message_id or uuid4().hex, command, {}, kind=kind or RebalanceKind())
        with self.ledger.begin() as session:
            return signal_intake.record(session, signal, [Addressee(account, "blend") for account in accounts])

    def queued(self) -> list[Message]:
        """Messages in the queues, in the order of arrival."""
        found = [Message(queue, str(raw)) for queue in QUEUES for raw in reversed(self.redis.lrange(queue, 0, -1))]
        self.sent += [one for one in found if one not in self.sent]
        return found

    def take(self, message: Message) -> None:
        """Out of the queue, into nobody's hands."""
        self.redis.lrem(message.queue, -1, message.raw)

    def put(self, message: Message) -> None:
        """Into the queue, once more."""
        self.redis.lpush(message.queue, message.raw)

    # -- runs -------------------------------------------------------------------------------------------------------

    def claim(self, event_id: UUID, worker: str) -> Run | None:
        """What a worker does first with a message."""
        claim = ownership.claim(self.ledger, event_id, worker, LEASE)
        return None if claim is None else Run(self.ledger, claim, LEASE)

    def settle(self, run: Run) -> None:
        """What a run does first, and what it does after a removal: account for all orders of its account."""
        if run.claim.command.touches_orders:
            run.finalize([order.order_ref for order in run.unresolved()])

    def end(self, run: Run, ending: Ending, pause_s: float = 60) -> EventState:
        """Record how a run ended.

        Raises:
            LeaseLost: it may not write any more.
        """
        claim, pause = run.claim, timedelta(seconds=pause_s)
        with self.ledger.begin() as session:
            match ending:
                case "succeed":
                    return events.succeed(session, claim, {})
                case "fail":
                    return events.fail(session, claim, "boom", pause)
                case "hold":
                    closed = Blocked(Rule.MARKET_HOURS, "closed", datetime.now(UTC) + pause)
                    return events.hold(session, claim, closed)
                case "stop":
                    return events.stop(session, claim)

    def hold(self, run: Run, blocked: Blocked) -> EventState:
        """Record that a run was held by what it met some time ago.

        Raises:
            LeaseLost: it may not write any more.
        """
        with self.ledger.begin() as session:
            return events.hold(session, run.claim, blocked)

    def ask(self, run: Run) -> Blocked:
        """Put the run's plan before a person."""
        expires = datetime.now(UTC) + timedelta(hours=1)
        run.ask(Question(("manual",), {}, {"equity": "1"}, None, expires))
        return Blocked(Rule.APPROVAL, "needs approval", expires)

    # -- persons ----------------------------------------------------------------------------------------------------

    def halt(self, scope: str) -> None:
        """The kill switch."""
        with self.ledger.begin() as session:
            halts.halt(session, scope, "fire drill", "ada")

    def resume(self, scope: str) -> None:
        """Its end."""
        with self.ledger.begin() as session:
            halts.resume(session, scope, "ada")

    def halted(self, account_id: str) -> bool:
        """Whether a halt is in force that an account is under."""
        with self.ledger.begin() as session:
            return bool(halts.in_force(session, account_id))

    def plans(self) -> list[Approval]:
        """Those that a person is shown, in an order that does not depend on random ids."""
        with self.ledger.begin() as session:
            return sorted(approvals.pending(session), key=lambda one: one.account_id)

    def approve(self, plan: Approval) -> None:
        """A person's consent."""
        with self.ledger.begin() as session:
            assert approvals.approve(session, plan.event_id, "ada")

    def reject(self, plan: Approval) -> EventState | None:
        """A person's refusal."""
        with self.ledger.begin() as session:
            return approvals.reject(session, plan.event_id, "ada")

    def retry(self, event_id: UUID) -> RetryAnswer | None:
        """A person who will not wait for the next try."""
        with self.ledger.begin() as session:
            return retries.retry(session, event_id, "ada")

    def reap(self, dead: Sequence[str]) -> None:
        """What the dispatcher does when it knows that workers are dead."""
        with self.ledger.begin() as session:
            events.reap(session, timedelta(seconds=60), GRACE, dead)

    # -- time and sight ---------------------------------------------------------------------------------------------

    def pass_time(self, seconds: float, *, locks: bool = True) -> None:
        """Let everything that has a time come nearer, in both servers."""
        by = timedelta(seconds=seconds)
        moved = {"lease_until": Event.lease_until - by, "dispatched_at": Event.dispatched_at - by}
        due_at = case((Event.due_at < FOREVER, Event.due_at - by), else_=Event.due_at)
        with self.ledger.begin() as session:
            session.execute(update(Event).where(Event.state.in_(ACTIVE)).values(due_at=due_at, **moved))
        for key in self.redis.scan_iter(f"{PREFIX}*") if locks else ():
            self.redis.pexpire(key, max(1, self.redis.pttl(key) - round(1000 * seconds)))

    def picture(self) -> Picture:
        """The ledger as it is now."""
        with self.ledger.begin() as session:
            return Picture(
                {row.id: row for row in session.scalars(select(Event))},
                {(row.event_id, row.number): row for row in session.scalars(select(Attempt))},
                {(row.signal_id, row.event_id): row.request_no for row in session.scalars(select(SignalEvent))},
                frozenset(session.scalars(select(Order.event_id).where(Order.final_at.is_(None)))),
                frozenset(session.scalars(select(HaltRow.id).where(HaltRow.lifted_at.is_(None)))),
                frozenset(session.scalars(select(ApprovalRow.event_id).where(ApprovalRow.state == "pending"))),
            )

    def decide_for_persons(self) -> None:
        """Whatever waits for a person may run now: nothing is halted, every plan approved."""
        with self.ledger.begin() as session:
            scopes = [halt.scope for halt in halts.in_force(session)]
        for scope in scopes:
            self.resume(scope)
        for plan in self.plans():
            self.approve(plan)


def an_order(claim: Claim, number: int) -> tuple[ProposedOrder, OrderRequest]:
    """An order that a plan may justify."""
    proposed = ProposedOrder("SPY", Side.BUY, 1, Decimal(100), Decimal(1), "a test")
    request = OrderRequest(
        order_ref=f"{claim.event_id.hex[:12]}-{claim.attempt}-{number:02d}",
        account_id=claim.account_id,
        symbol="SPY",
        contract_id=1,
        side=Side.BUY,
        quantity=1,
        order_type=OrderType.MARKET,
        time_in_force=TimeInForce.DAY,
    )
    return proposed, request
