"""Each fault of a set-up is found by the doctor, with its remedy."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from api.app import create_app
from rebalancer.cli.main import app
from rebalancer.config.settings import Settings
from rebalancer.domain.portfolio import OrderType
from rebalancer.health import machine
from rebalancer.health.doctor import examine
from rebalancer.health.ledger_mark import ledger_mark
from rebalancer.health.readiness import Check
from rebalancer.ledger.admin import schema
from rebalancer.ledger.session import Ledger
from sandbox.gateway.behaviour import Delivery
from sandbox.gateway.wire import Message
from tests.contract.conftest import KEY
from tests.integration.ibkr.serving import Script, ServedGateway, connected, order, serving, until
from tests.serving import serving as served

CURRENT_TIME, ACCOUNT_VALUE = 49, 73
Examine = Callable[..., dict[str, Check]]


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
def gateway(script: Script) -> Iterator[ServedGateway]:
    accounts = {f"DU100000{number}": {"cash": 1000} for number in range(1, 8)}
    with serving(script, accounts=accounts) as found:
        yield found


@pytest.fixture
def examined(app_settings: Settings, gateway: ServedGateway, monkeypatch: pytest.MonkeyPatch) -> Examine:
    """The doctor's checks by name, in a set-up that differs by what is given."""
    monkeypatch.setenv("ENV_FILE", os.devnull)
    for name in ("database_url", "redis_url", "accounts_file", "replacement_sets_file"):
        monkeypatch.setenv(name.upper(), str(app_settings.flat()[name]))
    monkeypatch.setenv("IB_PORT", str(gateway.port))

    def examined(**environment: str) -> dict[str, Check]:
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        return {check.name: check for check in examine()}

    return examined


def test_a_gateway_as_it_should_be(examined: Examine) -> None:
    found = examined()
    for name in (
        "gateway login",
        "gateway mode",
        "gateway accounts",
        "gateway values",
        "gateway clock",
        "gateway orders",
        "installation",
        "schema",
        "disk",
    ):
        assert found[name].ok, found[name]


def test_accounts_of_another_login_or_world(examined: Examine, tmp_path: Path) -> None:
    file = tmp_path / "accounts.yaml"
    file.write_text("accounts:\n  - {account_id: DU9, type: paper, strategy_name: blend}\n")
    found = examined(ACCOUNTS_FILE=str(file))
    assert "does not manage DU9; log in as their user" in found["gateway accounts"].detail
    file.write_text("accounts:\n  - {account_id: U9, type: live, strategy_name: blend}\n")
    found = examined(TRADING_MODE="live")
    assert not found["gateway mode"].ok
    assert "the trading mode is live, but the login has DU1000001" in found["gateway mode"].detail


def test_a_gateway_whose_account_values_cannot_be_planned_from(examined: Examine, script: Script) -> None:
    def without_dollars(message: Message) -> tuple[Delivery, ...]:
        dollars = message[0] == ACCOUNT_VALUE and message[3] == "DU1000002" and message[5] == "$LEDGER-CashBalance"
        return () if dollars else (Delivery(message),)

    script.change = without_dollars
    values = examined()["gateway values"]
    assert not values.ok
    assert "cash_missing: the broker does not say how much cash of DU1000002 is in USD" in values.detail


def test_orders_of_another_installation_are_named(examined: Examine, gateway: ServedGateway) -> None:
    ref = "0123456789ab-1-01-deadbeef"
    far = order(ref, account_id="DU1000003", order_type=OrderType.LIMIT, limit_price=Decimal(1), quantity=1)
    with connected(gateway, client_id=55) as stranger:
        updates = stranger.execute([far], 20, lambda: None)
        next(iter(updates))
        until(lambda: gateway.do(lambda found: bool(found.orders)))
        check = examined()["gateway orders"]
        assert not check.ok
        assert f"another installation trades here: {ref} at the broker" in check.detail


def test_a_gateway_whose_clock_is_wrong(examined: Examine, script: Script) -> None:
    def late(message: Message) -> tuple[Delivery, ...]:
        fields = list(message)
        if int(fields[0]) == CURRENT_TIME:
            fields[2] = str(int(fields[2]) - 90)
        return (Delivery(tuple(fields)),)

    script.change = late
    clock = examined()["gateway clock"]
    assert not clock.ok
    assert "synchronise this machine's clock" in clock.detail


@pytest.mark.parametrize(
    ("version", "remedy"), [("0001", "run `alembic upgrade head`"), ("9999", "install the newer program")]
)
def test_a_ledger_of_another_version(examined: Examine, ledger: Ledger, version: str, remedy: str) -> None:
    def become(number: str) -> None:
        with ledger.begin() as session:
            session.execute(text("UPDATE alembic_version SET version_num = :number"), {"number": number})

    become(version)
    try:
        found = examined()["schema"]
    finally:
        become(schema.revisions()[0])
    assert not found.ok
    assert remedy in found.detail


def test_a_port_is_free_or_ours_or_taken(app_settings: Settings) -> None:
    with served(create_app(app_settings)) as client:
        ours = machine.port("API", "127.0.0.1", int(client.base_url.port or 0), "livez", "API_PORT")
    assert (ours.ok, "answers" in ours.detail) == (True, True)
    with socket.create_server(("127.0.0.1", 0), backlog=0) as stranger:
        number = stranger.getsockname()[1]
        taken = machine.port("API", "127.0.0.1", number, "livez", "API_PORT")
    assert not taken.ok
    assert "set API_PORT to another one" in taken.detail
    assert machine.port("API", "127.0.0.1", number, "livez", "API_PORT").ok


