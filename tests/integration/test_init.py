"""`rebalancer init` against a gateway and an allocations API on real sockets, typed by a person and by a script."""

from __future__ import annotations

import json
import socket
import stat
from collections.abc import Callable, Iterator
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from typer.testing import CliRunner

from rebalancer.cli.main import app
from rebalancer.config.accounts_file import load_accounts, load_replacement_sets
from rebalancer.config.configuration import refuse_wrong_configuration
from rebalancer.config.settings import load_settings
from rebalancer.config.setup_files import Follower, Places, accounts_text, write_both
from rebalancer.domain.accounts import TradingMode
from rebalancer.domain.errors import ConfigurationError, GatewayUnavailable, RequestRefused
from rebalancer.health.doctor import examine
from sandbox.allocations.answers import load_answers
from sandbox.allocations.server import AllocationsServer
from tests.conftest import ROOT
from tests.integration.ibkr.serving import ServedGateway, serving
from tests.terminal import terminal

KEY = "the-providers-key"
STRATEGY = "etf-blend-301-20"
Typed = Callable[..., Any]


@pytest.fixture
def gateway() -> Iterator[ServedGateway]:
    with serving() as served:
        yield served


@pytest.fixture
def allocations() -> Iterator[AllocationsServer]:
    with AllocationsServer(load_answers(), key=KEY) as server:
        yield server


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory without anything set."""
    monkeypatch.chdir(tmp_path)
    for name in ("ENV_FILE", "ALLOCATIONS_API_KEY", "REALTIME_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "replacement-sets.yaml").write_text((ROOT / "replacement-sets.yaml").read_text())
    return tmp_path


@pytest.fixture
def init(folder: Path, allocations: AllocationsServer) -> Typed:
    """Types `rebalancer init`; ``answers`` are the lines that a person types."""
    del folder

    def init(*options: str, answers: tuple[str, ...] = ()) -> Any:
        typed = "".join(f"{line}\n" for line in answers)
        return CliRunner().invoke(app, ["init", "--allocations-url", allocations.url, *options], input=typed)

    return init


def by_options(gateway: ServedGateway) -> tuple[str, ...]:
    port = ("--mode", "paper", "--host", "127.0.0.1", "--port", str(gateway.port))
    return (*port, "--no-input", "--allocations-key", KEY, "--strategy", STRATEGY)


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port


def test_a_person_is_led_to_a_set_up_that_works(
    init: Typed, folder: Path, gateway: ServedGateway, allocations: AllocationsServer
) -> None:
    nobody = str(free_port())
    to_the_wrong_port = ("", "", nobody, "y")
    to_the_gateway = ("", "", str(gateway.port))
    accounts = ("3", "no-such-strategy", "1", "-")  # of DU1: out of the list, unknown, the first; DU2 is left alone
    done = init(answers=(*to_the_wrong_port, *to_the_gateway, KEY, *accounts, "2.5", "app.id:the-ably-key"))
    assert done.exit_code == 0, done.output
    for told in ("Connect call failed", "DU1, DU2", "1  etf-blend", "from 1 to 1", "HTTP 404", "6 symbols"):
        assert told in done.output, told
    assert KEY not in done.output

    settings = load_settings()
    assert (settings.broker.trading_mode, settings.broker.ib_port) == (TradingMode.PAPER, gateway.port)
    assert settings.signals.allocations_base_url == allocations.url
    assert settings.signals.require("realtime_api_key") == "app.id:the-ably-key"
    assert len(settings.api.require("management_api_key")) >= 32
    assert stat.S_IMODE((folder / ".env").stat().st_mode) == 0o600
    (account,) = load_accounts(
        settings.files.accounts_file, load_replacement_sets(settings.files.replacement_sets_file)
    )
    assert (account.account_id, account.strategy, account.cash_reserve_percent) == ("DU1", STRATEGY, Decimal("2.5"))
    assert "not traded: DU2" in settings.files.accounts_file.read_text()
    checks = {check.name: check for check in examine()}
    for name in (".env", "accounts", "gateway login", "gateway mode", "gateway accounts", "gateway clock"):
        assert checks[name].ok, checks[name]
    assert checks[f"targets of {STRATEGY}"].ok


def test_a_script_says_everything_by_options(init: Typed, gateway: ServedGateway) -> None:
    done = init(*by_options(gateway), "--account", "DU2=-", "--reserve", "0")
    assert done.exit_code == 0, done.output
    assert load_settings().signals.realtime_api_key is None
    assert "no signal is received" in done.output
    assert [line for line in Path("accounts.yaml").read_text().splitlines() if "account_id" in line] == [
        "  - account_id: DU1"
    ]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("--port", "1"), "Connect call failed"),
        (("--port", "4001"), "port of the other mode"),
        (("--mode", "live"), "the login has DU1, DU2"),
        (("--allocations-key", "wrong"), "is ALLOCATIONS_API_KEY right?"),
        (("--strategy", "other"), "is the strategy's name right?"),
        (("--account", "DU9=other"), "does not manage DU9"),
        (("--account", "DU1"), "write ID=STRATEGY"),
        (("--account", "DU1=-", "--account", "DU2=-"), "no account is to be traded"),
        (("--reserve", "50"), "use a number from 0 to 10"),
        (("--realtime-key", "'quoted'"), "REALTIME_API_KEY cannot be written"),
    ],
)
def test_what_cannot_work_is_refused_and_nothing_written(
    init: Typed, folder: Path, gateway: ServedGateway, change: tuple[str, ...], told: str
) -> None:
    before = names(folder)
    done = init(*by_options(gateway), *change)
    assert isinstance(done.exception, RequestRefused | GatewayUnavailable), done.output
    assert told in str(done.exception)
    assert names(folder) == before


def test_files_that_exist_are_changed_only_with_consent(init: Typed, folder: Path, gateway: ServedGateway) -> None:
    env, accounts = folder / ".env", folder / "accounts.yaml"
    env.write_text("# mine\nORDER_TYPE=LMT\nIB_PORT=4002\nMANAGEMENT_API_KEY=the-key-in-use\n")
    accounts.write_text("accounts: []\n")
    refused = init(*by_options(gateway))
    assert "--force" in str(refused.exception)
    answers = ("paper", "", str(gateway.port), KEY, "", "", "", "")
    declined = init(answers=(*answers, "n"))
    assert (declined.exit_code, accounts.read_text()) == (1, "accounts: []\n")
    assert init(*by_options(gateway), "--force").exit_code == 0
    text = env.read_text()
    assert text.startswith(f"# mine\nORDER_TYPE=LMT\nIB_PORT={gateway.port}\nMANAGEMENT_API_KEY=the-key-in-use\n")
    (kept,) = folder.glob("accounts.yaml.*")
    assert kept.read_text() == "accounts: []\n"
    again = init(answers=("", "", str(gateway.port), "", "", "", "", "", "y"))
    assert again.exit_code == 0, again.output
    assert "empty: the present one" in again.output
    assert load_settings().signals.require("allocations_api_key") == KEY


def test_what_else_the_accounts_file_says_stays_in_it(init: Typed, folder: Path, gateway: ServedGateway) -> None:
    sources = f"# whence the targets come\nsources:\n  {STRATEGY}:  # mine\n    file: targets.csv"
    before, after = "instruments:\n  GLD: ARCA\n", "\n# the end\n"
    (folder / "accounts.yaml").write_text(f"{before}accounts:\n  - account_id: DU2\n    type: paper\n{sources}{after}")
    done = init(*by_options(gateway), "--account", "DU2=-", "--force")
    assert done.exit_code == 0, done.output
    text = (folder / "accounts.yaml").read_text()
    assert "account_id: DU1" in text
    assert "account_id: DU2" not in text
    for section in (before.strip(), sources.partition("\n")[2]):
        assert section in text
    (folder / "accounts.yaml").write_text("accounts: [\n")
    assert init(*by_options(gateway), "--force").exit_code == 0, "what cannot be read is kept in a copy"


def test_files_that_would_be_refused_at_the_start_are_not_written(folder: Path) -> None:
    places = Places(folder / ".env", folder / "accounts.yaml", folder / "replacement-sets.yaml")
    followers = [Follower("DU1", STRATEGY, Decimal(1))]
    before = names(folder)
    with pytest.raises(ConfigurationError, match="is a paper account"):
        write_both(places, "", accounts_text(TradingMode.LIVE, followers), TradingMode.LIVE)
    assert names(folder) == before


def test_ctrl_c_leaves_nothing_half_written(
    folder: Path, gateway: ServedGateway, allocations: AllocationsServer
) -> None:
    before = names(folder)
    options = ("--allocations-url", allocations.url, "--port", str(gateway.port), "--allocations-key", KEY)
    with terminal(folder, "init", *options) as shown:
        for question in ("Paper or live", "Host", "Strategy of DU1"):
            shown.until(question)
            shown.type("")
        shown.until("Strategy of DU2")
        assert shown.interrupt() == 1
    assert names(folder) == before


def test_a_wrong_key_is_asked_for_again_and_nothing_else(init: Typed, gateway: ServedGateway) -> None:
    asked_once = ("", "", str(gateway.port))
    done = init(answers=(*asked_once, "a-slip", "another", KEY, "1", "-", "", ""))
    assert done.exit_code == 0, done.output
    assert done.output.count("does not take this key") == 2
    assert done.output.count("Host of the IB Gateway") == 1
    assert load_settings().signals.require("allocations_api_key") == KEY


class Unlisted(BaseHTTPRequestHandler):
    """A provider that lists its strategies to nobody, and tells of a wrong key only where targets are asked for."""

    def do_GET(self) -> None:
        right = self.headers["x-api-key"] == KEY
        self.send_response(403 if self.path.count("/") < 2 else 200 if right else 401)
        self.end_headers()
        targets = {"allocations": [{"symbol": "SPY", "allocation": 1.0}], "as_of": "2026-01-02"}
        self.wfile.write(json.dumps({"status": "success", "data": targets}).encode())

    def log_message(self, *_: object) -> None:
        """Not in the test's output."""


