"""What is kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

from rebalancer.domain.errors import OrderRejected
from rebalancer.domain.order_progress import OrderProgress
from rebalancer.domain.order_states import OrderStatus
from rebalancer.domain.orders import OrderRequest, SentOrder, StatusUpdate
from rebalancer.domain.portfolio import AccountSnapshot
from rebalancer.ledger.orders import PLANNED, REFUSED, UNACKNOWLEDGED

Attempt = tuple[UUID, int]


@dataclass(slots=True)
class Sent:
    """An order as it is on record.

    Attributes:
        price: the plan's, USD.
        written: it was seen on its way to the broker.
        broken: the connection ended before anything was said of it.
        silent_at: when the gateway was found to say nothing of it.
    """

    attempt: Attempt
    request: OrderRequest
    price: Decimal
    at: datetime
    status: str = PLANNED
    progress: OrderProgress = field(default_factory=OrderProgress)
    final_at: datetime | None = None
    client_id: int | None = None
    written: bool = False
    broken: bool = False
    silent_at: datetime | None = None
    refusal: OrderRejected | None = None

    @property
    def untold(self) -> Decimal:
        """Shares that count without an execution."""
        return self.progress.filled - self.progress.told

    @property
    def notional(self) -> Decimal:
        """USD filled, of what was not told at the plan's price."""
        told = (fill.quantity * fill.price for fill in self.progress.fills.values())
        return sum(told, self.untold * self.price)

    @property
    def sought(self) -> SentOrder:
        """What finds it in the broker's lists."""
        asked = self.request
        return SentOrder(
            asked.order_ref, asked.symbol, asked.side, asked.quantity, self.at, self.progress.perm_id, self.client_id
        )

    def end(self, status: str | None = None) -> None:
        """Nothing more can follow."""
        self.status, self.final_at = status or self.status, datetime.now(UTC)

    def hear(self, report: StatusUpdate) -> None:
        """What a status says besides how far the order is."""
        self.written, self.client_id = True, report.client_id
        if report.refused and report.status in (OrderStatus.INACTIVE, OrderStatus.PENDING_SUBMIT):
            self.status = REFUSED
        elif report.confirmed:
            self.status = self.progress.status
        elif report.unacknowledged:
            self.status, self.silent_at = UNACKNOWLEDGED, datetime.now(UTC)
        if report.code is not None:
            self.refusal = OrderRejected(self.request.order_ref, report.code, report.text or "")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """An account at one moment of an attempt; positions as the ledger keeps them."""

    attempt: Attempt
    moment: Literal["before", "after"]
    account: AccountSnapshot
    positions: Sequence[dict[str, Any]]
