"""What runs is the command of the claimed event, whatever a message, its task name, its queue or its arguments say."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from celery.exceptions import Retry
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis import Redis
from sqlalchemy import select, update

import tasks.commands
from rebalancer.domain.commands import Command
from rebalancer.ledger.models import Attempt, Event, Order
from rebalancer.logs.context import end_run
from rebalancer.queueing.celery_queues import LIVE_QUEUE, REPORT_QUEUE
from tasks.app import app
from tests.integration.worker.test_poison import body, message
from tests.ledger_rows import add_event
from tests.world import World, held, until

ACCOUNT = "DU1000001"
COMMANDS = st.sampled_from(list(Command))
LATER = datetime.now(UTC) + timedelta(days=1)
NOW = datetime.now(UTC) - timedelta(seconds=1)
STATES = [
    ("queued", {}),
    ("retrying", {}),
    ("held", {"rule": "market_hours"}),
    ("held", {"rule": "market_hours", "due_at": LATER}),
    ("succeeded", {"finished_at": NOW}),
    ("removed", {"finished_at": NOW}),
    ("running", {"lease_until": LATER, "worker": "another", "attempt": 1}),
]
GARBAGE = st.none() | st.integers() | st.text(max_size=20) | st.lists(st.integers(), max_size=2) | st.just({"a": 1})
ARGUMENTS: st.SearchStrategy[Callable[[str], tuple[list[Any], dict[str, Any]]]] = st.one_of(
    st.just(lambda event_id: ([event_id], {})),
    st.just(lambda event_id: ([f"{event_id}.7"], {})),
    st.just(lambda event_id: ([event_id, "rebalance"], {"command": "rebalance"})),
    st.just(lambda event_id: ([], {"event_id": event_id})),
    st.builds(lambda some: lambda _event_id: (some, {}), st.lists(GARBAGE, max_size=3)),
    st.builds(lambda some: lambda event_id: ([event_id, *some], {"use_case": "rebalance"}), st.lists(GARBAGE)),
)
MESSAGES = st.lists(st.tuples(COMMANDS, ARGUMENTS), min_size=1, max_size=4)


def deliver(name: str, arguments: list[Any], named: dict[str, Any]) -> None:
    """Call a task as a worker does, which leaves the run's log context behind it."""
    try:
        with suppress(Retry):
            app.tasks[name](*arguments, **named)
    finally:
        end_run()


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(command=COMMANDS, state=st.sampled_from(STATES), messages=MESSAGES)
def test_only_the_events_own_command_runs_and_at_most_once(
    inside: World, command: Command, state: tuple[str, dict[str, Any]], messages: list[tuple[Command, Any]]
) -> None:
    assert tasks.commands
    name, facts = state
    before = inside.gateway.do(lambda gateway: len(gateway.orders))
    with inside.ledger.begin() as session:
        session.execute(update(Event).values(state="removed", lease_until=None))
        event_id = add_event(session, ACCOUNT, command=command, state=name, **{"due_at": NOW, **facts})
    for task, arguments in messages:
        deliver(task, *arguments(str(event_id)))
    with inside.ledger.begin() as session:
        attempts = session.scalars(select(Attempt).where(Attempt.event_id == event_id)).all()
        orders = session.scalars(select(Order).where(Order.event_id == event_id)).all()
    sent = inside.gateway.do(lambda gateway: len(gateway.orders)) - before
    assert sent == len([one for one in orders if one.status != "NeverSent"])
    named = any(arguments("x")[0][:1] in (["x"], ["x.7"]) for _, arguments in messages)
    claimable = name in ("queued", "retrying", "held") and "due_at" not in facts
    assert len(attempts) == (1 if claimable and named else 0)
    for attempt in attempts:
        assert attempt.outcome == "succeeded", attempt.error
        assert meaning(attempt.result) == command
    if command is not Command.REBALANCE or not attempts:
        assert sent == 0


def meaning(result: dict[str, Any]) -> Command:
    """The command that such a result belongs to."""
    if "execution_mode" in result:
        return Command.REBALANCE if result["execution_mode"] == "live" else Command.PRINT_REBALANCE
    marks = {
        "positions": Command.PRINT_POSITIONS,
        "cancelled_orders": Command.CANCEL_ORDERS,
        "open_orders": Command.PRINT_ORDERS,
        "orders": Command.PRINT_ORDERS,
    }
    return next((command for mark, command in marks.items() if mark in result), Command.PRINT_EQUITY)


def put(redis_url: str, queue: str, task: str, event_id: UUID, **headers: Any) -> None:
    """What whoever reaches Redis can write."""
    made = message(body=body([[str(event_id)], {}, {"chain": [], "callbacks": None}]))
    made["headers"] |= {"task": task, "id": f"{event_id}.1", **headers}
    Redis.from_url(redis_url).lpush(queue, json.dumps(made))


def test_a_dry_run_named_rebalance_stays_dry(here: World) -> None:
    """Case: 9 orders were filled for an owner who had asked for his equity; three live runs at once."""
    url, before = here.environment["REDIS_URL"], held(here, ACCOUNT)
    asked = [here.submit(ACCOUNT, command) for command in (Command.PRINT_EQUITY, Command.PRINT_REBALANCE)]
    Redis.from_url(url).delete(LIVE_QUEUE, REPORT_QUEUE)
    for event_id in asked:
        for queue in (LIVE_QUEUE, REPORT_QUEUE, LIVE_QUEUE):
            put(url, queue, "rebalance", event_id)
    here.start_worker(WORKER_CONCURRENCY="3")
    reports = [here.finish(event_id) for event_id in asked]
    results = [report.result or {} for report in reports]
    assert [result["execution_mode"] for result in results if "execution_mode" in result] == ["dry_run"]
    assert here.gateway.do(lambda gateway: list(gateway.orders)) == []
    assert held(here, ACCOUNT) == before


def test_a_message_ends_no_run_and_starts_nothing_after_it(here: World) -> None:
    """Time limits would kill the process of a run, callbacks would publish more."""
    url = here.environment["REDIS_URL"]
    event_id = here.submit(ACCOUNT, Command.REBALANCE)
    Redis.from_url(url).delete(LIVE_QUEUE, REPORT_QUEUE)
    put(url, REPORT_QUEUE, "print-equity", event_id, timelimit=[0.001, 0.001], eta="2099-01-01T00:00:00Z", retries=9)
    here.start_worker()
    report = here.finish(event_id)
    assert report.result is not None
    assert report.result["execution_mode"] == "live"
    assert report.attempt == 1
    until(lambda: not Redis.from_url(url).exists(LIVE_QUEUE, REPORT_QUEUE))
