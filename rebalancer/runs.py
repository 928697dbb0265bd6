"""One run of an event: its lease, and everything that goes on record while it lasts."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import copy_context
from datetime import datetime, timedelta
from typing import Any, Literal

import structlog

from rebalancer.errors import LeaseLost, OrderRejected, RemovalRequested
from rebalancer.facts import Facts
from rebalancer.ledger import events, latest, own_halts, trades, unacknowledged
from rebalancer.ledger.events import Claim
from rebalancer.ledger.halts import Halt
from rebalancer.ledger.latest import AfterSnapshot
from rebalancer.ledger.session import Ledger, LedgerError
from rebalancer.ledger.trades import OrderRecord
from rebalancer.model import AccountSnapshot, ProposedOrder
from rebalancer.orders import OrderRequest, OrderTrace, OrderUpdate, SentOrder

log = structlog.get_logger()


class Run:
    """The right to work on an event, checked before every step that cannot be taken back."""

    def __init__(self, ledger: Ledger, claim: Claim, lease: timedelta) -> None:
        self.claim = claim
        self._ledger = ledger
        self._lease = lease
        self._margin_s = lease.total_seconds() / 6
        self._deadline = time.monotonic() + lease.total_seconds() - self._margin_s
        self._remove_requested = claim.removed
        self._ended = threading.Event()

    @property
    def facts(self) -> Facts:
        """What the ledger knows of the account."""
        return Facts(self._ledger, self.claim)

    @contextmanager
    def kept_alive(self) -> Iterator[None]:
        """Renew the lease in a thread as long as the block runs."""
        name = f"lease-{self.claim.event_id}"
        # In a copy of our context, so that its lines are the run's.
        keeper = threading.Thread(target=copy_context().run, args=(self._keep,), name=name, daemon=True)
        keeper.start()
        try:
            yield
        finally:
            self._ended.set()

    def checkpoint(self) -> None:
        """Stop here unless the event is still ours and still wanted; called before every order. Asks the ledger.

        Raises:
            LeaseLost: another worker may own the event, or nobody can say.
            RemovalRequested: an operator removed it.
        """
        self.require_lease()
        if self._remove_requested:
            raise RemovalRequested(f"event {self.claim.event_id} was removed by an operator")

    def require_lease(self) -> None:
        """Stop here unless the event is still ours, whether it is still wanted or not.

        Raises:
            LeaseLost: another worker may own the event, or nobody can say.
        """
        if time.monotonic() >= self._deadline:
            raise LeaseLost(f"the lease of event {self.claim.event_id} could not be renewed in time")
        try:
            self.renew()
        except LedgerError as error:
            raise LeaseLost(f"the ledger cannot confirm the lease of event {self.claim.event_id}: {error}") from error

    def decided(self, inputs: dict[str, Any], plan: dict[str, Any]) -> None:
        """Put on record what this run saw and proposes."""
        with self._ledger.begin() as session:
            trades.record_decision(session, self.claim, inputs, plan)

    def observed(
        self, moment: Literal["before", "after"], snapshot: AccountSnapshot, positions: Sequence[dict[str, Any]]
    ) -> None:
        """Put a snapshot of the account on record."""
        with self._ledger.begin() as session:
            trades.record_snapshot(session, self.claim, moment, snapshot, positions)

    def intend(self, orders: Sequence[tuple[ProposedOrder, OrderRequest]]) -> None:
        """Commit to the order refs; after this the orders may be sent."""
        self.checkpoint()
        with self._ledger.begin() as session:
            trades.record_intents(session, self.claim, orders)

    def heard(self, reports: Sequence[OrderUpdate]) -> None:
        """Put what the broker said on record."""
        with self._ledger.begin() as session:
            trades.record_updates(session, reports)

    def settled(self, order_refs: Sequence[str]) -> None:
        """Nothing more can follow for these orders."""
        with self._ledger.begin() as session:
            trades.settle(session, order_refs)

    def unsettled(self) -> list[SentOrder]:
        """This account's orders whose outcome is not on record, of whichever run."""
        with self._ledger.begin() as session:
            return trades.unsettled_orders(session, self.claim.account_id)

    def perm_ids(self) -> frozenset[int]:
        """The broker's numbers of the orders of the last days, of every account."""
        with self._ledger.begin() as session:
            return trades.perm_ids(session)

    def witnesses(self, since: datetime) -> list[SentOrder]:
        """Filled orders of this account that any whole list of the broker's has, if it begins at ``since``."""
        with self._ledger.begin() as session:
            return trades.witnesses(session, self.claim.account_id, since)

    def unexplained(self) -> list[SentOrder]:
        """This account's settled orders that the broker may still say something of."""
        with self._ledger.begin() as session:
            return trades.unexplained_orders(session, self.claim.account_id)

    def refused(self) -> Mapping[str, OrderRejected]:
        """This account's orders that the broker has refused and perhaps still lists, by ref."""
        with self._ledger.begin() as session:
            return {one.order_ref: one for one in trades.refused_orders(session, self.claim.account_id)}

    def traced(self, order_refs: Collection[str], traces: Mapping[str, OrderTrace], listed_since: datetime) -> None:
        """Put what the broker knows of earlier orders on record; of those without a trace it has never seen those that
        are no older than its lists and that it has never spoken of, unless the gateway keeps them back.
        """
        unknown = [ref for ref in order_refs if ref not in traces]
        with self._ledger.begin() as session:
            for trace in traces.values():
                trades.record_trace(session, trace)
            unacknowledged.left_silent(session, unknown, listed_since)
            trades.record_missing(session, unknown, listed_since)

    def interrupted(self, order_refs: Collection[str], why: str) -> None:
        """Put on record that the connection ended, or was of no use, before these orders had."""
        with self._ledger.begin() as session:
            unacknowledged.interrupted(session, order_refs, why)

    def never_sent(self, order_refs: Collection[str], why: str) -> None:
        """Put on record that these orders never reached the broker."""
        with self._ledger.begin() as session:
            trades.record_never_sent(session, order_refs, why)

    def unacknowledged(self) -> list[str]:
        """Refs of this account's orders of which the gateway has said nothing, and which may still wait there."""
        with self._ledger.begin() as session:
            return [order.order_ref for order in unacknowledged.waiting(session, [self.claim.account_id])]

    def hold_unacknowledged(self, order_refs: Collection[str]) -> Halt:
        """Halt the account for such orders."""
        with self._ledger.begin() as session:
            return own_halts.unacknowledged_orders(session, self.claim.account_id, order_refs)

    def hold_for_others(self, order_refs: Collection[str]) -> Halt:
        """Halt the account, which another installation trades, and tell people."""
        with self._ledger.begin() as session:
            return own_halts.other_installation(session, self.claim.account_id, order_refs)

    def release_unacknowledged(self, gateway: str) -> None:
        """Release what a restart of that gateway has wiped out; the halt ends when nothing is left."""
        with self._ledger.begin() as session:
            own_halts.settle(session, self.claim.account_id, gateway)

    def last_run(self, within: timedelta) -> AfterSnapshot | None:
        """The account before the newest run that traded, and what that run filled; ``None`` if it is too old."""
        with self._ledger.begin() as session:
            return latest.last_run(session, self.claim.account_id, within)

    def planned_again(self, why: str, inputs: dict[str, Any], plan: dict[str, Any]) -> None:
        """Put a further plan of this run on record."""
        with self._ledger.begin() as session:
            trades.record_round(session, self.claim, why, inputs, plan)

    def orders(self) -> tuple[OrderRecord, ...]:
        """This run's orders so far."""
        with self._ledger.begin() as session:
            return trades.orders_of(session, self.claim)

    def renew(self) -> None:
        """Extend the lease now."""
        asked_at = time.monotonic()
        with self._ledger.begin() as session:
            removed = events.renew(session, self.claim, self._lease)
        self._remove_requested = self._remove_requested or removed
        self._deadline = asked_at + self._lease.total_seconds() - self._margin_s

    def _keep(self) -> None:
        while not self._ended.wait(self._margin_s):
            try:
                self.renew()
            except LeaseLost:
                self._deadline = 0.0
                return
            except LedgerError as error:
                log.warning("lease_not_renewed", error=str(error))
