"""From a real worker's failure to a phone: one message when it needs a person, one when it has recovered."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from redis import Redis

from rebalancer.domain.commands import Command
from rebalancer.ledger.session import Ledger
from rebalancer.operations import halts_and_approvals
from rebalancer.runner.servers import RunningServer
from rebalancer.services import Services
from tests.integration.notify.ntfy import TOPIC, NtfyServer
from tests.world import World, until, world

HEADERS = {"x-api-key": "sandbox"}
ACCOUNT = "DU1000001"


@pytest.fixture
def here(tmp_path: Path, ledger: Ledger, redis_server: RunningServer, ntfy: NtfyServer) -> Iterator[World]:
    """A world whose beat notifies; nothing of ours runs yet."""
    Redis.from_url(redis_server.url).flushall()
    with world(tmp_path, ledger, redis_server.url) as made:
        made.environment |= {
            "NOTIFY_URLS": f"phone={ntfy.url}",
            "NOTIFY_DIGEST_AT": "off",
            "NOTIFY_TROUBLE_AFTER_S": "3600",
            "NOTIFY_WINDOW_S": "2",
            "HEARTBEAT_URL": ntfy.ping_url,
            "ATTENTION_AFTER": "1",
            "SLOW_RETRY_DELAY_S": "1",
            "LOG_LEVEL": "DEBUG",
        }
        yield made


def test_a_failing_event_is_told_once_and_its_recovery_once(here: World, ntfy: NtfyServer) -> None:
    raw = f"{here.allocations.url}/etf-blend-301-20/raw"
    nothing = {"status": 200, "body": '{"status": "success", "data": {"allocations": []}}'}
    httpx.put(raw, json=nothing, headers=HEADERS).raise_for_status()
    here.start_worker()
    here.start_beat()
    event_id = here.submit(ACCOUNT, Command.REBALANCE)
    until(lambda: here.event(event_id).times_queued >= 4, 60, lambda: str(here.event(event_id)))
    until(lambda: bool(ntfy.messages))
    assert ntfy.titles == ["…0001: needs attention"]
    httpx.delete(raw, headers=HEADERS).raise_for_status()
    here.finish(event_id)
    until(lambda: len(ntfy.messages) == 2)
    assert ntfy.titles[1] == "…0001: recovered"
    assert "rebalance has succeeded after all: bought " in ntfy.messages[1]["message"]
    again = here.submit(ACCOUNT, Command.REBALANCE)
    here.finish(again)
    until(lambda: len(ntfy.messages) == 3)
    assert ntfy.messages[2]["message"] == "Rebalanced: nothing to trade."
    until(lambda: ntfy.pings > 0)
    assert TOPIC not in here.logs()
    assert "notification_sent" in here.logs()


def test_a_halt_an_approval_and_a_removal_are_told_at_once(here: World, ntfy: NtfyServer) -> None:
    file = Path(here.environment["ACCOUNTS_FILE"])
    file.write_text(
        file.read_text().replace(
            "  - account_id: DU1000001\n", "  - account_id: DU1000001\n    name: Ann\n    approval: notify-then-wait\n"
        )
    )
    here.environment |= {"NOTIFY_SEVERITY": "warning"}
    here.start_worker()
    here.start_beat()
    services = Services.of(here.settings)
    event_id = here.submit(ACCOUNT, Command.REBALANCE)
    until(lambda: len(ntfy.messages) == 1, 60)
    halts_and_approvals.halt(services, ACCOUNT, "travelling", "ann")
    halts_and_approvals.resume(services, ACCOUNT, "ann")
    services.dispatcher.remove(event_id, "removed on the command line")
    until(lambda: sum(1 + title.count(" more") for title in ntfy.titles) >= 2)
    until(lambda: "removed on the command line" in ntfy.messages[-1]["message"])
    lines = [line for message in ntfy.messages for line in message["message"].splitlines()]
    assert [
        any(words in line for line in lines) for words in ("unless you reject it", "travelling", "lifted by ann")
    ] == [True] * 3
    assert len(lines) == 4
    assert all(title.startswith("Ann: ") for title in ntfy.titles)
    assert ACCOUNT not in str(ntfy.messages)
