"""Strategies that are held: beat judges their canaries, and a person lets the accounts go or removes what waits."""

from __future__ import annotations

from uuid import UUID

import structlog

from rebalancer.domain.errors import ConfigurationError, RequestRefused
from rebalancer.domain.strategy_holds import HoldState, StrategyHold
from rebalancer.ledger import canaries, strategy_holds
from rebalancer.services import Services

log = structlog.get_logger()


class StrategyWatch:
    """Brings each hold to its end. May run in several processes at once: a hold ends once.

    Where no strategy has a guard and nothing is held it asks the ledger nothing.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._any_left = True

    def look(self) -> None:
        """Judge what can be judged.

        Raises:
            RecordUnavailable: PostgreSQL is away.
        """
        try:
            guards = self._services.accounts().guards
        except ConfigurationError:  # whoever has to act on the file tells; nothing is judged by an old one
            return
        if not guards and not self._any_left:
            return
        with self._services.ledger.begin() as session:
            open_ids = strategy_holds.open_ids(session)
        self._any_left = bool(open_ids)
        for hold_id in open_ids:
            with self._services.ledger.begin() as session:
                changed = canaries.settle(session, hold_id, guards)
            if changed is not None:
                log.info(
                    "strategy_hold", hold=hold_id, kind=changed.kind, strategy=changed.strategy, state=changed.state
                )


def held(services: Services) -> list[StrategyHold]:
    """Strategies that are held, oldest first."""
    with services.ledger.begin() as session:
        return strategy_holds.in_force(session)


def release(services: Services, hold_id: int, by: str) -> int:
    """Let the accounts go that wait for a hold, whatever it says.

    Returns:
        How many waited.

    Raises:
        RequestRefused: no such hold is in force.
    """
    with services.ledger.begin() as session:
        freed = strategy_holds.end(session, hold_id, HoldState.RELEASED, by)
    return _decided(services, hold_id, HoldState.RELEASED, freed, by)


def withdraw(services: Services, hold_id: int, by: str) -> int:
    """End the events that wait for a hold; the account that traded first keeps its own.

    Returns:
        How many waited.

    Raises:
        RequestRefused: no such hold is in force.
    """
    with services.ledger.begin() as session:
        removed = strategy_holds.withdraw(session, hold_id, by)
    return _decided(services, hold_id, HoldState.WITHDRAWN, removed, by)


def _decided(services: Services, hold_id: int, state: HoldState, event_ids: list[UUID] | None, by: str) -> int:
    if event_ids is None:
        known = ", ".join(str(one.id) for one in held(services)) or "none"
        raise RequestRefused(f"no strategy hold {hold_id} is in force; those that are: {known}")
    log.warning("strategy_decided", hold=hold_id, state=state, by=by, events=len(event_ids))
    services.dispatcher.publish_due(set(event_ids))
    return len(event_ids)