def test_a_key_that_is_refused_with_the_first_targets_is_asked_for_again(folder: Path, gateway: ServedGateway) -> None:
    del folder
    with ThreadingHTTPServer(("127.0.0.1", 0), Unlisted) as provider:
        thread = Thread(target=provider.serve_forever)
        thread.start()
        url = f"http://127.0.0.1:{provider.server_address[1]}"
        lines = ("", "", str(gateway.port), "a-slip", STRATEGY, KEY, STRATEGY, "-", "", "")
        typed = "".join(f"{line}\n" for line in lines)
        done = CliRunner().invoke(app, ["init", "--allocations-url", url], input=typed)
        provider.shutdown()
        thread.join()
    assert done.exit_code == 0, done.output
    assert "type their names" in done.output
    assert done.output.count("does not take this key") == 1
    assert load_settings().signals.require("allocations_api_key") == KEY


@pytest.mark.parametrize("typed", ["'quoted'", '"quoted'])
def test_a_key_that_cannot_be_kept_is_refused_when_it_is_typed(init: Typed, gateway: ServedGateway, typed: str) -> None:
    done = init(answers=("", "", str(gateway.port), KEY, "1", "-", "", typed, "app.id:right"))
    assert done.exit_code == 0, done.output
    assert "REALTIME_API_KEY cannot be written" in done.output
    assert load_settings().signals.require("realtime_api_key") == "app.id:right"


