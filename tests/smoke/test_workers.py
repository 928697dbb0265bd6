"""Workers die, multiply and are replaced while they work; the broker goes away. Nothing is lost or comes twice."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pytest_celery import CeleryTestWorker, RedisTestBroker

from tests.smoke.conftest import ACCOUNTS, Gateway
from tests.smoke.engine import until
from tests.smoke.promises import Books, connected, prove, prove_on_target, prove_one_way, refused

pytestmark = pytest.mark.timeout(300)
Node = Callable[[str], CeleryTestWorker]
Submit = Callable[..., None]
DONE_S = 120


def _finish(books: Books, gateway: Gateway, submit: Submit) -> None:
    """Everything succeeds; the books agree; a dry run finds nothing to do."""
    until(lambda: set(books.states()) == {"succeeded"}, DONE_S, books.states)
    prove(books, gateway.state(), ACCOUNTS)
    prove_one_way(gateway.state())
    submit("print-rebalance", *ACCOUNTS)
    until(lambda: set(books.states()) == {"succeeded"}, DONE_S, books.states)
    prove_on_target(books, ACCOUNTS)


def test_a_worker_killed_among_orders_is_replaced(node: Node, submit: Submit, books: Books, gateway: Gateway) -> None:
    victim = node("first")
    submit("rebalance", *ACCOUNTS)
    until(books.trading, 60, books.states)
    victim.kill()
    assert books.states()["running"] > 0
    node("second")
    _finish(books, gateway, submit)
    assert books.rows("SELECT FROM attempts WHERE outcome = 'lost'")


def test_a_restarted_broker_that_forgot_everything_costs_nothing(
    node: Node, submit: Submit, books: Books, gateway: Gateway, celery_redis_broker: RedisTestBroker
) -> None:
    node("first")
    submit("rebalance", *ACCOUNTS)
    until(books.trading, 60, books.states)
    celery_redis_broker.restart()
    submit("print-positions", *ACCOUNTS)
    _finish(books, gateway, submit)


def test_workers_scale_over_containers_and_hosts(node: Node, submit: Submit, books: Books, gateway: Gateway) -> None:
    """One more beside the first, and one of another host that knows the gateway by another name. Each process goes
    through the ids that others have until the gateway gives it one; from then on nobody meets anybody.
    """
    for name in ("first", "second", "on_another_host"):
        node(name)
    until(lambda: connected(gateway.state()) == list(range(100, 109)), 60, lambda: connected(gateway.state()))
    met = refused(gateway.state())
    assert all(reason.endswith("taken") for reason in met)
    submit("rebalance", *ACCOUNTS)
    _finish(books, gateway, submit)
    assert refused(gateway.state()) == met
    assert len(books.workers()) == 3


def test_a_rolling_upgrade_with_events_in_flight(node: Node, submit: Submit, books: Books, gateway: Gateway) -> None:
    """The new schema comes first; the old worker ends its runs on it when told to stop, and the new one goes on."""
    old = node("of_an_older_release")
    submit("rebalance", *ACCOUNTS)
    until(books.trading, 60, books.states)
    node("second")
    old.kill("SIGTERM", reload_container=False)
    until(lambda: _ended(old), 60, old.logs)
    assert not books.rows("SELECT FROM attempts WHERE outcome = 'lost'")
    _finish(books, gateway, submit)
    assert len(books.workers()) == 2


def _ended(worker: CeleryTestWorker) -> bool:
    worker.container.reload()
    return bool(worker.container.status == "exited")
