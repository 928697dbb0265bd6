"""Signals lost, taken twice, or served by what is out of date."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import redis

from rebalancer.domain.claims import Claim
from rebalancer.domain.portfolio import StrategyPart, Targets, TargetWeight
from rebalancer.ledger.models import Event
from rebalancer.ledger.session import Session
from rebalancer.ledger.signal_intake import NewSignal, Recorded
from rebalancer.ledger.states import EventState
from sandbox.chaos.sabotage.patching import Patch, Variant, instead

LINE = ("Ably: connection dropped", "Ably: dropped, resume refused", "Ably: gap", "Ably: zombie", "listener killed")


def _known_to_redis_alone(record: Callable[..., Recorded]) -> Callable[..., Recorded]:
    """Whether a signal came before is what Redis remembers; what it has forgotten is recorded once more."""
    memory = redis.Redis.from_url(os.environ["REDIS_URL"], socket_timeout=2)

    def recorded(session: Session, signal: NewSignal, *others: Any) -> Recorded:
        is_new = memory.set(f"seen:{signal.channel}:{signal.message_id}", "1", nx=True)
        found = record(session, signal, *others)
        if is_new and found.duplicate:
            return record(session, replace(signal, message_id=f"{signal.message_id}'"), *others)
        return found

    return recorded


def _kept_for_ever(fetch: Callable[..., Targets]) -> Callable[..., Targets]:
    known: dict[str, Targets] = {}

    def fetched(client: object, strategy: str) -> Targets:
        if strategy not in known:
            known[strategy] = fetch(client, strategy)
        return known[strategy]

    return fetched


def _news_forgotten(succeed: Callable[..., EventState]) -> Callable[..., EventState]:
    def succeeded(session: Session, claim: Claim, result: dict[str, Any]) -> EventState:
        event = session.get_one(Event, claim.event_id)
        event.observed_generation = event.requested_generation
        session.flush()
        return succeed(session, claim, result)

    return succeeded


def _first_alone(members: Sequence[StrategyPart]) -> tuple[TargetWeight, ...]:
    return members[0].weights


async def _unread(_flow: object) -> None:
    """History is not asked."""


VARIANTS = {
    "dedup by Redis only": Variant(
        [
            Patch("rebalancer.ledger.signal_intake:record", _known_to_redis_alone),
            instead("rebalancer.ledger.channel_log:_known", lambda _session, _arrivals: {}),
        ],
        ("Redis flushed", "listener killed", "Ably: dropped, resume refused", "Ably: message repeated"),
    ),
    "listener without recovery": Variant(
        [
            instead("listener.channel:Flow._read", _unread),
            instead("listener.channel:Flow.rewind_s", lambda _flow: 0),
        ],
        LINE,
    ),
    "stale targets traded": Variant([Patch("rebalancer.allocations:AllocationsClient.fetch", _kept_for_ever)]),
    "a blend of its first member alone": Variant([instead("rebalancer.usecases.targets:blend", _first_alone)]),
    "changes of tables forgotten": Variant([instead("rebalancer.ledger.sources:_signal", lambda *_: ())]),
    "news during a run forgotten": Variant([Patch("rebalancer.ledger.events:succeed", _news_forgotten)]),
}
