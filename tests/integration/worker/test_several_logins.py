"""Two logins with a gateway each, and workers of their own: a signal reaches both, and neither hinders the other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from redis import Redis

from rebalancer.domain.accounts import TradingMode
from rebalancer.domain.commands import Command
from rebalancer.health import readiness, settings_in_use
from rebalancer.health.metrics import exposition
from rebalancer.health.readiness import Check
from rebalancer.health.settings_in_use import Process
from rebalancer.ledger import heartbeats
from rebalancer.ledger.session import Ledger
from rebalancer.ledger.signal_intake import Addressee, NewSignal
from rebalancer.queueing.celery_queues import LIVE_QUEUE, queues_of
from rebalancer.runner.servers import RunningServer
from rebalancer.services import Services
from sandbox.gateway.server import Gateway
from tests.integration.ibkr.serving import ServedGateway
from tests.world import DEFAULT_SCENARIO, World, until, world

OWN, OTHER = "DU1000001", "DU1000002"
STRATEGY = "etf-blend-301-20"
PARTNER_LIVE, _ = queues_of("partner")


def scenario(*accounts: str) -> dict[str, object]:
    return DEFAULT_SCENARIO | {"accounts": {name: DEFAULT_SCENARIO["accounts"][name] for name in accounts}}


@dataclass(frozen=True)
class Family:
    """A world with a second login."""

    world: World
    partner: ServedGateway

    def write(self, *, gateway_of_other: str | None = "partner", port: int | None = None) -> None:
        """The accounts file."""
        named = f", gateway: {gateway_of_other}" if gateway_of_other else ""
        Path(self.world.environment["ACCOUNTS_FILE"]).write_text(
            f"gateways:\n  partner: {{port: {port or self.partner.port}, trading_mode: paper}}\n"
            "accounts:\n"
            f"  - {{account_id: {OWN}, type: paper, strategy_name: {STRATEGY}}}\n"
            f"  - {{account_id: {OTHER}, type: paper, strategy_name: {STRATEGY}{named}}}\n"
        )

    def start_partner(self, **environment: str) -> None:
        self.world.start_worker(WORKER_GATEWAY="partner", **environment)

    def signal(self) -> dict[str, UUID]:
        """One signal of the strategy, as the listener records it: its events by account."""
        here = Services.of(self.world.settings)
        followers = here.accounts().following(STRATEGY, TradingMode.PAPER)
        signal = NewSignal(STRATEGY, uuid4().hex, Command.REBALANCE, {"exec": "rebalance"})
        recorded = here.dispatcher.submit(signal, [Addressee.of(account) for account in followers])
        return {served.account_id: served.event_id for served in recorded.served}

    def checks(self) -> dict[str, Check]:
        return {check.name: check for check in readiness.check(Services.of(self.world.settings))}


@pytest.fixture
def family(tmp_path: Path, ledger: Ledger, redis_server: RunningServer) -> Iterator[Family]:
    Redis.from_url(redis_server.url).flushall()
    partner = ServedGateway(scenario(OTHER) | {"gateway": {"numbers_from": 1_000_000}}, None)
    try:
        with world(tmp_path, ledger, redis_server.url, accounts=scenario(OWN)["accounts"]) as made:
            found = Family(made, partner)
            found.write()
            yield found
    finally:
        partner.stop()


def accounts_of_orders(gateway: Gateway) -> set[str]:
    return {order.account for order in gateway.orders}


def test_a_signal_trades_the_accounts_of_both_logins_each_at_its_own_gateway(family: Family) -> None:
    here = family.world
    here.start_worker()
    family.start_partner()
    here.start_beat()
    events = family.signal()
    assert here.finish(events[OWN]).orders > 0
    assert here.finish(events[OTHER]).orders > 0
    assert here.gateway.do(accounts_of_orders) == {OWN}
    assert family.partner.do(accounts_of_orders) == {OTHER}
    until(lambda: all(check.ok for check in family.checks().values() if check.name.startswith(("worker", "gateway"))))
    assert {name for name in family.checks() if name.startswith(("worker", "gateway"))} == {
        "worker of main",
        "gateway of main",
        "worker of partner",
        "gateway of partner",
    }
    told = exposition(Services.of(here.settings)).decode()
    assert 'rebalancer_gateway_workers_connected{gateway="partner"} 1.0' in told


def test_a_login_that_is_away_makes_its_own_accounts_wait_and_no_others(family: Family) -> None:
    here = family.world
    family.write(port=1)
    here.start_worker()
    family.start_partner()
    here.start_beat()
    events = family.signal()
    assert here.finish(events[OWN]).orders > 0
    until(lambda: here.event(events[OTHER]).state == "retrying")
    assert "gateway 127.0.0.1:1" in (here.event(events[OTHER]).last_error or "")
    until(lambda: "gateway of partner" in family.checks() and not family.checks()["gateway of partner"].ok)
    until(lambda: family.checks()["gateway of main"].ok)
    assert family.checks()["worker of partner"].ok


def test_without_workers_of_its_login_an_event_waits_in_a_queue_of_its_own(family: Family) -> None:
    here = family.world
    here.start_worker()
    here.start_beat()
    events = family.signal()
    here.finish(events[OWN])
    assert here.event(events[OTHER]).state == "queued"
    redis = Redis.from_url(here.environment["REDIS_URL"])
    assert redis.llen(PARTNER_LIVE) == 1
    missing = family.checks()["worker of partner"]
    assert not missing.ok
    assert "WORKER_GATEWAY=partner" in missing.detail
    family.start_partner()
    here.finish(events[OTHER])


def test_a_message_that_came_by_another_gateways_queue_claims_nothing(family: Family) -> None:
    here = family.world
    events = family.signal()
    redis = Redis.from_url(here.environment["REDIS_URL"])
    redis.delete(LIVE_QUEUE)
    assert redis.lmove(PARTNER_LIVE, LIVE_QUEUE)
    here.start_worker()
    until(lambda: "nothing to claim" in here.logs())
    assert here.event(events[OTHER]).state == "queued"
    assert here.gateway.do(accounts_of_orders) == set()


def test_an_account_at_the_wrong_login_is_refused_and_trades_once_the_file_is_right(family: Family) -> None:
    here = family.world
    family.write(gateway_of_other=None)
    here.start_worker()
    family.start_partner()
    here.start_beat()
    other = family.signal()[OTHER]
    until(lambda: here.event(other).state == "retrying")
    assert f"the login does not manage {OTHER}" in (here.event(other).last_error or "")
    family.write()
    assert here.finish(other).orders > 0
    assert "event_moved" in here.logs()
    assert OTHER not in here.gateway.do(accounts_of_orders)


def test_an_event_that_waits_for_a_login_without_workers_moves_with_its_account(family: Family) -> None:
    """Its message lies in a queue that nobody reads, and must not keep the next one out."""
    here = family.world
    here.start_beat()
    other = family.signal()[OTHER]
    redis = Redis.from_url(here.environment["REDIS_URL"])
    until(lambda: redis.llen(PARTNER_LIVE) == 1)
    family.write(gateway_of_other="main")
    until(lambda: redis.llen(PARTNER_LIVE) == 0)
    until(lambda: any(str(other) in str(raw) for raw in redis.lrange(LIVE_QUEUE, 0, -1)))


def test_a_worker_of_a_gateway_that_nobody_knows_does_not_start(family: Family) -> None:
    process = family.world.start("celery", "-A", "tasks", "worker", WORKER_GATEWAY="partnr")
    assert process.wait(60) != 0
    assert "the accounts file has no gateway 'partnr': did you mean partner?" in family.world.logs()


def test_a_changed_gateway_is_told_while_its_worker_works_with_the_old_one(family: Family) -> None:
    here = family.world
    family.start_partner()
    family.write(port=1)
    until(lambda: any("gateways.partner" in one.changed for one in in_use(here)), 40)


def in_use(here: World) -> list[Process]:
    with here.ledger.begin() as session:
        return settings_in_use.processes(heartbeats.known(session))
