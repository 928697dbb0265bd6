"""A worker dies amid orders, and then something keeps its account from trading: first the orders are cancelled and
accounted for, whatever it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import yaml
from redis import Redis
from sqlalchemy import func, select

from rebalancer.domain.commands import Command
from rebalancer.ibkr.turn import FIRST
from rebalancer.ledger.models import Attempt, Order
from rebalancer.ledger.session import Ledger
from rebalancer.operations import halts_and_approvals
from rebalancer.queueing.celery_queues import REPORT_QUEUE
from rebalancer.runner.servers import RunningServer
from rebalancer.services import Services
from sandbox.gateway.server import Gateway
from tests.world import World, kill, until, world

ACCOUNT = "DU1000001"
STALLED = {"mode": "partial", "delay_ms": 60_000, "interval_ms": 60_000}


@pytest.fixture
def stalled(tmp_path: Path, ledger: Ledger, redis_server: RunningServer) -> Iterator[World]:
    """A world in which no order fills before the test has ended."""
    Redis.from_url(redis_server.url).flushall()
    with world(tmp_path, ledger, redis_server.url, fills=STALLED) as made:
        yield made


def died_amid_orders(here: World, account: str = ACCOUNT) -> UUID:
    """An event whose worker is gone; its orders work on at the broker."""
    worker = here.start_worker()
    event_id = here.submit(account, Command.REBALANCE)
    until(lambda: open_orders(here, account) > 0)
    kill(worker)
    return event_id


def open_orders(here: World, account: str = ACCOUNT) -> int:
    def count(gateway: Gateway) -> int:
        return sum(order.open for order in gateway.orders if order.account == account)

    return here.gateway.do(count)


def orders_sent_by(here: World) -> list[int]:
    """Client ids."""
    return sorted({order.client_id for order in here.gateway.do(lambda gateway: gateway.orders)})


def connected_as(here: World) -> list[int]:
    """Client ids of the worker processes that are connected; those that stand for accounts aside."""

    def ids(gateway: Gateway) -> list[int]:
        open_now = (one.client_id for one in gateway.connections if not (one.closed_at or one.refused))
        return sorted(one for one in open_now if one is not None and one < FIRST)

    return here.gateway.do(ids)


def errors_of(here: World, event_id: UUID) -> list[str | None]:
    """Of all its attempts."""
    with here.ledger.begin() as session:
        return list(session.scalars(select(Attempt.error).where(Attempt.event_id == event_id)))


def unsettled(here: World) -> int:
    with here.ledger.begin() as session:
        return session.scalar(select(func.count()).select_from(Order).where(Order.final_at.is_(None))) or 0


def accounts(here: World) -> tuple[Path, Any]:
    path = Path(here.environment["ACCOUNTS_FILE"])
    return path, yaml.safe_load(path.read_text())


# -- what may keep an account from trading -----------------------------------------------------------------------------


def a_halt(here: World) -> None:
    halts_and_approvals.halt(Services.of(here.settings), None, "something is wrong", "Ada")


def gone_from_the_file(here: World) -> None:
    path, content = accounts(here)
    content["accounts"] = [one for one in content["accounts"] if one["account_id"] != ACCOUNT]
    path.write_text(yaml.safe_dump(content))


def disabled(here: World) -> None:
    path, content = accounts(here)
    next(one for one in content["accounts"] if one["account_id"] == ACCOUNT)["enabled"] = False
    path.write_text(yaml.safe_dump(content))


def a_broken_file(here: World) -> None:
    accounts(here)[0].write_text("accounts: [")


def no_file(here: World) -> None:
    accounts(here)[0].unlink()


@pytest.mark.parametrize(
    ("obstacle", "waits", "because"),
    [
        (a_halt, "held", "halted: everything by Ada"),
        (gone_from_the_file, "retrying", "UnknownAccount"),
        (disabled, "retrying", "account_disabled"),
        (a_broken_file, "retrying", "ConfigurationError"),
        (no_file, "retrying", "ConfigurationError"),
    ],
)
def test_orders_of_a_dead_worker_are_cancelled_whatever_holds_the_account(
    stalled: World, obstacle: Callable[[World], None], waits: str, because: str
) -> None:
    """Case: four orders filled during a halt, since the halt was asked about first."""
    event_id = died_amid_orders(stalled)
    obstacle(stalled)
    stalled.start_beat()
    stalled.start_worker()
    until(lambda: open_orders(stalled) == 0, 60, lambda: str(stalled.event(event_id)))
    until(lambda: unsettled(stalled) == 0)
    until(lambda: because in f"{stalled.event(event_id).reason} {stalled.event(event_id).last_error}", 30)
    assert stalled.event(event_id).state in (waits, "running")
    ends = stalled.gateway.do(lambda gateway: {str(order.status) for order in gateway.orders})
    assert ends == {"Cancelled"}


def test_an_idle_process_gives_a_dead_ones_client_id_up(stalled: World) -> None:
    """Case: client id 101 had died, and its order answered to it alone; the next 101 was idle and stayed. Here it takes
    reports only, and would have stayed for ever.
    """
    event_id = died_amid_orders(stalled)
    dead = orders_sent_by(stalled)
    stalled.start("celery", "-A", "tasks", "worker", "--hostname", "idle@test", "-Q", REPORT_QUEUE, ready="ready.")
    until(lambda: connected_as(stalled) == dead)
    stalled.start_beat()
    stalled.start_worker()
    until(lambda: open_orders(stalled) == 0, 60, lambda: str(stalled.event(event_id)))
    assert f"client id {dead[0]} in use (326)" in str(errors_of(stalled, event_id))
    until(lambda: len(connected_as(stalled)) == 2)
    assert dead[0] not in connected_as(stalled), "the idle one has another id"
    assert "client_id_given_up" in stalled.logs()


def test_a_removal_ends_when_the_account_has_left_the_file(stalled: World) -> None:
    """Case: attempt 12 and counting, UnknownAccount, and one order still open."""
    event_id = died_amid_orders(stalled)
    gone_from_the_file(stalled)
    Services.of(stalled.settings).dispatcher.remove(event_id, "the owner has left")
    stalled.start_beat()
    stalled.start_worker()
    until(lambda: stalled.event(event_id).state == "removed", 60, lambda: str(stalled.event(event_id)))
    assert open_orders(stalled) == 0
    assert unsettled(stalled) == 0


def test_orders_whose_event_has_ended_are_looked_after_by_an_event_of_their_own(stalled: World) -> None:
    event_id = died_amid_orders(stalled)
    sent = stalled.gateway.do(lambda gateway: len(gateway.orders))
    with stalled.ledger.begin() as session:
        session.connection().exec_driver_sql(
            "UPDATE events SET state = 'removed', lease_until = NULL, finished_at = now(), reason = 'by an old program'"
        )
    stalled.start_beat()
    stalled.start_worker()
    until(lambda: open_orders(stalled) == 0 and unsettled(stalled) == 0, 60)
    assert stalled.event(event_id).reason == "by an old program"
    rows = "SELECT state, reason FROM events WHERE id <> %(id)s"

    def adopted() -> list[tuple[str, str]]:
        with stalled.ledger.begin() as session:
            return [tuple(row) for row in session.connection().exec_driver_sql(rows, {"id": event_id})]

    until(lambda: adopted() == [("removed", "orders of an ended event are looked after")], 30, lambda: str(adopted()))
    assert stalled.gateway.do(lambda gateway: len(gateway.orders)) == sent
