"""A person has mended what an event waits for. The command line and the API call the same function."""

from __future__ import annotations

from uuid import UUID

import structlog

from rebalancer.domain.errors import RequestRefused
from rebalancer.ledger import retries
from rebalancer.services import Services

log = structlog.get_logger()


def retry(services: Services, event_id: UUID, by: str) -> bool | None:
    """Let an event that waits for its next try run at once.

    Returns:
        False when it was due or running already, and nothing has changed; ``None`` when no active event has that id.

    Raises:
        RequestRefused: it waits for something that another try does not end.
    """
    with services.ledger.begin() as session:
        answer = retries.retry(session, event_id, by)
    if answer is None:
        return None
    if answer.forbidden is not None:
        raise RequestRefused(f"event {event_id} cannot be tried now: {answer.forbidden}")
    if answer.made:
        log.warning("event_retried", event_id=str(event_id), by=by)
        services.dispatcher.publish_due({event_id})
    return answer.made
