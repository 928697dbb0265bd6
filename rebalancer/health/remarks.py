"""What hinders no signal from being traded, and what a person should know all the same."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from rebalancer.domain.commands import read_payload
from rebalancer.domain.errors import ConfigurationError
from rebalancer.health import statements
from rebalancer.health.readiness import Check
from rebalancer.health.sources import not_followed
from rebalancer.ledger import channel_log, outbox
from rebalancer.ledger.queries import signals
from rebalancer.ledger.queries.signals import SignalView
from rebalancer.ledger.session import Session
from rebalancer.ledger.states import SignalState
from rebalancer.services import Services

UNDELIVERED_FOR = timedelta(minutes=10)
REMEMBERED_FOR = timedelta(days=7)
NEWEST_SIGNALS = 200


def remarks(services: Services, session: Session) -> tuple[Check, ...]:
    """Everything of that kind; empty when there is nothing."""
    return (
        *_undelivered(session),
        *_misunderstood(session),
        *_missed(session),
        *_tables(services, session),
        *_statements(services, session),
    )


def _undelivered(session: Session) -> list[Check]:
    before = datetime.now(UTC) - UNDELIVERED_FOR
    return [
        Check(
            f"notifications to {one.target} are not delivered",
            True,
            f"{one.waiting} since {one.since:%Y-%m-%d %H:%M} UTC: {one.last_error}; try `rebalancer notify test`",
            warning=True,
        )
        for one in outbox.stuck(session)
        if one.since < before
    ]


def _misunderstood(session: Session) -> list[Check]:
    """Channels whose newest message was no command, which is how a provider's slip of the pen looks."""
    after = datetime.now(UTC) - REMEMBERED_FOR
    return [
        Check(
            f"the last signal of {signal.channel} was not understood",
            True,
            f"{signal.remark}; it was taken for {signal.command or 'nothing'}: ask its provider",
            warning=True,
        )
        for signal in signals.newest_messages(session, NEWEST_SIGNALS)
        if signal.received_at > after and _meant_nothing(signal)
    ]


def _tables(services: Services, session: Session) -> list[Check]:
    try:
        accounts = services.accounts()
    except ConfigurationError:  # which whoever has to act on the file tells
        return []
    return not_followed(accounts, services.settings.broker.trading_mode, session)


def _statements(services: Services, session: Session) -> list[Check]:
    try:
        return statements.remarks(services, session)
    except ConfigurationError:  # as above
        return []


def _meant_nothing(signal: SignalView) -> bool:
    """Other remarks are ours, as of a signal that came too late."""
    remark = read_payload(signal.payload).remark
    return signal.state is SignalState.QUARANTINED or (remark is not None and remark == signal.remark)


def _missed(session: Session) -> list[Check]:
    """Gaps of which it is not known yet whether an account missed something."""
    return [
        Check(
            f"signals of {gap.channel} may have been missed",
            True,
            f"not heard from {gap.since:%Y-%m-%d %H:%M} to {gap.until:%Y-%m-%d %H:%M} UTC; when the strategy "
            "rebalanced last is not known yet: see Signals on the page",
            warning=True,
        )
        for gap in channel_log.open_gaps(session)
    ]
