"""Retries, holds and whatever was left behind, with real workers and beats: everything goes on by itself, in turn."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from redis import Redis
from sqlalchemy import select, update

from rebalancer.domain.commands import Command
from rebalancer.domain.rule_names import Rule
from rebalancer.ledger import events, ownership, signal_intake
from rebalancer.ledger.models import Attempt, Event
from rebalancer.ledger.session import Ledger
from rebalancer.ledger.signal_intake import Addressee, NewSignal
from rebalancer.risk import Blocked
from rebalancer.runner.servers import RunningServer, running_redis
from rebalancer.services import Services
from sandbox.gateway.behaviour import Incoming
from tests.integration.ibkr.serving import Script
from tests.world import STRANGER, World, kill, until, world

REQ_POSITIONS = 74
ACCOUNTS = tuple(f"DU100000{number}" for number in range(1, 8))
DELAY_S = 2.0


def attempts(here: World, event_id: UUID) -> list[Attempt]:
    with here.ledger.begin() as session:
        return list(session.scalars(select(Attempt).where(Attempt.event_id == event_id).order_by(Attempt.number)))


def row(here: World, event_id: UUID) -> Event:
    with here.ledger.begin() as session:
        return session.get_one(Event, event_id)


def recorded(here: World, account: str, command: Command = Command.PRINT_EQUITY) -> UUID:
    """An event that nobody has published."""
    signal = NewSignal("test", uuid4().hex, command, {})
    with here.ledger.begin() as session:
        return signal_intake.record(session, signal, [Addressee(account, "etf-blend-301-20")]).served[0].event_id


def test_a_failing_event_waits_its_delay_at_the_back_and_blocks_nobody(here: World) -> None:
    """Two beats do no harm: each publishes what the other has not."""
    here.environment |= {"RETRY_DELAY_S": str(DELAY_S), "ATTENTION_AFTER": "2", "SLOW_RETRY_DELAY_S": "3"}
    here.start_beat()
    here.start_beat()
    failing = here.submit(STRANGER, Command.PRINT_EQUITY)
    others = [here.submit(account, Command.PRINT_EQUITY) for account in ACCOUNTS]
    here.start_worker()
    for event_id in others:
        here.finish(event_id)
    until(lambda: row(here, failing).attempt >= 4, 40, lambda: str(here.event(failing)))
    first, second, third, fourth = attempts(here, failing)[:4]
    last = max(attempt.started_at for event_id in others for attempt in attempts(here, event_id))
    assert first.started_at < last < second.started_at
    assert [len(attempts(here, event_id)) for event_id in others] == [1] * len(others)
    pauses = [
        (later.started_at - earlier.finished_at).total_seconds()
        for earlier, later in ((first, second), (second, third), (third, fourth))
        if earlier.finished_at
    ]
    assert DELAY_S <= pauses[0] < DELAY_S + 3
    assert all(3 <= pause < 6 for pause in pauses[1:]), "slowly, but for ever"
    kept = row(here, failing)
    assert kept.times_queued == kept.failures + 1
    assert "account_not_managed" in (kept.last_error or "")
    assert kept.needs_attention
    assert here.logs().count('"needs_attention"') == 1, "raised once, loudly"


@pytest.fixture
def restartable(tmp_path: Path, ledger: Ledger) -> Iterator[tuple[World, RunningServer]]:
    """A world with a Redis of its own, to be killed."""
    with (
        tempfile.TemporaryDirectory() as folder,
        running_redis(Path(folder) / "redis") as redis,
        world(tmp_path, ledger, redis.url) as made,
    ):
        yield made, redis


def test_a_held_event_occupies_nobody_and_survives_every_restart(restartable: tuple[World, RunningServer]) -> None:
    here, redis = restartable
    held = recorded(here, "DU1000001")
    claim = ownership.claim(here.ledger, held, "elsewhere/1/1", timedelta(minutes=1))
    assert claim is not None
    until_then = datetime.now(UTC) + timedelta(seconds=15)
    with here.ledger.begin() as session:
        events.hold(session, claim, Blocked(Rule.MARKET_HOURS, "market closed", until_then))
    processes = [here.start_worker(), here.start_beat()]
    here.finish(here.submit("DU1000002", Command.PRINT_EQUITY))
    for process in processes:
        kill(process)
    redis.kill()
    redis.start()
    Redis.from_url(redis.url).flushall()
    here.start_beat()
    here.start_worker()
    here.finish(here.submit("DU1000002", Command.PRINT_EQUITY))
    here.finish(held)
    last = attempts(here, held)[-1]
    assert until_then <= last.started_at < until_then + timedelta(seconds=10)
    assert row(here, held).failures == 0


def test_a_dead_workers_event_is_taken_back_soon_on_its_own_machine(here: World, script: Script) -> None:
    """Its lease and the dispatcher's patience would last more than two minutes; the next renewal would come in 16 s."""
    here.environment |= {"LEASE_S": "100", "IB_REQUEST_TIMEOUT_S": "60"}
    script.requests[REQ_POSITIONS] = Incoming.IGNORE
    worker = here.start_worker()
    here.start_beat()
    event_id = here.submit("DU1000001", Command.PRINT_POSITIONS)
    until(lambda: here.event(event_id).state == "running")
    kill(worker)
    script.requests.clear()
    here.start_worker()
    here.finish(event_id, 60)
    assert [attempt.outcome for attempt in attempts(here, event_id)] == ["lost", "succeeded"]


