"""What the ledger knows that decides whether a run may trade."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from rebalancer.domain.orders import OrderTrace, Traded
from rebalancer.ledger import approvals, halts, installations, last_trading_run, previous_trades, recovered_orders
from rebalancer.ledger.approvals import Approval, Question
from rebalancer.ledger.claims import Claim
from rebalancer.ledger.halts import Halt
from rebalancer.ledger.installations import Strangers
from rebalancer.ledger.queries import trading_activity
from rebalancer.ledger.run_ledger import RunLedger
from rebalancer.ledger.session import Session
from rebalancer.risk.first_times import LastTrade
from rebalancer.risk.splits import Seen


class Facts:
    """Questions of one run; each is asked anew, since a person may have answered meanwhile."""

    def __init__(self, ledger: RunLedger, claim: Claim) -> None:
        self._ledger = ledger
        self._claim = claim

    def halts(self) -> list[Halt]:
        """Halts that the account is under."""
        return self._ledger.read(halts.in_force, self._claim.account_id)

    def traded_since(self, since: datetime) -> Traded:
        """What the account has traded since then."""
        return self._ledger.read(trading_activity.traded_since, self._claim.account_id, since)

    def traded_everywhere_since(self, since: datetime) -> Traded:
        """What all accounts have traded since then, and what the other runs of this moment are about to trade."""
        return self._ledger.read(trading_activity.traded_everywhere_since, self._claim, since)

    def last_rebalance(self) -> datetime | None:
        """When the account last traded, this event's unfinished work apart."""
        return self._ledger.read(trading_activity.last_rebalance, self._claim)

    def seen(self, within: timedelta) -> Seen | None:
        """The account as it was recorded last, with our fills since."""
        return self._ledger.read(last_trading_run.seen, self._claim.account_id, within)

    def ever_traded(self) -> bool:
        """Whether the program has ever traded for the account."""
        return self._ledger.read(trading_activity.ever_traded, self._claim.account_id)

    def known(self) -> LastTrade | None:
        """What the account traded last."""
        return self._ledger.read(previous_trades.known, self._claim.account_id)

    def approval(self) -> Approval | None:
        """The newest plan of this event that was put before a person."""
        return self._ledger.read(approvals.current, self._claim)

    def ask(self, question: Question) -> None:
        """Put a plan before a person."""
        self._ledger.write(approvals.ask, self._claim, question)

    def use(self, approval: Approval, by: str | None = None) -> None:
        """Note that an approved plan is being carried out."""
        self._ledger.write(approvals.use, approval.id, by)

    def installation(self) -> str:
        """Who we are."""
        return self._ledger.read(installations.current)

    def strangers(self, seen: Mapping[str, datetime | None]) -> Strangers:
        """Orders of our form at the broker that are not on record; arguments as there."""

        def asked(session: Session) -> Strangers:
            installations.current(session)  # whom a restore has retired
            return installations.strangers(session, seen, recovered_orders.restored_at(session))

        return self._ledger.read(asked)

    def recover(self, traces: Iterable[OrderTrace]) -> None:
        """Put orders on record that were lost with an earlier ledger."""
        self._ledger.write(recovered_orders.record, self._claim, traces)