def test_keys_that_others_can_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / ".env"
    monkeypatch.setenv("ENV_FILE", str(file))
    assert machine.env_file().ok
    file.write_text(f"MANAGEMENT_API_KEY={KEY}\n")
    for mode, ok in ((0o644, False), (0o660, False), (0o600, True), (0o400, True)):
        file.chmod(mode)
        assert machine.env_file().ok is ok, oct(mode)
    file.chmod(0o644)
    assert f"chmod 600 {file}" in machine.env_file().detail


def test_a_full_disk(tmp_path: Path) -> None:
    assert machine.disk(tmp_path).ok
    full = machine.disk(tmp_path, least=10**18)
    assert (full.ok, "make room" in full.detail) == (False, True)


def test_a_wrong_setting_ends_the_examination_with_its_remedy(examined: Examine) -> None:
    found = examined(ORDER_TYPE="STOP")
    assert list(found) == [".env", "settings"]
    assert "use MKT or LMT" in found["settings"].detail


class Stranger(BaseHTTPRequestHandler):
    """Another program's server, which says 200 to everything."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"status": "alive"}')

    def log_message(self, *_: object) -> None:
        """Not in the test's output."""


@pytest.fixture
def stranger() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Stranger) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def test_a_stranger_that_answers_is_not_taken_for_us(examined: Examine, stranger: int) -> None:
    found = examined(API_PORT=str(stranger), FLOWER_PORT=str(stranger))
    for name in ("API port", "Flower port"):
        assert not found[name].ok, found[name]
        assert "is taken by another program" in found[name].detail
    assert "set API_PORT to another one" in found["API port"].detail


def test_the_api_of_another_rebalancer_is_a_stranger_too(app_settings: Settings, examined: Examine) -> None:
    elsewhere = "postgresql+psycopg2://me:word@elsewhere/ledger"
    other = app_settings.changed(database_url=elsewhere, allow_clear_database="elsewhere")
    for settings, ours in ((other, False), (app_settings, True)):
        with served(create_app(settings)) as client:
            found = examined(API_PORT=str(client.base_url.port))["API port"]
            assert len(client.get("/livez").headers["x-ledger"]) == 12
        assert found.ok is ours, found
        assert ours or "the rebalancer of another ledger" in found.detail


def test_a_ledger_is_told_by_its_place_alone() -> None:
    mark = ledger_mark("postgresql+psycopg2://me:word@db:5432/ledger?host=/tmp/a")
    assert mark == ledger_mark("postgresql+psycopg2://you:other@db:5432/ledger?host=/tmp/a")
    for other in ("db:5432/ledger?host=/tmp/b", "db:5433/ledger?host=/tmp/a", "db:5432/other?host=/tmp/a"):
        assert ledger_mark(f"postgresql+psycopg2://me:word@{other}") != mark


@pytest.mark.parametrize(
    ("environment", "code"),
    [({"ORDER_TYPE": "STOP"}, 2), ({"ACCOUNTS_FILE": "absent.yaml"}, 2), ({"API_PORT": "stranger"}, 1)],
)
def test_the_exit_code_tells_a_wrong_configuration_from_what_does_not_work(
    examined: Examine, stranger: int, environment: dict[str, str], code: int
) -> None:
    examined(**{name: text.replace("stranger", str(stranger)) for name, text in environment.items()})
    assert CliRunner().invoke(app, ["doctor"]).exit_code == code


def test_what_is_wrong_with_settings_does_not_hide_what_is_wrong_with_files(examined: Examine, tmp_path: Path) -> None:
    file = tmp_path / "accounts.yaml"
    file.write_text("accounts:\n  - {account_id: U9, type: paper, strategy_name: s}\n")
    found = examined(ORDER_TYPE="STOP", ACCOUNTS_FILE=str(file))
    assert "is a live account" in found["accounts"].detail
    assert "use MKT or LMT" in found["settings"].detail


def test_in_a_container_it_asks_the_containers_next_door(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """There every container has ports of its own: a free one of the doctor's says nothing of another's."""
    monkeypatch.setattr(machine, "IN_CONTAINER", tmp_path / "absent")
    assert machine.reached("0.0.0.0", "localhost") == "127.0.0.1"
    monkeypatch.setattr(machine, "IN_CONTAINER", tmp_path)
    assert machine.reached("0.0.0.0", "no-such-service.invalid", "localhost") == "localhost"
    assert machine.reached("0.0.0.0", "no-such-service.invalid") == "127.0.0.1"


def test_that_nobody_is_told_anything_is_a_warning(examined: Examine) -> None:
    found = examined()["notifications"]
    assert (found.ok, found.warning) == (True, True)
    assert "NOTIFY_URLS is not set" in found.detail
    assert "WARN notifications" in CliRunner().invoke(app, ["doctor"]).output


def test_the_doctor_says_whose_ledger_it_looks_at(examined: Examine, monkeypatch: pytest.MonkeyPatch) -> None:
    assert examined()["stack"].detail == "Using DATABASE_URL (environment) and REDIS_URL (environment)."
    monkeypatch.delenv("DATABASE_URL")
    monkeypatch.delenv("REDIS_URL")
    missing = examined()["stack"]
    assert (missing.ok, "`rebalancer up`" in missing.detail) == (False, True)


def test_up_refuses_a_wrong_configuration_with_exit_code_2(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ENV_FILE", raising=False)
    Path(".env").write_text("ORDER_TYPE=STOP\n")
    Path("accounts.yaml").write_text("accounts:\n  - {account_id: U9, type: paper, strategy_name: s}\n")
    done = CliRunner().invoke(app, ["up", "--data", str(tmp_path / "data")])
    assert done.exit_code == 2
    assert "use MKT or LMT" in done.output
    assert "is a live account" in done.output
    assert not (tmp_path / "data").exists()
