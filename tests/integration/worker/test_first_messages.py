"""The first message of a new event: on record with it, and on its way without a look at what else waits."""

from __future__ import annotations

from typing import Any

from redis import Redis
from sqlalchemy import event, select

from rebalancer.domain.commands import Command
from rebalancer.ledger.models import Event
from rebalancer.ledger.signal_intake import Addressee, NewSignal
from rebalancer.operations.requests import request
from rebalancer.services import Services
from tests.world import World

ACCOUNT = "DU1000001"
SEVERAL = 7
LOCK = f"rebalancer:message:{ACCOUNT}:print-equity"


def asked(redis: Any) -> set[str]:
    """Commands that this Redis has had since its counts began anew."""
    return {name.removeprefix("cmdstat_") for name in redis.info("commandstats")}


def test_a_new_events_message_leaves_without_a_look_into_the_queue(here: World) -> None:
    with Redis.from_url(here.environment["REDIS_URL"]) as redis:
        here.submit("DU1000002", Command.PRINT_EQUITY)  # connects
        redis.config_resetstat()
        event_id = here.submit(ACCOUNT, Command.PRINT_EQUITY)
        assert "lrange" not in asked(redis)
        assert redis.llen("report") == 2
        assert str(redis.get(LOCK)).startswith(f"b'{event_id}.1")


def test_a_signal_of_several_accounts_takes_one_statement_and_hardly_more_messages_to_redis_than_one(
    here: World,
) -> None:
    services = Services.of(here.settings)
    said: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        said.append(statement)

    def signal(name: str) -> None:
        followers = [Addressee(f"DU{name}{number}", "blend") for number in range(SEVERAL)]
        services.dispatcher.submit(NewSignal("blend", name, Command.REBALANCE, {}), followers)

    with Redis.from_url(here.environment["REDIS_URL"]) as redis:
        for name in ("0", "1"):
            signal(name)  # connects, and is prepared
        event.listen(here.ledger.engine, "before_cursor_execute", note)
        before = redis.info("stats")["total_reads_processed"]
        signal("2")
        reads = redis.info("stats")["total_reads_processed"] - before
        event.remove(here.ledger.engine, "before_cursor_execute", note)
        assert [statement.partition("(")[0] for statement in said] == ["EXECUTE record_signal"]
        assert reads < SEVERAL  # one for locks, one for messages and events unless they are long, one to look here
        assert redis.llen("live") == 3 * SEVERAL


def test_a_request_that_joins_a_waiting_event_leaves_no_second_message(here: World) -> None:
    with Redis.from_url(here.environment["REDIS_URL"]) as redis:
        first, second = (here.submit(ACCOUNT, Command.PRINT_EQUITY) for _ in range(2))
        assert first == second
        assert redis.llen("report") == 1


def test_a_lock_whose_message_is_gone_keeps_no_new_event(here: World) -> None:
    with Redis.from_url(here.environment["REDIS_URL"]) as redis:
        redis.set(LOCK, "gone", px=300_000)
        here.submit(ACCOUNT, Command.PRINT_EQUITY)
        assert redis.llen("report") == 1


def test_an_event_whose_message_could_not_leave_is_due_as_before(here: World) -> None:
    """Marked as on its way, beat would look for the message for five seconds."""
    services = Services.of(here.settings.changed(redis_url="redis://127.0.0.1:1/0"))
    served = request(services.dispatcher, services.accounts().get(ACCOUNT), Command.PRINT_EQUITY, {}, "cli")
    with here.ledger.begin() as session:
        found = select(Event.dispatched_at, Event.dispatch_no).where(Event.id == served.event_id)
        assert tuple(session.execute(found).one()) == (None, 1)
    assert Services.of(here.settings).dispatcher.publish_due({served.event_id}) == 1
