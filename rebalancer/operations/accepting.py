"""A table that waits for its owner is accepted."""

from __future__ import annotations

import structlog

from rebalancer.domain.errors import RequestRefused
from rebalancer.ledger import sources
from rebalancer.ledger.signal_intake import Addressee
from rebalancer.ledger.sources import Accepted
from rebalancer.services import Services

log = structlog.get_logger()


def accept_table(services: Services, strategy: str, by: str) -> Accepted:
    """Follow what a source said last, although it is another table than the one before.

    Raises:
        RequestRefused: there is no such source, or nothing of it waits.
    """
    accounts = services.accounts()
    source = accounts.sources.get(strategy)
    if source is None:
        known = ", ".join(sorted(accounts.sources)) or "none"
        raise RequestRefused(f"{strategy} has no source in the accounts file; those that have: {known}")
    followers = accounts.following(strategy, services.settings.broker.trading_mode)
    with services.ledger.begin() as session:
        accepted = sources.accept(session, source, [Addressee.of(one, strategy) for one in followers])
    if accepted is None:
        raise RequestRefused(f"nothing of {strategy} waits to be accepted; `rebalancer sources` says how it is")
    log.warning("source_accepted", strategy=strategy, by=by, events=len(accepted.event_ids))
    services.dispatcher.publish_due(set(accepted.event_ids))
    return accepted
