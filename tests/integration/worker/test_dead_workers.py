"""Which workers' events are taken back."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest
from redis import Redis

from rebalancer.domain.commands import Command
from rebalancer.ledger.session import Ledger
from rebalancer.queueing import process_identity
from rebalancer.queueing.process_identity import this_process
from rebalancer.runner.servers import RunningServer
from tests.integration.state_machine.site import GRACE, LEASE, Site
from tests.world import world


@pytest.fixture
def site(ledger: Ledger, redis_server: RunningServer) -> Site:
    made = Site.of(ledger, redis_server.url)
    made.clear()
    return made


def running(site: Site, worker: str) -> UUID:
    (served,) = site.record(["DU1"], Command.REBALANCE).served
    assert site.claim(served.event_id, worker)
    return served.event_id


def state(site: Site, event_id: UUID) -> str:
    return site.picture().events[event_id].state


def test_who_has_renewed_lately_is_alive_whatever_else_seems_true(site: Site) -> None:
    gone = f"{this_process()}0"  # no process of ours began at that tick
    assert process_identity.dead_among([gone]) == [gone]
    event_id = running(site, gone)
    site.dispatcher.reap()
    assert state(site, event_id) == "running"
    site.pass_time(LEASE.total_seconds() / 3)
    site.dispatcher.reap()
    assert state(site, event_id) == "retrying"


def test_who_is_there_keeps_its_event_until_its_lease_has_run_out(site: Site) -> None:
    event_id = running(site, this_process())
    site.pass_time((LEASE - timedelta(seconds=1)).total_seconds())
    site.dispatcher.reap()
    assert state(site, event_id) == "running"


def test_a_run_outlives_a_step_of_the_wall_clock(tmp_path: Path, ledger: Ledger, redis_server: RunningServer) -> None:
    """The dispatcher is told another time of boot than the worker was: what a step makes of /proc/stat."""
    Redis.from_url(redis_server.url).flushall()
    stepped = tmp_path / "stepped"
    stepped.mkdir()
    lines = "import psutil", "before = psutil._pslinux.boot_time", "psutil._pslinux.boot_time = lambda: before() + 1"
    (stepped / "sitecustomize.py").write_text("\n".join(lines))
    slow = {"mode": "partial", "delay_ms": 1500, "interval_ms": 1500}
    with world(tmp_path, ledger, redis_server.url, fills=slow) as here:
        here.start_worker()
        here.environment["PYTHONPATH"] = str(stepped)
        here.start_beat()
        del here.environment["PYTHONPATH"]
        event_id = here.submit("DU1000001", Command.REBALANCE)
        here.finish(event_id, 90)
        assert here.event(event_id).times_queued == 1


# -- the ledger's clock is set back ------------------------------------------------------------------------------------

HOURS_S = 7200.0


def set_back(site: Site) -> None:
    """Whatever has a time is that much further away now."""
    site.pass_time(-HOURS_S, locks=False)


def test_a_dead_run_is_taken_back_as_soon_as_ever(site: Site) -> None:
    event_id = running(site, "elsewhere/1/1")
    set_back(site)
    site.dispatcher.reap()
    assert state(site, event_id) == "running", "who lives has a whole lease to say so"
    site.pass_time((LEASE + GRACE).total_seconds() + 1)
    site.dispatcher.reap()
    assert state(site, event_id) == "retrying"


def test_a_living_run_keeps_its_event(site: Site) -> None:
    (served,) = site.record(["DU1"], Command.REBALANCE).served
    run = site.claim(served.event_id, "elsewhere/1/1")
    assert run is not None
    set_back(site)
    site.dispatcher.reap()
    run.checkpoint()
    assert state(site, served.event_id) == "running"


def test_new_and_failed_events_wait_no_longer_than_before(site: Site) -> None:
    (new,) = site.record(["DU1"], Command.REBALANCE).served
    (failed,) = site.record(["DU2"], Command.REBALANCE).served
    run = site.claim(failed.event_id, "elsewhere/1/1")
    assert run is not None
    site.end(run, "fail", 60)
    site.pass_time(61)
    set_back(site)
    site.dispatcher.reap()
    site.dispatcher.publish_due()
    assert {message.event_id for message in site.queued()} == {new.event_id, failed.event_id}


def test_a_message_that_is_lost_is_published_again(site: Site) -> None:
    (served,) = site.record(["DU1"], Command.REBALANCE).served
    assert site.dispatcher.publish_due() == 1
    site.take(site.queued()[0])
    set_back(site)
    site.dispatcher.reap()
    assert site.dispatcher.publish_due() == 1
    assert [message.event_id for message in site.queued()] == [served.event_id]


def test_what_waits_for_a_known_time_waits_for_it(site: Site) -> None:
    (served,) = site.record(["DU1"], Command.REBALANCE).served
    run = site.claim(served.event_id, "elsewhere/1/1")
    assert run is not None
    site.end(run, "hold", 4 * HOURS_S)
    site.dispatcher.reap()
    assert site.dispatcher.publish_due() == 0
