"""What people are told of, and how urgent it is; pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID


class Severity(StrEnum):
    """Least urgent first; information is gathered for a while, the others are told at once."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"

    @property
    def rank(self) -> int:
        """Larger is more urgent."""
        return list(Severity).index(self)


class NoticeKind(StrEnum):
    """The facts that people are told of."""

    ATTENTION = "attention"
    """An event needs a person: it keeps failing, or its workers keep dying."""
    RECOVERED = "recovered"
    """It has succeeded after all."""
    FAILING = "failing"
    """A rebalance failed for the first time and is tried again."""
    REBALANCED = "rebalanced"
    HELD = "held"
    """A rebalance waits for a known time or a person."""
    LEFT_ALONE = "left-alone"
    """A rebalance succeeded, and left holdings alone that it could not trade."""
    CORPORATE_ACTION = "corporate-action"
    """Holdings have changed though nobody here has traded them."""
    APPROVAL = "approval"
    """A plan is put before a person."""
    STRATEGY_HELD = "strategy-held"
    """All accounts of a strategy wait for a person."""
    REMOVED = "removed"
    HALTED = "halted"
    RESUMED = "resumed"
    UNACKNOWLEDGED = "unacknowledged"
    """The gateway says nothing of an order; its account is halted."""
    ACKNOWLEDGED = "acknowledged"
    """It is accounted for after all, and the halt has ended by itself."""
    LOSS = "loss"
    """The broker announces a loss, or has sold by itself; the account is halted."""
    LOGIN_ASKED = "login-asked"
    """The gateway's login waits for the second factor."""
    LOGIN_MISSED = "login-missed"
    """Nobody gave it in time."""
    LOGIN_REFUSED = "login-refused"
    """IBKR does not take the gateway's login."""
    LOGGED_IN = "logged-in"
    """It waited for a person, and is done."""
    LOGIN_DUE = "login-due"
    """The weekly login is due."""
    DESUPPORTED = "desupported"
    """IBKR will not take logins of this build of the gateway any more."""
    OTHER_INSTALLATION = "other-installation"
    """Another installation trades the account; it is halted."""
    QUARANTINED = "quarantined"
    """A signal cannot be read."""
    DRY_RUN = "dry-run"
    """A signal was not taken literally."""
    MISSED = "missed"
    """Signals of a channel may have been missed."""
    SOURCE_REFUSED = "source-refused"
    """A strategy's table is not followed as it is now."""
    SOURCE_UNREAD = "source-unread"
    """It cannot be read, for longer than a moment."""
    SOURCE_WELL = "source-well"
    """It is read and followed again."""
    STATEMENT_DIFFERS = "statement-differs"
    """The broker's statement has something beyond the ledger that nothing in it explains."""
    STATEMENT_UNREAD = "statement-unread"
    """No statement can be fetched or read."""
    STATEMENT_WELL = "statement-well"
    """Statements are read again."""
    TROUBLE = "trouble"
    """No signal could be traded, for longer than a moment."""
    WELL = "well"
    """Signals can be traded again."""
    CASH_FLOW = "cash-flow"
    """Cash came to an account, or went, without a trade."""
    DIGEST = "digest"
    LETTER = "letter"
    """What an account has done and cost in a week or a month."""


@dataclass(frozen=True, slots=True)
class Notice:
    """A fact as the outbox keeps it.

    Attributes:
        account_id: whom it concerns, ``None`` for everybody.
        detail: what the wording needs, as JSON; decimals and times as text.
    """

    id: int
    at: datetime
    kind: NoticeKind
    account_id: str | None
    event_id: UUID | None
    detail: Mapping[str, Any]

    @property
    def severity(self) -> Severity:
        """How urgent it is."""
        return SEVERITIES[self.kind]


# Good news reaches whoever was told the bad: it is as severe as what it ends.
SEVERITIES: Mapping[NoticeKind, Severity] = {
    NoticeKind.ATTENTION: Severity.ERROR,
    NoticeKind.RECOVERED: Severity.ERROR,
    NoticeKind.TROUBLE: Severity.ERROR,
    NoticeKind.WELL: Severity.ERROR,
    NoticeKind.MISSED: Severity.ERROR,
    NoticeKind.UNACKNOWLEDGED: Severity.ERROR,
    NoticeKind.ACKNOWLEDGED: Severity.ERROR,
    NoticeKind.LOSS: Severity.ERROR,
    NoticeKind.OTHER_INSTALLATION: Severity.ERROR,
    NoticeKind.LOGIN_ASKED: Severity.ERROR,
    NoticeKind.LOGIN_MISSED: Severity.ERROR,
    NoticeKind.LOGIN_REFUSED: Severity.ERROR,
    NoticeKind.LOGGED_IN: Severity.ERROR,
    NoticeKind.STATEMENT_DIFFERS: Severity.ERROR,
    NoticeKind.STATEMENT_UNREAD: Severity.WARNING,
    NoticeKind.STATEMENT_WELL: Severity.WARNING,
    NoticeKind.SOURCE_REFUSED: Severity.WARNING,
    NoticeKind.SOURCE_UNREAD: Severity.WARNING,
    NoticeKind.SOURCE_WELL: Severity.WARNING,
    NoticeKind.LOGIN_DUE: Severity.WARNING,
    NoticeKind.DESUPPORTED: Severity.WARNING,
    NoticeKind.APPROVAL: Severity.WARNING,
    NoticeKind.STRATEGY_HELD: Severity.WARNING,
    NoticeKind.LEFT_ALONE: Severity.WARNING,
    NoticeKind.CORPORATE_ACTION: Severity.INFO,
    NoticeKind.HALTED: Severity.WARNING,
    NoticeKind.RESUMED: Severity.WARNING,
    NoticeKind.REMOVED: Severity.WARNING,
    NoticeKind.QUARANTINED: Severity.WARNING,
    NoticeKind.DRY_RUN: Severity.WARNING,
    NoticeKind.FAILING: Severity.INFO,
    NoticeKind.REBALANCED: Severity.INFO,
    NoticeKind.HELD: Severity.INFO,
    NoticeKind.CASH_FLOW: Severity.INFO,
    NoticeKind.DIGEST: Severity.INFO,
    NoticeKind.LETTER: Severity.INFO,
}
GOOD_NEWS = frozenset(
    {
        NoticeKind.RECOVERED,
        NoticeKind.WELL,
        NoticeKind.REBALANCED,
        NoticeKind.RESUMED,
        NoticeKind.ACKNOWLEDGED,
        NoticeKind.LOGGED_IN,
        NoticeKind.SOURCE_WELL,
        NoticeKind.STATEMENT_WELL,
    }
)


@dataclass(frozen=True, slots=True)
class Subscription:
    """What an account's owner wants to be told.

    Attributes:
        to: names of targets; ``None`` for all.
        severity: least one; ``None`` for the general one.
    """

    to: tuple[str, ...] | None = None
    severity: Severity | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """A fact on its way to one target; those in one box travel together once the first is due."""

    target: str
    box: str
    due_at: datetime