def test_a_lost_message_is_missed_although_the_queue_is_not_empty(here: World) -> None:
    lost, waiting = here.submit("DU1000001", Command.PRINT_EQUITY), here.submit("DU1000002", Command.PRINT_EQUITY)
    with Redis.from_url(here.environment["REDIS_URL"]) as redis:
        redis.rpop("report")
        here.start_beat()
        until(lambda: redis.llen("report") == 2, 20)
    assert (row(here, lost).dispatch_no, row(here, waiting).dispatch_no) == (2, 1)


def test_a_lock_left_behind_keeps_no_message_out_although_the_queue_is_not_empty(here: World) -> None:
    here.submit("DU1000002", Command.PRINT_EQUITY)
    with Redis.from_url(here.environment["REDIS_URL"]) as redis:
        redis.set("rebalancer:message:DU1000001:print-equity", "of a message that died", px=300_000)
        here.submit("DU1000001", Command.PRINT_EQUITY)
        assert redis.llen("report") == 2


def test_a_removed_events_message_leaves_the_queue_and_the_next_signal_enters(here: World) -> None:
    stays, goes = here.submit("DU1000002", Command.PRINT_EQUITY), here.submit("DU1000001", Command.PRINT_EQUITY)
    with Redis.from_url(here.environment["REDIS_URL"]) as redis:
        Services.of(here.settings).dispatcher.remove(goes, "by the test")
        assert redis.llen("report") == 1
        again = here.submit("DU1000001", Command.PRINT_EQUITY)
        assert redis.llen("report") == 2
    here.start_worker()
    for event_id in (stays, again):
        here.finish(event_id)
    assert here.event(goes).state == "removed"


def test_beat_cleans_up_what_is_older_than_the_retention(here: World) -> None:
    ids = []
    for age in (timedelta(days=400), timedelta(days=10), timedelta()):
        ids.append(recorded(here, "DU1000001"))
        claim = ownership.claim(here.ledger, ids[-1], "elsewhere/1/1", timedelta(minutes=1))
        assert claim is not None
        with here.ledger.begin() as session:
            events.succeed(session, claim, {})
            session.execute(update(Event).where(Event.id == ids[-1]).values(finished_at=Event.finished_at - age))
    here.start_beat()
    here.start_beat()

    def left() -> list[UUID]:
        with here.ledger.begin() as session:
            return list(session.scalars(select(Event.id).order_by(Event.created_at)))

    until(lambda: left() == ids[1:])
