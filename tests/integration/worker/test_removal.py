"""An operator's removal ends an event for good, by each way and in each state."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import httpx
import pytest
from redis import Redis

from api.app import create_app
from rebalancer.domain.claims import Claim
from rebalancer.domain.commands import Command
from rebalancer.domain.rule_names import Rule
from rebalancer.ledger import events, ownership, signal_intake
from rebalancer.ledger.signal_intake import Addressee, NewSignal
from rebalancer.risk import Blocked
from tests.programs import CLI, completed
from tests.serving import serving
from tests.world import KEY, World

LEASE = timedelta(seconds=60)


def by_api(working: World, event_id: UUID) -> None:
    with serving(create_app(working.settings)) as client:
        answer = client.delete(f"/queue/events/{event_id}", headers={"Authorization": f"Bearer {KEY}"})
    assert answer.status_code == httpx.codes.OK, answer.text


def by_command_line(working: World, event_id: UUID) -> None:
    completed((*CLI, "remove", str(event_id)), working.environment | {"PATH": ""}).check_returncode()


def by_revoking_the_event(working: World, event_id: UUID) -> None:
    assert "event" in working.celery("control", "revoke", str(event_id))


def by_revoking_its_message(working: World, event_id: UUID) -> None:
    assert "event" in working.celery("control", "revoke", f"{event_id}.1")


def unpublished(working: World) -> UUID:
    """An event that no message speaks of, and no dispatcher is running."""
    signal = NewSignal("test", uuid4().hex, Command.REBALANCE, {})
    with working.ledger.begin() as session:
        return signal_intake.record(session, signal, [Addressee("DU1000001", "etf-blend-301-20")]).served[0].event_id


def claimed(working: World) -> Claim:
    claim = ownership.claim(working.ledger, unpublished(working), "elsewhere/1/1", LEASE)
    assert claim is not None
    return claim


def queued(working: World) -> UUID:
    return unpublished(working)


def retrying(working: World) -> UUID:
    claim = claimed(working)
    with working.ledger.begin() as session:
        events.fail(session, claim, "gateway away", timedelta(hours=1))
    return claim.event_id


def on_hold(working: World) -> UUID:
    claim = claimed(working)
    with working.ledger.begin() as session:
        events.hold(
            session, claim, Blocked(Rule.MARKET_HOURS, "market closed", datetime.now(UTC) + timedelta(hours=12))
        )
    return claim.event_id


@pytest.mark.parametrize("way", [by_api, by_command_line, by_revoking_the_event, by_revoking_its_message])
@pytest.mark.parametrize("state", [queued, retrying, on_hold])
def test_a_waiting_event_is_removed_for_good(
    working: World, state: Callable[[World], UUID], way: Callable[[World, UUID], None]
) -> None:
    event_id = state(working)
    way(working, event_id)
    assert working.event(event_id).state == "removed"
    with Redis.from_url(working.environment["REDIS_URL"]) as redis:
        assert redis.llen("live") == 0
        assert redis.exists("rebalancer:message:DU1000001:rebalance") == 0
