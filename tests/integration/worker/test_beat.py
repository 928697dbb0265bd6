"""The dispatcher's parts: none waits for another, or fails with it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from statistics import median

import pytest
from redis import Redis
from sqlalchemy import select, text

from rebalancer.domain.commands import Command
from rebalancer.health import readiness
from rebalancer.health.readiness import Check
from rebalancer.ledger import heartbeats, schedules
from rebalancer.ledger.models import Component, ScheduleRow
from rebalancer.ledger.session import Ledger
from rebalancer.operations.schedules import publish_schedules
from rebalancer.services import Services
from tasks.beat import LOOK_S, QUESTIONS, UNCALLED_S
from tasks.parts import STAGGER_S, Part, Parts
from tests.integration.ledger.test_connections import held
from tests.world import World, until


@contextmanager
def running(*parts: Part) -> Iterator[Parts]:
    made = Parts(*parts)
    made.start()
    try:
        yield made
    finally:
        made.stop()


def test_a_part_that_hangs_and_one_that_breaks_keep_no_other_waiting() -> None:
    never, works = threading.Event(), []

    def broken() -> None:
        raise ValueError("broken")

    parts = (
        Part("hangs", lambda: never.wait(60), 0.05),
        Part("broken", broken, 0.05),
        Part("works", lambda: works.append(1), 0.05),
    )
    with running(*parts) as made:
        until(lambda: len(works) > 5)
        names = ("hangs", "broken", "works")
        until(lambda: made.report(names)["hangs"]["silent_s"] >= 2)
        report = made.report(names)
        assert report["hangs"] == {"silent_s": report["hangs"]["silent_s"], "error": None}
        assert (report["broken"]["silent_s"] >= 2, report["broken"]["error"]) == (True, "ValueError: broken")
        assert report["works"] == {"silent_s": 0, "error": None}
        never.set()


def test_a_part_is_postponed_after_a_failure_and_sets_its_own_pace_otherwise() -> None:
    calls: list[float] = []

    def fails_at_the_third() -> float:
        calls.append(time.monotonic())
        if len(calls) == 3:
            raise ValueError("no more")
        return 0.01

    with running(Part("clean-up", fails_at_the_third, 3600, 0.5)):
        until(lambda: len(calls) >= 4)
    assert calls[2] - calls[0] < 0.4
    assert calls[3] - calls[2] >= 0.5


def test_a_part_that_is_called_works_at_once_and_once_more_if_it_is_at_work() -> None:
    works, goes_on = list[int](), threading.Event()

    def work() -> None:
        works.append(1)
        goes_on.wait(60)

    with running(Part("called", work, 3600)) as parts:
        until(lambda: len(works) == 1)
        parts.call("called")
        parts.call("called")
        assert len(works) == 1
        goes_on.set()
        until(lambda: len(works) == 2)
        parts.call("called")
        until(lambda: len(works) == 3)


def test_who_has_something_to_do_is_called_long_before_its_own_time(here: World) -> None:
    """Each part works by itself every few seconds; ten things to do, one after the other, do not wait for that."""
    here.start_beat()
    until(lambda: dispatcher(here).ok)
    redis, waited_s = Redis.from_url(here.environment["REDIS_URL"]), list[float]()
    for number in range(10):
        with here.ledger.begin() as session:
            session.execute(text(FRESH), {"account": f"DX{number}"})
        began = time.monotonic()
        until(partial(published, redis, f"DX{number}"), 10)
        waited_s.append(time.monotonic() - began)
    assert median(waited_s) < LOOK_S * 1.5 < UNCALLED_S / 2


def test_beat_reports_on_its_looks_and_on_every_part_that_they_call(here: World) -> None:
    seen_parts: dict[str, object] = {}

    def told() -> bool:
        with here.ledger.begin() as session:
            for one in heartbeats.known(session):
                seen_parts.update(one.detail.get(heartbeats.PARTS, {}))
        return bool(seen_parts)

    here.start_beat()
    until(told)
    assert seen_parts.keys() == {"look", *QUESTIONS}


def test_parts_of_one_pace_stay_apart() -> None:
    """Five looks at the ledger in the same moment of every second took five connections."""
    pace_s, worked = 3 * STAGGER_S, [list[float](), list[float](), list[float]()]

    def slow(number: int) -> Part:
        def work() -> None:
            worked[number].append(time.monotonic())
            threading.Event().wait(number * STAGGER_S / 3)

        return Part(f"{number}", work, pace_s)

    with running(*map(slow, range(3))):
        until(lambda: min(map(len, worked)) >= 9)
    since = worked[0][0] - STAGGER_S / 2
    first, second, third = (median((at - since) % pace_s for at in times) for times in worked)
    assert min(second - first, third - second) > STAGGER_S / 3


def test_an_idle_dispatcher_holds_few_connections(here: World) -> None:
    others = held(here.ledger)
    here.start_beat()
    until(lambda: dispatcher(here).ok)
    assert len(held(here.ledger) - others) <= 4


def dispatcher(here: World) -> Check:
    return ready(here, "dispatcher")


def ready(here: World, name: str) -> Check:
    return next(one for one in readiness.check(Services.of(here.settings)) if one.name == name)


def test_beat_says_what_the_gateways_login_waits_for(here: World) -> None:
    log = here.folder / "ibc.txt"
    log.write_text("2026-03-01 22:31:43:459 IBC: Second Factor Authentication initiated\n")
    here.environment["GATEWAY_LOG"] = str(log)
    here.start_beat()
    until(lambda: "approve it in IBKR Mobile" in ready(here, "gateway").detail)
    with log.open("a") as file:
        file.write("2026-03-01 22:32:01:002 IBC: Login has completed\n")
    until(lambda: ready(here, "gateway").detail == "unknown without a worker")


def test_readiness_and_the_health_check_name_a_part_that_does_not_work(here: World) -> None:
    """A ledger whose schedules cannot be read: everything else goes on."""
    here.start_beat()
    until(lambda: dispatcher(here).ok)
    with here.ledger.begin() as session:
        session.execute(text("ALTER TABLE schedules RENAME COLUMN next_at TO x"))
    try:
        until(lambda: not dispatcher(here).ok, 40)
        assert "schedules has not worked for" in dispatcher(here).detail
        assert "UndefinedColumn" in dispatcher(here).detail
        here.start_worker()
        event_id = here.submit("DU1000001", Command.PRINT_EQUITY)
        here.finish(event_id)
    finally:
        with here.ledger.begin() as session:
            session.execute(text("ALTER TABLE schedules RENAME COLUMN x TO next_at"))
    until(lambda: dispatcher(here).ok)


def test_a_schedule_that_cannot_be_served_keeps_no_other_waiting(
    ledger: Ledger, here: World, capsys: pytest.CaptureFixture[str]
) -> None:
    services = Services.of(here.settings)
    with ledger.begin() as session:
        for account, recurrence in (("DU1000001", "daily"), ("DU1000002", "daily")):
            values = {"account": account, "recurrence": recurrence}
            insert = """
                INSERT INTO schedules (account_id, command, recurrence, first_on, next_at, created_by)
                VALUES (:account, 'print-equity', :recurrence, '2026-01-01', now() - interval '1 minute', 'a test')
            """
            session.execute(text(insert), values)
        assert len(schedules.due(session)) == 2
        session.execute(text("ALTER TABLE events ADD CONSTRAINT x CHECK (account_id <> 'DU1000001') NOT VALID"))
    try:
        assert publish_schedules(services) == 1
        with ledger.begin() as session:
            waiting = session.scalars(select(ScheduleRow.account_id).where(ScheduleRow.next_at < text("now()"))).all()
        assert waiting == ["DU1000001"]
        assert "schedule_failed" in capsys.readouterr().out
    finally:
        with ledger.begin() as session:
            session.execute(text("ALTER TABLE events DROP CONSTRAINT x"))
    assert publish_schedules(services) == 1


def test_dispatchers_of_the_past_are_forgotten_and_one_that_ends_signs_off(here: World) -> None:
    with here.ledger.begin() as session:
        for number in range(5):
            session.add(Component(name="beat", host=f"old/{number}/1", detail={}))
        session.flush()
        session.execute(text("UPDATE components SET seen_at = now() - interval '2 hours'"))

    def beats() -> list[str]:
        with here.ledger.begin() as session:
            return [one.host for one in heartbeats.known(session) if one.name == "beat"]

    beat = here.start_beat()
    until(lambda: len(beats()) == 1 and "old" not in beats()[0])
    beat.terminate()
    until(lambda: beats() == [])


def test_hints_leave_at_once_while_a_backlog_is_cleaned_up(here: World) -> None:
    """With 20,000 events beat once hung at each of its ticks, and nothing left."""
    from tests.integration.ledger.test_retention import FILL, MANY  # noqa: PLC0415 - its ledger

    with here.ledger.begin() as session:
        for statement in FILL:
            session.execute(text(statement), {"many": MANY} if ":many" in statement else {})
    here.environment["RETENTION_DAYS"] = "30"
    here.start_beat()
    until(lambda: dispatcher(here).ok)
    redis = Redis.from_url(here.environment["REDIS_URL"])
    for number in range(5):
        with here.ledger.begin() as session:
            session.execute(text(FRESH), {"account": f"DX{number}"})
        started = time.monotonic()
        until(partial(published, redis, f"DX{number}"), 10)
        assert time.monotonic() - started < 3
    with here.ledger.begin() as session:
        before = session.scalar(text("SELECT count(*) FROM events")) or 0
    assert before < MANY
    until(lambda: left(here) < before)


def published(redis: Redis, account: str) -> bool:
    return any(account.encode() in one for one in redis.lrange("report", 0, -1))


def left(here: World) -> int:
    with here.ledger.begin() as session:
        return session.scalar(text("SELECT count(*) FROM events")) or 0


FRESH = """
    INSERT INTO events (id, account_id, command, exclusive, strategy, state, reason, data, due_at, wanted, taken,
        attempt, times_queued, failures, refusals, crashes, needs_attention, remove_requested, dispatch_no)
    VALUES (gen_random_uuid(), :account, 'print-orders', false, 's', 'queued', 'new', '{}', now(), 1, 0, 0, 1, 0, 0, 0,
        false, false, 0)
"""
