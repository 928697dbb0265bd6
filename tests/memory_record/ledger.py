"""What all runs share, and what people and the gateway do meanwhile."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from typing import Any
from uuid import UUID

from rebalancer.domain.approvals import Approval, ApprovalState
from rebalancer.domain.outcomes import Blocked
from rebalancer.domain.run_record import RunRecord
from rebalancer.ledger import unacknowledged_orders
from rebalancer.ledger.halts import Halt
from rebalancer.ledger.orders import RELEASED, UNACKNOWLEDGED
from tests.memory_record.rows import Attempt, Sent, Snapshot


class MemoryLedger:
    """What all runs share, and what people and the gateway do meanwhile.

    Attributes:
        away: nothing can be read or written for longer than any lease lasts.
        inputs / plans: by attempt.
        targets: by account, of its last success.
        cash_planned: accounts for which cash is to be there by a day.
    """

    def __init__(self) -> None:
        self.away = False
        self.orders: dict[str, Sent] = {}
        self.snapshots: list[Snapshot] = []
        self.inputs: dict[Attempt, dict[str, Any]] = {}
        self.plans: dict[Attempt, dict[str, Any]] = {}
        self.targets: dict[str, dict[str, Any]] = {}
        self.rounds: dict[Attempt, list[dict[str, Any]]] = defaultdict(list)
        self.halted: dict[str, Halt] = {}
        self.held_strategies: dict[str, Blocked] = {}
        self.approvals: list[tuple[Attempt, Approval]] = []
        self.owners: dict[UUID, int] = {}
        self.accounts: dict[UUID, str] = {}
        self.lost: set[Attempt] = set()
        self.removed: set[UUID] = set()
        self.cash_planned: set[str] = set()
        self.succeeded: dict[UUID, int] = {}
        self.gateway_away: dict[str, datetime] = {}
        self.numbers = count(1)
        self.identity = "0000aaaa"
        self.retired: set[str] = set()
        self.restored_at: datetime | None = None

    def halt(self, scope: str, reason: str = "fire drill", by: str = "ada") -> Blocked:
        """The kill switch; a reason is added to a halt that is in force."""
        known = self.halted.get(scope)
        if known is None:
            known = Halt(id=next(self.numbers), scope=scope, reason=reason, by=by, since=datetime.now(UTC))
        elif reason not in known.reason:
            owner = by if known.by == unacknowledged_orders.BY else known.by
            known = replace(known, reason=f"{known.reason}; {reason}", by=owner)
        self.halted[scope] = known
        return known.blocks

    def resume(self, scope: str) -> None:
        """A person who has looked lets it go on."""
        del self.halted[scope]
        for order in self.of(scope):
            if order.status == UNACKNOWLEDGED:
                order.status = RELEASED

    def succeed(self, run: RunRecord) -> None:
        """It has done what it was to do."""
        self.succeeded[run.claim.event_id] = run.claim.attempt
        inputs = self.inputs.get((run.claim.event_id, run.claim.attempt))
        if inputs is not None:
            self.targets[run.claim.account_id] = inputs["targets"]
        del self.owners[run.claim.event_id]

    def remove(self, run: RunRecord) -> None:
        """An operator ends the event."""
        self.removed.add(run.claim.event_id)

    def decide(self, run: RunRecord, state: ApprovalState, by: str = "ada") -> None:
        """A person answers the plan that the event waits with."""
        attempt, approval = self.approvals.pop()
        assert approval.event_id == run.claim.event_id
        self.approvals.append((attempt, replace(approval, state=state, decided_by=by)))

    def gateway_restarts(self, address: str) -> None:
        """What waited on its screen is gone."""
        self.gateway_away[address] = datetime.now(UTC)

    def restore(self) -> None:
        """It goes on from a backup without orders: who we were is retired."""
        self.retired.add(self.identity)
        self.identity, self.restored_at = "0000bbbb", datetime.now(UTC)
        self.orders.clear()

    def of(self, account_id: str) -> list[Sent]:
        """Orders of an account, oldest first."""
        return [order for order in self.orders.values() if order.request.account_id == account_id]
