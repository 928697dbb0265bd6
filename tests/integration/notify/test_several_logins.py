"""Two logins: what is told names the gateway that it is of, and each is followed by itself."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from rebalancer.domain.accounts import MAIN_GATEWAY
from rebalancer.domain.notices import Notice, NoticeKind
from rebalancer.health import readiness
from rebalancer.ledger import gateways, heartbeats
from rebalancer.ledger.session import Ledger
from rebalancer.notifier import logins, preferences
from rebalancer.notifier.service import Notifier
from rebalancer.notifier.watch import TradingWatch
from rebalancer.notify.letters import compose
from rebalancer.services import Services
from sandbox.gateway.login import Answer
from tests.integration.ibkr.serving import ServedGateway, serving, until
from tests.integration.notify.conftest import ServicesWith
from tests.integration.notify.test_logins import answer, restart
from tests.integration.notify.test_watch import notices

ACCOUNTS = """gateways:
  partner: {{port: 4012, trading_mode: {mode}, log: ibc.log{more}}}
accounts:
  - {{account_id: DU1000001, type: paper, strategy_name: blend}}
  - {{account_id: {prefix}2000002, type: {mode}, strategy_name: blend, gateway: partner}}
"""


@pytest.fixture
def partner(tmp_path: Path) -> Iterator[ServedGateway]:
    with serving(login_log=tmp_path / "ibc.log") as served:
        yield served
        served.do(lambda gateway: gateway.login.answer(Answer.APPROVE))


def family(services: ServicesWith, mode: str = "paper", more: str = "", **settings: Any) -> Services:
    here = services(notify_trouble_after_s=0, **settings)
    prefix = "U" if mode == "live" else "DU"
    here.settings.files.accounts_file.write_text(ACCOUNTS.format(mode=mode, more=more, prefix=prefix))
    return here


def worker(ledger: Ledger, host: str, gateway: str | None, said: str) -> None:
    at = {} if gateway is None else {heartbeats.AT: gateway}
    with ledger.begin() as session:
        heartbeats.seen(session, heartbeats.WORKER, host, {"gateway": said, "trouble": None} | at)


def words(here: Services, notice: Notice) -> str:
    return compose([notice], preferences.style(here), datetime.now(UTC)).body


def test_a_second_factor_that_is_asked_for_names_its_gateway(
    services: ServicesWith, ledger: Ledger, partner: ServedGateway
) -> None:
    here = family(services)
    (watch,) = (one for one in logins.watches(here) if one.has_work)
    assert watch.gateway == "partner"
    watch.look()
    restart(partner)
    watch.look()
    (asked,) = notices(ledger)
    assert asked.kind is NoticeKind.LOGIN_ASKED
    assert "the gateway partner waits for the second factor" in words(here, asked)
    answer(partner, Answer.REFUSE)
    watch.look()
    assert "IBKR does not take the gateway partner's login" in words(here, notices(ledger)[-1])


def test_what_a_login_waits_for_is_told_of_its_gateway_alone(
    services: ServicesWith, ledger: Ledger, partner: ServedGateway
) -> None:
    here = family(services)
    (watch,) = (one for one in logins.watches(here) if one.has_work)
    watch.look()
    restart(partner)
    watch.look()
    assert watch.login is not None
    with ledger.begin() as session:
        heartbeats.seen(session, heartbeats.BEAT, "b", {heartbeats.LOGINS: {"partner": watch.login.detail()}})
    worker(ledger, "w", None, "connected")
    worker(ledger, "p", "partner", "away")
    checks = {check.name: check for check in readiness.check(here)}
    assert checks["gateway of main"].ok
    assert "its login waits for the second factor" in checks["gateway of partner"].detail


def test_beat_says_how_far_each_login_is(services: ServicesWith, partner: ServedGateway) -> None:
    notifier = Notifier(family(services))
    notifier.start()
    try:
        until(lambda: "partner" in notifier.logins)
    finally:
        notifier.stop()
    assert notifier.logins.keys() == {"partner"}  # the main one's log is not followed


def test_trouble_names_the_gateway_that_is_away(services: ServicesWith, ledger: Ledger) -> None:
    here = family(services)
    with ledger.begin() as session:
        heartbeats.seen(session, heartbeats.BEAT, "b", {})
    worker(ledger, "w", None, "connected")
    worker(ledger, "p", "partner", "away")
    TradingWatch(here).look()
    (told,) = notices(ledger)
    assert told.kind is NoticeKind.TROUBLE
    assert told.detail["problems"] == ["gateway of partner: 0 of 1 worker processes are connected"]


def test_the_weekly_login_is_told_of_each_live_gateway(services: ServicesWith, ledger: Ledger) -> None:
    now = datetime.now(UTC)
    due = {"notify_login_due": f"{now:%a %H:%M}".lower(), "notify_zone": "UTC"}
    live = {"trading_mode": "live", "ib_port": 4001, "restart_window": "23:40-00:20"}
    here = family(services, "live", ", restart_window: 01:00-02:00, restart_window_zone: UTC", **due, **live)
    here.settings.files.accounts_file.write_text(here.settings.files.accounts_file.read_text().replace("4012", "4011"))
    for watch in (*logins.watches(here), *logins.watches(here)):
        watch.look()
    told = notices(ledger)
    assert [notice.kind for notice in told] == [NoticeKind.LOGIN_DUE] * 2
    assert [notice.detail.get("gateway") for notice in told] == [None, "partner"]
    assert [notice.detail["restart"] for notice in told] == ["23:40-00:20 America/New_York", "01:00-02:00 UTC"]
    assert "when the gateway partner restarts next" in words(here, told[1])


def test_a_live_gateway_is_not_followed_in_paper_trading(services: ServicesWith) -> None:
    here = family(services, "live")
    assert [watch.gateway for watch in logins.watches(here)] == ["main"]


def test_the_end_of_a_build_is_told_of_the_gateway_that_said_it(services: ServicesWith, ledger: Ledger) -> None:
    here = family(services)
    worker(ledger, "w", None, "connected")
    worker(ledger, "p", "partner", "connected")
    with ledger.begin() as session:
        gateways.desupported(session, "127.0.0.1:4012", date(2027, 1, 2), "will be desupported", "partner")
    checks = {check.name: check.detail for check in readiness.check(here)}
    assert "from 2027-01-02 on" in checks["gateway of partner"]
    assert "2027" not in checks["gateway of main"]
    assert "this build of the gateway partner" in words(here, notices(ledger)[0])


def test_a_client_id_that_one_gateways_workers_want_is_left_alone_by_anothers(ledger: Ledger) -> None:
    with ledger.begin() as session:
        heartbeats.seen(session, heartbeats.WORKER, "w", {heartbeats.WANTED: [100]})
        heartbeats.seen(session, heartbeats.WORKER, "p", {heartbeats.WANTED: [101], heartbeats.AT: "partner"})
        assert heartbeats.seen_and_wanted(session, "another", {}, MAIN_GATEWAY) == {100}
        assert heartbeats.seen_and_wanted(session, "another", {"x": 1}, "partner") == {101}
        assert heartbeats.seen_and_wanted(session, "another", {"x": 2}, "nobody") == frozenset()
        assert [one.detail for one in heartbeats.known(session) if one.host == "another"] == [{"x": 2}]
