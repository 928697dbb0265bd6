"""Do notifications arrive? For whoever examines the set-up."""

from __future__ import annotations

from rebalancer.domain.errors import RecordUnavailable
from rebalancer.health.readiness import Check
from rebalancer.ledger import outbox
from rebalancer.ledger.outbox import Stuck
from rebalancer.services import Services

NAME = "notifications"


def check(services: Services) -> Check:
    """Whether every target takes what it is sent; it is no part of readiness, since signals are traded without."""
    targets = services.settings.notifications.notify_targets
    if not targets:
        told = "nobody is told when trading stops: NOTIFY_URLS is not set, see docs/notifications.md"
        return Check(NAME, True, told, warning=True)
    try:
        with services.ledger.begin() as session:
            stuck = outbox.stuck(session)
    except RecordUnavailable:
        return Check(NAME, False, "unknown without the database")
    names = ", ".join(target.name for target in targets)
    return Check(NAME, not stuck, "; ".join(map(_told, stuck)) or f"{names}: nothing is stuck")


def _told(one: Stuck) -> str:
    since = f"{one.since:%Y-%m-%d %H:%M} UTC"
    return f"{one.target} has not taken {one.waiting} since {since}: {one.last_error}; try `rebalancer notify test`"
