"""One run of an event: its lease, and everything that goes on record while it lasts."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import Any, Literal

from rebalancer.domain.errors import LeaseLost, OrderRejected, RemovalRequested
from rebalancer.domain.orders import OrderRequest, OrderTrace, OrderUpdate, SentOrder
from rebalancer.domain.portfolio import AccountSnapshot, ProposedOrder
from rebalancer.ledger import automatic_halts, last_trading_run, sent_orders, unacknowledged_orders
from rebalancer.ledger import orders as order_records
from rebalancer.ledger.claims import Claim
from rebalancer.ledger.halts import Halt
from rebalancer.ledger.last_trading_run import AfterSnapshot
from rebalancer.ledger.lease import Lease
from rebalancer.ledger.orders import OrderRecord
from rebalancer.ledger.run_facts import Facts
from rebalancer.ledger.run_ledger import RunLedger
from rebalancer.ledger.session import Ledger, LedgerError, Session
from rebalancer.ledger.states import EventState


class Run:
    """The right to work on an event, checked before every step that cannot be taken back.

    What goes on record here goes on record only while the event is the run's. Every method that does so raises
    LeaseLost, with nothing changed, once another attempt owns it; and all of them wait while PostgreSQL is away, see
    :class:`~rebalancer.ledger.run_ledger.RunLedger`.
    """

    def __init__(self, ledger: Ledger, claim: Claim, length: timedelta) -> None:
        self.claim = claim
        self.lease = Lease(ledger, claim, length)
        self._ledger = RunLedger(ledger, claim, self.lease)

    @property
    def facts(self) -> Facts:
        """What the ledger knows of the account."""
        return Facts(self._ledger, self.claim)

    def kept_alive(self) -> AbstractContextManager[None]:
        """Renew the lease in a thread as long as the block runs."""
        return self.lease.kept_alive()

    def checkpoint(self) -> None:
        """Stop here unless the event is still ours and still wanted; called before every order. Asks the ledger.

        Raises:
            LeaseLost: another worker may own the event, or nobody can say.
            RemovalRequested: an operator removed it.
        """
        self.require_lease()
        if self.lease.removal_requested:
            raise RemovalRequested(f"event {self.claim.event_id} was removed by an operator")

    def require_lease(self) -> None:
        """Stop here unless the event is still ours, whether it is still wanted or not.

        Raises:
            LeaseLost: another worker may own the event, or nobody can say.
        """
        self.lease.require()
        try:
            self._ledger.patiently(self.lease.renew)
        except LedgerError as error:
            raise LeaseLost(f"the ledger cannot confirm the lease of event {self.claim.event_id}: {error}") from error

    def end(self, transition: Callable[[Session], EventState]) -> EventState:
        """Put on record how it ended.

        Raises:
            LeaseLost: another attempt owns the event.
        """
        return self._ledger.read(transition)

    def decided(self, inputs: dict[str, Any], plan: dict[str, Any]) -> None:
        """Put on record what this run saw and proposes."""
        self._ledger.write(order_records.record_decision, self.claim, inputs, plan)

    def observed(
        self, moment: Literal["before", "after"], snapshot: AccountSnapshot, positions: Sequence[dict[str, Any]]
    ) -> None:
        """Put a snapshot of the account on record."""
        self._ledger.write(order_records.record_snapshot, self.claim, moment, snapshot, positions)

    def intend(self, orders: Sequence[tuple[ProposedOrder, OrderRequest]]) -> None:
        """Commit to the order refs; after this the orders may be sent."""
        self.checkpoint()
        self._ledger.write(order_records.record_intents, self.claim, orders)

    def heard(self, reports: Sequence[OrderUpdate]) -> None:
        """Put what the broker said on record."""
        self._ledger.write(order_records.record_updates, reports)

    def finalize(self, order_refs: Sequence[str]) -> None:
        """Nothing more can follow for these orders."""
        self._ledger.write(order_records.finalize, order_refs)

    def unresolved(self) -> list[SentOrder]:
        """This account's orders whose outcome is not on record, of whichever run."""
        return self._ledger.read(sent_orders.unresolved_orders, self.claim.account_id)

    def perm_ids(self) -> frozenset[int]:
        """The broker's numbers of the orders of the last days, of every account."""
        return self._ledger.read(sent_orders.perm_ids)

    def witnesses(self, since: datetime) -> list[SentOrder]:
        """Filled orders of this account that any whole list of the broker's has, if it begins at ``since``."""
        return self._ledger.read(sent_orders.witnesses, self.claim.account_id, since)

    def unexplained(self) -> list[SentOrder]:
        """This account's final orders that the broker may still say something of."""
        return self._ledger.read(sent_orders.unexplained_orders, self.claim.account_id)

    def refused(self) -> Mapping[str, OrderRejected]:
        """This account's orders that the broker has refused and perhaps still lists, by ref."""
        found = self._ledger.read(sent_orders.refused_orders, self.claim.account_id)
        return {one.order_ref: one for one in found}

    def traced(self, order_refs: Collection[str], traces: Mapping[str, OrderTrace], listed_since: datetime) -> None:
        """Put what the broker knows of earlier orders on record; of those without a trace it has never seen those that
        are no older than its lists and that it has never spoken of, unless the gateway keeps them back.
        """
        unknown = [ref for ref in order_refs if ref not in traces]

        def put(session: Session) -> None:
            for trace in traces.values():
                order_records.record_trace(session, trace)
            unacknowledged_orders.left_silent(session, unknown, listed_since)
            order_records.record_missing(session, unknown, listed_since)

        self._ledger.write(put)

    def interrupted(self, order_refs: Collection[str], why: str) -> None:
        """Put on record that the connection ended, or was of no use, before these orders had."""
        self._ledger.write(unacknowledged_orders.interrupted, order_refs, why)

    def never_sent(self, order_refs: Collection[str], why: str) -> None:
        """Put on record that these orders never reached the broker."""
        self._ledger.write(order_records.record_never_sent, order_refs, why)

    def unacknowledged(self) -> list[str]:
        """Refs of this account's orders of which the gateway has said nothing, and which may still wait there."""
        waiting = self._ledger.read(unacknowledged_orders.waiting, [self.claim.account_id])
        return [order.order_ref for order in waiting]

    def hold_unacknowledged(self, order_refs: Collection[str]) -> Halt:
        """Halt the account for such orders."""
        return self._ledger.write(automatic_halts.unacknowledged_orders, self.claim.account_id, order_refs)

    def hold_for_others(self, order_refs: Collection[str]) -> Halt:
        """Halt the account, which another installation trades, and tell people."""
        return self._ledger.write(automatic_halts.other_installation, self.claim.account_id, order_refs)

    def release_unacknowledged(self, gateway: str) -> None:
        """Release what a restart of that gateway has wiped out; the halt ends when nothing is left."""
        self._ledger.write(automatic_halts.release_unacknowledged, self.claim.account_id, gateway)

    def last_run(self, within: timedelta) -> AfterSnapshot | None:
        """The account before the newest run that traded, and what that run filled; ``None`` if it is too old."""
        return self._ledger.read(last_trading_run.last_run, self.claim.account_id, within)

    def planned_again(self, why: str, inputs: dict[str, Any], plan: dict[str, Any]) -> None:
        """Put a further plan of this run on record."""
        self._ledger.write(order_records.record_round, self.claim, why, inputs, plan)

    def orders(self) -> tuple[OrderRecord, ...]:
        """This run's orders so far."""
        return self._ledger.read(order_records.orders_of, self.claim)
