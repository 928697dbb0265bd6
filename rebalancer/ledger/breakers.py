"""The same refusal in several accounts holds their strategy, and people are told once."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from sqlalchemy import select

from rebalancer.domain.claims import Claim
from rebalancer.domain.commands import Command
from rebalancer.domain.rule_names import Rule
from rebalancer.domain.strategy_holds import HoldKind, HoldState, StrategyGuard
from rebalancer.ledger import outbox, strategy_holds
from rebalancer.ledger.models import Event, Signal, SignalEvent, StrategyHoldRow
from rebalancer.ledger.session import Session
from rebalancer.ledger.states import EventState
from rebalancer.risk.breaker import COUNTED, trips


def holds_back(session: Session, claim: Claim, rule: Rule | None, guards: Mapping[str, StrategyGuard]) -> bool:
    """Hold a strategy, if the rule that refuses this run refuses enough of the accounts that have its signal; asked
    before the failure goes on record.

    Args:
        guards: by strategy, of the account.

    Returns:
        Whether a breaker holds the event: people are told of the strategy and not of each account.
    """
    bounds = {strategy: guard.breaker_accounts for strategy, guard in guards.items() if guard.breaker_accounts}
    if not bounds or rule not in COUNTED or claim.command is not Command.REBALANCE:
        return False
    outbox.take_turns(session, "breakers")  # of two that fail at once the second sees the first
    if strategy_holds.keeps(session, claim.event_id, StrategyHoldRow.kind == HoldKind.BREAKER):
        return True
    for signal, request_no in _served(session, claim, bounds):
        refused = {claim.account_id, *_refused(session, signal.id, rule)}
        if trips(rule, refused, bounds[signal.channel]) and not _held_already(session, signal):
            _open(session, claim, signal, request_no, f"{rule} refuses {', '.join(sorted(refused))}")
            return True
    return False


def _served(session: Session, claim: Claim, strategies: Collection[str]) -> Sequence[tuple[Signal, int]]:
    """Signals of the strategies that the event serves, the newest first, each with its number there."""
    rows = session.execute(
        select(Signal, SignalEvent.request_no)
        .join(SignalEvent, SignalEvent.signal_id == Signal.id)
        .where(SignalEvent.event_id == claim.event_id, Signal.channel.in_(strategies))
        .order_by(Signal.id.desc())
    )
    return [(signal, number) for signal, number in rows]


def _refused(session: Session, signal_id: int, rule: Rule) -> Sequence[str]:
    return session.scalars(
        select(Event.account_id)
        .join(SignalEvent, SignalEvent.event_id == Event.id)
        .where(SignalEvent.signal_id == signal_id, Event.state == EventState.RETRYING, Event.rule == rule)
    ).all()


def _held_already(session: Session, signal: Signal) -> bool:
    """For another signal, which has not reached this event."""
    return strategy_holds.is_open(session, signal.channel, HoldKind.BREAKER)


def _open(session: Session, claim: Claim, signal: Signal, request_no: int, reason: str) -> None:
    row = StrategyHoldRow(
        kind=HoldKind.BREAKER,
        strategy=signal.channel,
        signal_id=signal.id,
        event_id=claim.event_id,
        account_id=claim.account_id,
        request_no=request_no,
        state=HoldState.TRADING,
    )
    session.add(row)
    session.flush()
    strategy_holds.ask(session, row.id, [reason])
