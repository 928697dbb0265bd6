"""Outside market hours, with a real worker."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from redis import Redis

from rebalancer.domain.commands import Command
from rebalancer.ledger.session import Ledger
from rebalancer.runner.servers import RunningServer
from tests.world import held, until, world


def test_outside_market_hours_a_live_run_waits_and_a_dry_run_does_not(
    tmp_path: Path, ledger: Ledger, redis_server: RunningServer
) -> None:
    Redis.from_url(redis_server.url).flushall()
    with world(tmp_path, ledger, redis_server.url, market={"mode": "closed"}) as shut:
        shut.start_worker()
        event_id = shut.submit("DU1000001", Command.REBALANCE)
        until(lambda: shut.event(event_id).state == "held", 30, lambda: str(shut.event(event_id)))
        assert "market closed for BTAL" in shut.event(event_id).reason
        opens = shut.gateway.do(lambda gateway: gateway.exchange.hours.next_open(gateway.exchange.clock()))
        assert shut.event(event_id).due_at == opens + timedelta(seconds=60)
        result = shut.finish(shut.submit("DU1000001", Command.PRINT_REBALANCE)).result
        assert result is not None
        assert len(result["orders"]) == 6
        assert [rule["rule"] for rule in result["rules"]] == ["market_hours"]
        assert held(shut, "DU1000001") == {}
