"""The life of the gateway's login, from a gateway that restarts and asks for the second factor to the owner's phone."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import text

from rebalancer.domain.errors import RecordUnavailable
from rebalancer.domain.notices import NoticeKind
from rebalancer.health import readiness
from rebalancer.ledger import heartbeats
from rebalancer.ledger.session import Ledger
from rebalancer.notifier.logins import LoginWatch
from sandbox.gateway.login import Answer
from tests.integration.ibkr.serving import ServedGateway, serving, until
from tests.integration.notify.conftest import ServicesWith
from tests.integration.notify.test_watch import kinds, notices

FOLDER_OR_FILE = pytest.mark.parametrize("of", ["folder", "file"])


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "ibc" / "ibc.log"


@pytest.fixture
def gateway(log: Path) -> Iterator[ServedGateway]:
    log.parent.mkdir()
    with serving(login_log=log) as served:
        yield served
        served.do(lambda gateway: gateway.login.answer(Answer.APPROVE))


def restart(gateway: ServedGateway) -> None:
    """Until it waits for the second factor."""
    asyncio.run_coroutine_threadsafe(gateway.gateway.restart(0, second_factor=True), gateway.loop)
    until(lambda: gateway.do(lambda gateway: gateway.login.asking))


def answer(gateway: ServedGateway, which: Answer) -> None:
    assert gateway.do(lambda gateway: gateway.login.answer(which))


def gateway_check(watch: LoginWatch, services: ServicesWith, ledger: Ledger) -> str:
    with ledger.begin() as session:
        detail = {} if watch.login is None else {heartbeats.LOGINS: {watch.gateway: watch.login.detail()}}
        heartbeats.seen(session, heartbeats.BEAT, "b", detail)
        heartbeats.seen(session, heartbeats.WORKER, "w", {"gateway": "away", "trouble": "nobody listens"})
    return next(check.detail for check in readiness.check(services()) if check.name == "gateway")


@FOLDER_OR_FILE
def test_a_login_is_told_as_it_goes(
    gateway: ServedGateway, log: Path, of: str, services: ServicesWith, ledger: Ledger
) -> None:
    watch = LoginWatch(services(gateway_log=log if of == "file" else log.parent))
    watch.look()
    assert kinds(ledger) == []  # the login of the start asked for nobody
    assert "nobody listens" in gateway_check(watch, services, ledger)
    restart(gateway)
    watch.look()
    watch.look()
    assert kinds(ledger) == [NoticeKind.LOGIN_ASKED]
    assert "waits for the second factor: approve it in IBKR Mobile (since" in gateway_check(watch, services, ledger)
    for _ in range(3):
        answer(gateway, Answer.MISS)
        watch.look()
    assert kinds(ledger) == [NoticeKind.LOGIN_ASKED, NoticeKind.LOGIN_MISSED]
    answer(gateway, Answer.APPROVE)
    until(lambda: "Login has completed" in log.read_text().splitlines()[-1])
    watch.look()
    assert kinds(ledger) == [NoticeKind.LOGIN_ASKED, NoticeKind.LOGIN_MISSED, NoticeKind.LOGGED_IN]
    assert "second factor" not in gateway_check(watch, services, ledger)


def test_a_refused_login_is_told(gateway: ServedGateway, log: Path, services: ServicesWith, ledger: Ledger) -> None:
    watch = LoginWatch(services(gateway_log=log))
    watch.look()
    restart(gateway)
    answer(gateway, Answer.REFUSE)
    watch.look()
    assert kinds(ledger) == [NoticeKind.LOGIN_ASKED, NoticeKind.LOGIN_REFUSED]
    assert "IBKR refuses its login" in gateway_check(watch, services, ledger)


def test_who_begins_later_tells_what_still_waits_and_nothing_twice(
    gateway: ServedGateway, log: Path, services: ServicesWith, ledger: Ledger
) -> None:
    restart(gateway)
    for _ in range(2):
        LoginWatch(services(gateway_log=log)).look()
    assert kinds(ledger) == [NoticeKind.LOGIN_ASKED]
    answer(gateway, Answer.APPROVE)
    until(lambda: "Login has completed" in log.read_text().splitlines()[-1])
    LoginWatch(services(gateway_log=log)).look()
    assert kinds(ledger) == [NoticeKind.LOGIN_ASKED]


def test_a_log_that_is_missing_cut_or_rotated_is_no_end(
    log: Path, services: ServicesWith, ledger: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    watch = LoginWatch(services(gateway_log=log))
    watch.look()
    watch.look()
    assert capsys.readouterr().out.count("gateway_log_unreadable") == 1
    log.parent.mkdir()
    log.write_bytes(b"\xff\x00 1 IBC: Second Factor Authentication init")
    watch.look()
    assert kinds(ledger) == []  # half a line says nothing
    with log.open("a") as file:
        file.write("iated\n")
    watch.look()
    assert kinds(ledger) == [NoticeKind.LOGIN_ASKED]
    log.rename(log.with_suffix(".old"))
    log.write_text("2 IBC: Login has completed\n")
    watch.look()
    log.write_text("")
    watch.look()
    log.write_text("3 IBC: Login failed\n")
    watch.look()
    assert kinds(ledger) == [NoticeKind.LOGIN_ASKED, NoticeKind.LOGGED_IN, NoticeKind.LOGIN_REFUSED]


def test_what_the_ledger_could_not_take_is_told_later(log: Path, services: ServicesWith, ledger: Ledger) -> None:
    log.parent.mkdir()
    log.write_text("1 IBC: Second Factor Authentication initiated\n")
    watch = LoginWatch(services(gateway_log=log))
    with ledger.begin() as session:
        session.execute(text("ALTER TABLE notices RENAME TO away"))
    with pytest.raises(RecordUnavailable):
        watch.look()
    with ledger.begin() as session:
        session.execute(text("ALTER TABLE away RENAME TO notices"))
    watch.look()
    assert kinds(ledger) == [NoticeKind.LOGIN_ASKED]


def test_the_weekly_login_is_announced_for_live_accounts_once(services: ServicesWith, ledger: Ledger) -> None:
    now = datetime.now(UTC)
    due = {"notify_login_due": f"{now:%a %H:%M}".lower(), "notify_zone": "UTC"}
    assert not LoginWatch(services(**due)).has_work  # paper trading is not asked
    live = {**due, "trading_mode": "live", "ib_port": 4001, "restart_window": "23:40-00:20"}
    for _ in range(2):
        LoginWatch(services(**live)).look()
    assert kinds(ledger) == [NoticeKind.LOGIN_DUE]
    assert notices(ledger)[0].detail["restart"].startswith("23:40-00:20")
    assert not LoginWatch(services(**{**live, "notify_login_due": "off"})).has_work
