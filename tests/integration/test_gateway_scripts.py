"""What Compose puts into the gateway's container: its health check, and the copy of its output that beat reads."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from rebalancer.domain.gateway_login import LoginStep, words
from sandbox.gateway.behaviour import Admission
from tests.conftest import ROOT
from tests.integration.ibkr.serving import Script, connected, serving, until

SCRIPTS = ROOT / "docker/gateway"
ASKED = "2026-03-01 22:31:43:459 IBC: Second Factor Authentication initiated"
COMPLETED = "2026-03-01 22:32:01:004 IBC: Login has completed"


def asking(port: int) -> subprocess.Popen[str]:
    """The health check, under way."""
    command = ["bash", str(SCRIPTS / "healthy.sh"), str(port)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def told(check: subprocess.Popen[str]) -> tuple[bool, str]:
    output, _ = check.communicate(timeout=30)
    return check.returncode == 0, output


def test_a_gateway_that_speaks_is_healthy_and_its_clients_notice_nothing() -> None:
    with serving() as gateway, connected(gateway) as broker:
        accounts = broker.managed_accounts()
        for _ in range(3):
            healthy, output = told(asking(gateway.port))
            assert healthy, output
            assert output.startswith("server version 178, 20")
        until(lambda: gateway.do(lambda served: len(served.connections)) == 1)  # nothing piles up in years
        assert gateway.do(lambda served: served.client_ids) == [7]
        assert broker.managed_accounts() == accounts


def test_a_port_where_nobody_listens_is_unhealthy() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    assert told(asking(port))[0] is False


def test_a_gateway_that_takes_connections_and_says_nothing_is_unhealthy() -> None:
    with serving(Script(greeting=Admission.SILENCE)) as gateway:
        healthy, output = told(asking(gateway.port))
    assert (healthy, output) == (False, "the gateway takes connections and does not answer\n")


@pytest.mark.parametrize(
    "answer",
    [
        b"",  # a forwarder whose gateway is away
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\0\0\0\x1e178\0",
        b"\0\0\0\x1e178\0tomorrow\0",
        b"\0\0\0\x1eabc\00020260301 22:31:43 EST\0",
        b"\0x\0\0\x1e178\00020260301 22:31:43 EST\0",
    ],
)
def test_another_answer_is_unhealthy(answer: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        check = asking(listener.getsockname()[1])
        one, _ = listener.accept()
        with one:
            one.sendall(answer)
            assert one.recv(100) == b"API\0\0\0\0\x09v157..178"
        assert told(check)[0] is False


def image(tmp_path: Path, *lines: str) -> str:
    """The script that an image starts, which ends as IBC's do when it is told to."""
    script = tmp_path / "run.sh"
    script.write_text("\n".join(["trap 'echo shutting down; kill $!; exit 3' TERM", *lines, ""]))
    return str(script)


def started(log: Path, run: str, **environment: str) -> subprocess.Popen[str]:
    command = ["bash", str(SCRIPTS / "start.sh"), str(log), "bash", run]
    env = {**os.environ, **environment}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env)


def test_what_the_image_says_is_in_the_log_and_still_on_its_output(tmp_path: Path) -> None:
    log = tmp_path / "paper.log"
    log.write_text(f"{COMPLETED}\n")
    run = image(tmp_path, f'echo "{ASKED}"; echo "trouble" >&2; printf "no end"')
    output, _ = started(log, run).communicate(timeout=30)
    assert output.splitlines() == [ASKED, "trouble", "no end"]
    assert log.read_text().splitlines() == [COMPLETED, ASKED, "trouble", "no end"]
    assert [word.step for word in words(log.read_text().splitlines())] == [LoginStep.COMPLETED, LoginStep.ASKED]


def test_a_stop_reaches_the_image_and_its_last_words_the_log(tmp_path: Path) -> None:
    log = tmp_path / "live.log"
    gateway = started(log, image(tmp_path, "echo up", "sleep 60 & wait $!"))
    until(lambda: log.exists() and log.read_text() == "up\n")
    gateway.send_signal(signal.SIGTERM)
    output, _ = gateway.communicate(timeout=30)
    assert (gateway.returncode, output, log.read_text()) == (3, "up\nshutting down\n", "up\nshutting down\n")


def test_a_log_of_years_stays_small_and_its_end_whole(tmp_path: Path) -> None:
    log = tmp_path / "paper.log"
    run = image(tmp_path, f'for n in {{1..9000}}; do echo "$n {"x" * 90}"; done; echo "{ASKED}"')
    output, _ = started(log, run).communicate(timeout=60)
    assert len(output.splitlines()) == 9001
    kept = log.read_text().splitlines()
    assert 60_000 < log.stat().st_size < 270_000
    assert kept == output.splitlines()[-len(kept) :]
    assert list(tmp_path.glob("*.new")) == []


def test_a_log_that_cannot_be_written_stops_nothing_and_is_told(tmp_path: Path) -> None:
    output, _ = started(tmp_path / "absent" / "paper.log", image(tmp_path, "echo one; echo two")).communicate(
        timeout=30
    )
    assert [line for line in output.splitlines() if "absent" not in line] == ["one", "two"]
    assert output.count("No such file or directory") == 2


def test_a_login_without_name_or_password_is_told_and_may_be_typed_on_the_screen(tmp_path: Path) -> None:
    password = tmp_path / "ib-password-second"
    password.write_text("\n")
    login = {"TWS_USERID": "", "TWS_PASSWORD_FILE": str(password)}
    output, _ = started(tmp_path / "log", image(tmp_path, "echo up"), **login).communicate(timeout=30)
    name, secret, up = output.splitlines()
    assert "IB_USERNAME in .env" in name
    assert secret == "the password is empty: secrets/ib-password-second"
    assert up == "up"
    password.write_text("given\n")
    login["TWS_USERID"] = "me"
    output, _ = started(tmp_path / "log", image(tmp_path, "echo up"), **login).communicate(timeout=30)
    assert output == "up\n"


def test_a_changed_time_zone_reaches_settings_that_were_kept(tmp_path: Path) -> None:
    """The image writes it into new ones only, and the gateway's daily restart goes by it."""
    settings = tmp_path / "jts.ini"
    settings.write_text("[Logon]\nLocale=en\nTimeZone=America/New_York\nUseSSL=true\n")
    gateway = started(tmp_path / "log", image(tmp_path), TWS_SETTINGS_PATH=str(tmp_path), TIME_ZONE="Europe/Paris")
    gateway.communicate(timeout=30)
    assert settings.read_text() == "[Logon]\nLocale=en\nTimeZone=Europe/Paris\nUseSSL=true\n"
