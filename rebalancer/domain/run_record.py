"""What a run needs of the record that it keeps, implemented by the ledger.

Something goes on record only while the event is the run's: every method that writes raises
:class:`~rebalancer.domain.errors.LeaseLost`, with nothing changed, once another attempt owns it. All of them wait while
the record is away; :class:`~rebalancer.domain.errors.RecordUnavailable` says that this took longer than the lease.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol

from rebalancer.domain.account_history import AfterSnapshot, LastTrade, OrderRecord, Seen, Strangers, Traded
from rebalancer.domain.approvals import Approval, Question
from rebalancer.domain.claims import Claim
from rebalancer.domain.errors import OrderRejected
from rebalancer.domain.household import Household
from rebalancer.domain.orders import OrderRequest, OrderTrace, OrderUpdate, SentOrder
from rebalancer.domain.outcomes import Blocked
from rebalancer.domain.portfolio import AccountSnapshot, ProposedOrder, StrategyPart

Observed = tuple[AccountSnapshot, Sequence[dict[str, Any]]]
"""An account, and its positions as they go on record."""


class OrderJournal(Protocol):
    """The orders of the run, and those of earlier runs on its account that it looks after."""

    def intend(self, orders: Sequence[tuple[ProposedOrder, OrderRequest]]) -> None:
        """Commit to the order refs; after this the orders may be sent.

        Raises:
            LeaseLost, RemovalRequested: as of :meth:`RunRecord.checkpoint`.
        """

    def heard(self, reports: Sequence[OrderUpdate]) -> None:
        """Put what the broker said on record."""

    def finalize(self, order_refs: Sequence[str]) -> None:
        """Nothing more can follow for these orders."""

    def never_sent(self, order_refs: Collection[str], why: str) -> None:
        """Put on record that these orders never reached the broker."""

    def interrupted(self, order_refs: Collection[str], why: str) -> None:
        """Put on record that the connection ended, or was of no use, before these orders had."""

    def traced(self, order_refs: Collection[str], traces: Mapping[str, OrderTrace], listed_since: datetime) -> None:
        """Put what the broker knows of earlier orders on record; of those without a trace it has never seen those that
        are no older than its lists and that it has never spoken of, unless the gateway keeps them back.
        """

    def recover(self, traces: Iterable[OrderTrace]) -> None:
        """Put orders on record that were lost with an earlier ledger."""

    def orders(self) -> tuple[OrderRecord, ...]:
        """This run's orders so far."""

    def unresolved(self) -> list[SentOrder]:
        """This account's orders whose outcome is not on record, of whichever run."""

    def unexplained(self) -> list[SentOrder]:
        """This account's final orders that the broker may still say something of."""

    def refused(self) -> Mapping[str, OrderRejected]:
        """This account's orders that the broker has refused and perhaps still lists, by ref."""

    def unacknowledged(self) -> list[str]:
        """Refs of this account's orders of which the gateway has said nothing, and which may still wait there."""

    def witnesses(self, since: datetime) -> list[SentOrder]:
        """Filled orders of this account that any whole list of the broker's has, if it begins at ``since``."""

    def perm_ids(self) -> frozenset[int]:
        """The broker's numbers of the orders of the last days, of every account."""


class Halts(Protocol):
    """What keeps the account from being traded, made and ended by the run itself or by people."""

    def halts(self) -> list[Blocked]:
        """Halts that the account is under."""

    def strategy_hold(self) -> Blocked | None:
        """What holds the account's rebalance back with all of its strategy, a canary or a breaker."""

    def hold_unacknowledged(self, order_refs: Collection[str]) -> Blocked:
        """Halt the account for orders of which the gateway says nothing, and tell people."""

    def hold_for_others(self, order_refs: Collection[str]) -> Blocked:
        """Halt the account, which another installation trades, and tell people."""

    def release_unacknowledged(self, gateway: str) -> None:
        """Release what a restart of that gateway has wiped out; the halt ends when nothing is left."""


class AccountFacts(Protocol):
    """What decides whether a run may trade; each is asked anew, since a person may have answered meanwhile."""

    def traded_since(self, since: datetime) -> Traded:
        """What the account has traded since then."""

    def traded_everywhere_since(self, since: datetime) -> Traded:
        """What all accounts have traded since then, and what the other runs of this moment are about to trade."""

    def household(self, symbols: Collection[str], since: datetime) -> Household:
        """What all accounts have traded of these symbols since then, and what others than this one are about to buy."""

    def cash_planned(self) -> bool:
        """Whether cash is to be there for the account by a day to come, raised already or not."""

    def last_rebalance(self) -> datetime | None:
        """When the account last traded, this event's unfinished work apart."""

    def last_run(self, within: timedelta) -> AfterSnapshot | None:
        """The account before the newest run that traded, and what that run filled; ``None`` if it is too old."""

    def seen(self, within: timedelta) -> Seen | None:
        """The account as it was recorded last, with our fills since."""

    def ever_traded(self) -> bool:
        """Whether the program has ever traded for the account."""

    def last_trade(self) -> LastTrade | None:
        """What the account traded last, and with what."""

    def last_targets(self) -> tuple[StrategyPart, ...]:
        """What the account's last successful rebalance aimed at, by strategy; empty if there is none on record."""

    def installation(self) -> str:
        """Who we are."""

    def strangers(self, seen: Mapping[str, datetime | None]) -> Strangers:
        """Sort what the broker lists.

        Args:
            seen: order refs, with the time of the first execution; ``None`` without one.
        """


class RunRecord(OrderJournal, Halts, AccountFacts, Protocol):
    """One run of an event: the right to work on it, and everything that goes on record while it lasts."""

    @property
    def claim(self) -> Claim:
        """Which event, of which account, in which attempt."""

    def checkpoint(self) -> None:
        """Stop here unless the event is still ours and still wanted.

        Raises:
            LeaseLost: another worker may own the event, or nobody can say.
            RemovalRequested: an operator removed it.
        """

    def clearance(self) -> list[Blocked]:
        """The same and the halts that the account is under, in one question; asked before every order.

        Raises:
            LeaseLost, RemovalRequested: as of :meth:`checkpoint`.
        """

    def require_lease(self) -> None:
        """Stop here unless the event is still ours, whether it is still wanted or not.

        Raises:
            LeaseLost: another worker may own the event, or nobody can say.
        """

    def fence(self) -> None:
        """The same by our own clock. Asks nobody, so that it can be the last thing before an order leaves.

        Raises:
            LeaseLost: another worker may own the event.
        """

    def decided(self, inputs: dict[str, Any], plan: dict[str, Any], before: Observed | None = None) -> None:
        """Put on record what this run saw and proposes, and the account before it."""

    def planned_again(self, why: str, inputs: dict[str, Any], plan: dict[str, Any]) -> None:
        """Put a further plan of this run on record."""

    def observed(
        self, moment: Literal["before", "after"], snapshot: AccountSnapshot, positions: Sequence[dict[str, Any]]
    ) -> None:
        """Put a snapshot of the account on record."""

    def approval(self) -> Approval | None:
        """The newest plan of this event that was put before a person."""

    def ask(self, question: Question) -> None:
        """Put a plan before a person."""

    def use(self, approval: Approval, by: str | None = None) -> None:
        """Note that an approved plan is being carried out.

        Args:
            by: who approved it, if nobody has been noted yet.
        """