def test_the_mode_is_asked_for_in_plain_words(init: Typed, gateway: ServedGateway) -> None:
    done = init(answers=("demo", "PAPER", "", str(gateway.port), KEY, "1", "-", "", ""))
    assert done.exit_code == 0, done.output
    assert "write paper (simulated money) or live (real money)" in done.output
    assert "TradingMode" not in done.output


def test_an_empty_folder_is_enough(init: Typed, folder: Path, gateway: ServedGateway) -> None:
    (folder / "replacement-sets.yaml").unlink()
    assert init(*by_options(gateway)).exit_code == 0
    assert names(folder) == {".env", "accounts.yaml"}
    refuse_wrong_configuration()


@pytest.mark.parametrize("text", ["ira: [\n", "ira: []\n"])
def test_what_would_fail_at_the_end_is_told_before_the_first_question(init: Typed, folder: Path, text: str) -> None:
    (folder / "replacement-sets.yaml").write_text(text)
    done = init()
    assert isinstance(done.exception, ConfigurationError)
    assert "Paper or live" not in done.output


@pytest.fixture
def deployment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What `make secrets` leaves for the container that asks."""
    for name in ("keys", "settings", "config"):
        (folder / name).mkdir()
    for name in ("allocations-api-key", "realtime-api-key"):
        (folder / "keys" / name).write_text("\n")
    (folder / "settings/settings.env").write_text("# mine\nMAX_ORDER_USD=5000\n")
    monkeypatch.setenv("ENV_FILE", str(folder / "settings/settings.env"))
    return folder


def in_container(folder: Path) -> tuple[str, ...]:
    return ("--keys", str(folder / "keys"), "--accounts-file", str(folder / "config/accounts.yaml"))


def test_in_containers_keys_get_files_of_their_own_and_the_rest_is_theirs_to_read(
    init: Typed, deployment: Path, gateway: ServedGateway, allocations: AllocationsServer
) -> None:
    """Mode and gateway are Compose's to say."""
    done = init(*by_options(gateway), *in_container(deployment), "--realtime-key", "app.id:the-ably-key", "--force")
    assert done.exit_code == 0, done.output
    assert (deployment / "keys/allocations-api-key").read_text() == f"{KEY}\n"
    assert (deployment / "keys/realtime-api-key").read_text() == "app.id:the-ably-key\n"
    env = deployment / "settings/settings.env"
    assert env.read_text() == f"# mine\nMAX_ORDER_USD=5000\nALLOCATIONS_BASE_URL={allocations.url}\n"
    assert stat.S_IMODE(env.stat().st_mode) == stat.S_IMODE((deployment / "config/accounts.yaml").stat().st_mode)
    assert "docker compose up --detach" in done.output
    again = init(
        *(one for one in by_options(gateway) if one not in ("--allocations-key", KEY)), *in_container(deployment)
    )
    assert "--force" in str(again.exception)  # the present key was taken


def test_a_key_that_cannot_be_written_is_told_before_anything_is_asked(init: Typed, deployment: Path) -> None:
    (deployment / "keys/realtime-api-key").unlink()
    done = init(*in_container(deployment))
    assert isinstance(done.exception, ConfigurationError)
    assert "realtime-api-key: cannot be written" in str(done.exception)


def test_a_file_of_several_logins_is_left_alone(init: Typed, folder: Path, gateway: ServedGateway) -> None:
    """It would lose its gateways, and the accounts of the other logins."""
    text = (
        "gateways:\n  partner: {port: 4012, trading_mode: paper}\n"
        "accounts:\n  - {account_id: DU2, type: paper, strategy_name: s, gateway: partner}\n"
    )
    (folder / "accounts.yaml").write_text(text)
    done = init(*by_options(gateway), "--force")
    assert isinstance(done.exception, ConfigurationError)
    assert "accounts.yaml:2: gateways names gateways, and `rebalancer init` writes the accounts of one" in str(
        done.exception
    )
    assert (folder / "accounts.yaml").read_text() == text
    assert ".env" not in names(folder)
    assert init(*by_options(gateway), "--accounts-file", "other.yaml").exit_code == 0
