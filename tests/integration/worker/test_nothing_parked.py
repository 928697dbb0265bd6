"""With a real worker, beat and gateway: no account is parked by a halt that has ended, and no wish is swallowed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest
from redis import Redis
from sqlalchemy import select, text, update

from rebalancer.domain.commands import Command
from rebalancer.ledger import signal_intake
from rebalancer.ledger.models import Attempt, Event, HaltRow
from rebalancer.ledger.queries import invariants
from rebalancer.ledger.session import Ledger
from rebalancer.ledger.signal_intake import Addressee, NewSignal
from rebalancer.operations import halts_and_approvals
from rebalancer.operations.requests import request
from rebalancer.runner.servers import RunningServer
from rebalancer.services import Services
from tests.world import DEFAULT_SCENARIO, World, until, world

ACCOUNT = "DU1000001"


@pytest.fixture
def slow_fills(tmp_path: Path, ledger: Ledger, redis_server: RunningServer) -> Iterator[World]:
    """A world whose orders fill so slowly that a person changes her mind meanwhile, and which acknowledges the first
    order, which is sent alone, so slowly that she may act before the second.
    """
    Redis.from_url(redis_server.url).flushall()
    fills = {"mode": "partial", "delay_ms": 1500, "interval_ms": 1500}
    gateway = {**DEFAULT_SCENARIO.get("gateway", {}), "latency_ms": 400}
    with world(tmp_path, ledger, redis_server.url, fills=fills, gateway=gateway) as made:
        yield made


def signalled(here: World) -> UUID:
    """The strategy's signal, on record and not published yet: it waits for the gateway, the open, a worker."""
    account = Services.of(here.settings).accounts().get(ACCOUNT)
    signal = NewSignal(account.strategy, "m1", Command.REBALANCE, {"exec": "rebalance"})
    with here.ledger.begin() as session:
        return signal_intake.record(session, signal, [Addressee(ACCOUNT, account.strategy)]).served[0].event_id


def row(here: World, event_id: UUID) -> Event:
    with here.ledger.begin() as session:
        return session.get_one(Event, event_id)


def outcomes(here: World, event_id: UUID) -> list[tuple[str, str | None]]:
    with here.ledger.begin() as session:
        attempts = session.scalars(select(Attempt).where(Attempt.event_id == event_id).order_by(Attempt.number))
        return [(one.kind, one.outcome) for one in attempts]


def assert_sound(here: World) -> None:
    with here.ledger.begin() as session:
        assert invariants.unserved(session) == []
        assert invariants.repeated(session) == []
        assert invariants.active(session) == 0


def test_a_halt_that_is_lifted_before_the_halted_run_has_ended_parks_nobody(slow_fills: World) -> None:
    here, services = slow_fills, Services.of(slow_fills.settings)
    here.start_worker()
    here.start_beat()
    event_id = here.submit(ACCOUNT, Command.REBALANCE)
    until(lambda: here.gateway.do(lambda gateway: any(one.account == ACCOUNT for one in gateway.orders)))
    assert halts_and_approvals.halt(services, ACCOUNT, "fire drill", "Ada")
    until(lambda: here.gateway.do(lambda gateway: any(one.filled for one in gateway.orders)))  # the next was to be sent
    assert here.event(event_id).state == "running"
    assert halts_and_approvals.resume(services, ACCOUNT, "Ada") == 0
    here.finish(event_id)
    assert [outcome for _, outcome in outcomes(here, event_id)] == ["held", "succeeded"]
    assert_sound(here)


def test_a_halt_that_nobody_freed_is_noticed_by_beat(here: World) -> None:
    services = Services.of(here.settings)
    halts_and_approvals.halt(services, None, "holiday", "Ada")
    here.start_worker()
    event_id = here.submit(ACCOUNT, Command.REBALANCE)
    until(lambda: here.event(event_id).state == "held", 30, lambda: str(here.event(event_id)))
    with here.ledger.begin() as session:
        session.execute(update(HaltRow).values(lifted_at=text("now()")))
    here.start_beat()
    here.finish(event_id)
    assert "event_waited_for_nothing" in here.logs()


def test_raised_cash_and_a_waiting_signal_are_both_served(here: World) -> None:
    services = Services.of(here.settings)
    event_id = signalled(here)
    wish = {"kind": "raise-cash", "amount": "10000"}
    account = services.accounts().get(ACCOUNT)
    assert request(services.dispatcher, account, Command.REBALANCE, wish, "cli").event_id == event_id
    here.start_worker()
    here.start_beat()
    report = here.finish(event_id)
    assert outcomes(here, event_id) == [("full", "succeeded"), ("raise-cash", "succeeded")]
    sides = here.gateway.do(lambda gateway: [one.side for one in gateway.orders if one.account == ACCOUNT])
    assert set(sides[: -report.orders]) == {"BUY"}, "the signal's targets are bought"
    assert set(sides[-report.orders :]) == {"SELL"}, "the cash is raised"
    assert here.gateway.do(lambda gateway: gateway.cash(ACCOUNT)) >= 10000
    assert_sound(here)
