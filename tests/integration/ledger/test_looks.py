"""What is asked every second, so that an idle dispatcher does nothing else: never no where there is something to do."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import Select, event, insert, text
from sqlalchemy.exc import ProgrammingError

from rebalancer.config.settings import Settings
from rebalancer.domain.commands import Command
from rebalancer.domain.errors import RecordUnavailable
from rebalancer.domain.notices import NoticeKind
from rebalancer.domain.recurrence import Recurrence
from rebalancer.domain.rule_names import Rule
from rebalancer.ledger import (
    dispatch_claims,
    event_gateways,
    events,
    heartbeats,
    holds,
    outbox,
    schedules,
    strategy_holds,
)
from rebalancer.ledger.looks import Looks
from rebalancer.ledger.models import DeliveryRow, NoticeRow, Order
from rebalancer.ledger.session import Ledger, Session
from rebalancer.operations.schedules import publish_schedules
from rebalancer.risk import Blocked
from rebalancer.runner.servers import RunningServer
from rebalancer.services import Services
from tests.integration.ledger.test_events import claimed, new_event, send_an_order
from tests.world import until

LOOKS: dict[str, Select[bool]] = {
    "dispatch": dispatch_claims.ANY,
    "reap": dispatch_claims.ANY_TO_REAP,
    "release": holds.ANY,
    "schedules": schedules.ANY_DUE,
    "notify": outbox.ANY,
}
PATIENCE = timedelta(minutes=10)
OTHERS: dict[str, Select[bool]] = {
    "follow-accounts": event_gateways.ANY_WAITING,
    "strategies": strategy_holds.ANY,
    "notify-late": outbox.anything(PATIENCE),
}
"""What only beat asks, with all that it asks at once."""


def seen(ledger: Ledger) -> set[str]:
    """Who has something to do: the same whether each is asked or all at once."""
    together = set(Looks(ledger, "all_looks", LOOKS | OTHERS).found())
    assert together == {name for name, look in (LOOKS | OTHERS).items() if ledger.finds(look)}
    return together & LOOKS.keys()


def told(ledger: Ledger) -> int:
    with ledger.begin() as session:
        return session.scalars(insert(NoticeRow).values(kind=NoticeKind.WELL, detail={}).returning(NoticeRow.id)).one()


def scheduled(ledger: Ledger, ago: str) -> None:
    now = datetime.now(UTC)
    with ledger.begin() as session:
        tomorrow = (now + timedelta(days=7)).date()
        schedules.add(
            session, "DU1", Command.PRINT_EQUITY, recurrence=Recurrence.DAILY, first_on=tomorrow, now=now, by="a test"
        )
        session.execute(text("UPDATE schedules SET next_at = now() - CAST(:ago AS interval)"), {"ago": ago})


def test_of_an_empty_ledger_nothing_is_asked_twice(ledger: Ledger, redis_server: RunningServer) -> None:
    settings = Settings.from_flat({"database_url": ledger.url, "redis_url": redis_server.url})
    services = Services.of(settings)
    asked: list[str] = []

    def count(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        asked.append(statement)

    works: list[Callable[[], object]] = [
        services.dispatcher.reap,
        services.dispatcher.release,
        services.dispatcher.publish_due,
        lambda: publish_schedules(services),
    ]
    event.listen(ledger.engine, "after_cursor_execute", count)
    try:
        for work in works:
            asked.clear()
            work()
            assert len(asked) == 1, asked
    finally:
        event.remove(ledger.engine, "after_cursor_execute", count)
    assert seen(ledger) == set()


def test_what_is_due_is_seen_and_so_is_what_runs(ledger: Ledger) -> None:
    event_id = new_event(ledger)
    assert seen(ledger) == {"dispatch", "reap"}
    claim = claimed(ledger, event_id)
    assert seen(ledger) == {"reap"}
    with ledger.begin() as session:
        events.fail(session, claim, "GatewayUnavailable", timedelta(hours=1))
    assert seen(ledger) - {"notify"} == {"reap"}


def test_what_is_held_is_seen_by_who_frees_it_and_is_due_at_its_time(ledger: Ledger) -> None:
    claim = claimed(ledger, new_event(ledger))
    with ledger.begin() as session:
        events.hold(session, claim, Blocked(Rule.MARKET_HOURS, "market closed", datetime.now(UTC) + timedelta(hours=1)))
    assert seen(ledger) - {"notify"} == {"release"}
    with ledger.begin() as session:
        session.execute(text("UPDATE events SET due_at = now()"))
    assert seen(ledger) - {"notify"} == {"release", "dispatch"}


def test_an_order_that_nobody_looks_after_is_seen_although_its_event_has_ended(ledger: Ledger) -> None:
    claim = claimed(ledger, new_event(ledger))
    send_an_order(ledger, claim)
    with ledger.begin() as session:
        session.execute(text("UPDATE events SET state = 'succeeded', lease_until = NULL, finished_at = now()"))
    assert seen(ledger) == {"reap"}
    with ledger.begin() as session:
        session.execute(Order.__table__.update().values(settled_at=text("now()")))
    assert seen(ledger) == set()


@pytest.mark.parametrize(("ago", "looks"), [("1 second", {"schedules"}), ("-1 hour", set[str]())])
def test_a_schedule_is_seen_when_its_time_has_come(ledger: Ledger, ago: str, looks: set[str]) -> None:
    scheduled(ledger, ago)
    assert seen(ledger) == looks


def test_news_is_seen_until_everybody_has_been_told(ledger: Ledger) -> None:
    number = told(ledger)
    assert seen(ledger) == {"notify"}
    with ledger.begin() as session:
        session.add(DeliveryRow(notice_id=number, target="phone", box="x", due_at=datetime.now(UTC)))
        session.execute(text("UPDATE notices SET routed_at = now()"))
    assert seen(ledger) == {"notify"}
    with ledger.begin() as session:
        session.execute(text("UPDATE deliveries SET ended_at = now(), sent = true"))
    assert seen(ledger) == set()


def test_questions_that_are_asked_together_are_planned_once_for_each_connection(ledger: Ledger) -> None:
    asked: list[str] = []

    def count(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        asked.append(statement.split(maxsplit=1)[0])

    looks = Looks(ledger, "counted_looks", LOOKS)
    event.listen(ledger.engine, "after_cursor_execute", count)
    try:
        assert looks.found() == looks.found() == looks.found() == []
        ledger.close()
        assert looks.found() == []
    finally:
        event.remove(ledger.engine, "after_cursor_execute", count)
    assert asked == ["SELECT", "PREPARE", "EXECUTE", "EXECUTE", "SELECT"]


def test_a_question_that_cannot_be_answered_is_answered_again_when_it_can_be(ledger: Ledger) -> None:
    scheduled(ledger, "1 second")
    looks = Looks(ledger, "broken_looks", LOOKS)
    assert looks.found() == ["schedules"]
    with ledger.begin() as session:
        session.execute(text("ALTER TABLE schedules RENAME COLUMN next_at TO x"))
    try:
        with pytest.raises(RecordUnavailable, match="next_at"):
            looks.found()
    finally:
        with ledger.begin() as session:
            session.execute(text("ALTER TABLE schedules RENAME COLUMN x TO next_at"))
    assert looks.found() == ["schedules"]


def test_what_is_done_singly_is_done_whatever_comes_after(ledger: Ledger) -> None:
    def hosts(session: Session) -> list[str]:
        return [one.host for one in heartbeats.known(session)]

    with ledger.singly() as session:
        heartbeats.seen(session, "beat", "a host", {})
        with ledger.begin() as another:
            assert hosts(another) == ["a host"]
        with pytest.raises(ProgrammingError):
            session.execute(text("SELECT nothing"))
    with ledger.begin() as session:
        heartbeats.gone(session, "beat", "a host")
        assert hosts(session) == []
        session.rollback()
    with ledger.begin() as session:
        assert hosts(session) == ["a host"], "transactions of the same connection are some again"


def test_who_leaves_news_to_others_for_a_while_sees_it_after_that(ledger: Ledger) -> None:
    """Without targets beat once routed in vain, every second for ten minutes after each run."""
    told(ledger)
    assert (ledger.finds(outbox.anything()), ledger.finds(outbox.anything(PATIENCE))) == (True, False)
    with ledger.begin() as session:
        session.execute(text("UPDATE notices SET at = now() - interval '10 minutes'"))
    assert ledger.finds(outbox.anything(PATIENCE))


def test_a_forked_child_has_connections_of_its_own_and_leaves_its_parents_alone(ledger: Ledger) -> None:
    mine = backend(ledger)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(write, str(backend(ledger)).encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(write)
    with os.fdopen(read) as answer:
        theirs = int(answer.read())
    assert theirs != mine
    assert backend(ledger) == mine


def backend(ledger: Ledger) -> int:
    """Process of PostgreSQL that answers."""
    with ledger.begin() as session:
        found: int = session.execute(text("SELECT pg_backend_pid()")).scalar_one()
    return found


def test_connections_of_a_busy_moment_are_given_back_and_the_last_one_is_kept(ledger: Ledger) -> None:
    with ledger.begin() as one, ledger.begin() as two:
        pair = {session.execute(text("SELECT pg_backend_pid()")).scalar_one() for session in (one, two)}
    ledger.shed()
    left = backend(ledger)
    assert left not in pair
    ledger.shed()
    assert backend(ledger) == left
    alive = text("SELECT pid FROM pg_stat_activity WHERE pid = ANY(:pair)")

    def closed() -> bool:
        with ledger.begin() as session:
            return not session.scalars(alive, {"pair": list(pair)}).all()

    until(closed)
