"""The allocations client against the sandbox's API, over a real socket."""

import json
import os
import signal
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest

from rebalancer import http_get
from rebalancer.allocations import AllocationsClient
from rebalancer.domain.errors import AllocationsUnavailable, ConfigurationError, Refused
from rebalancer.domain.portfolio import TargetWeight
from rebalancer.domain.ports import TargetSource
from sandbox.allocations.answers import load_answers
from sandbox.allocations.server import AllocationsServer
from tests.programs import completed, heard

COMMAND = ("-c", "from sandbox.cli import app; app()", "allocations")
STRATEGY = "etf-blend-301-20"
HEADERS = {"x-api-key": "sandbox"}
SHIPPED = {"EDC": "0.2141", "QLD": "0.1779", "QQQ": "0.141", "BTAL": "0.2817", "SPXL": "0.0368", "TQQQ": "0.1475"}


@pytest.fixture
def server() -> Iterator[AllocationsServer]:
    with AllocationsServer() as running:
        yield running


def _source(server: AllocationsServer, key: str = "sandbox", timeout_s: float = 5) -> TargetSource:
    return AllocationsClient(server.url, key, timeout_s)


def _call(server: AllocationsServer, method: str, path: str, **options: Any) -> httpx.Response:
    with httpx.Client(trust_env=False, headers=HEADERS) as client:
        return client.request(method, server.url + path, **options)


def _wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_the_shipped_strategy_is_read_digit_by_digit(server: AllocationsServer) -> None:
    read = _source(server).fetch(STRATEGY)
    assert read.weights == tuple(TargetWeight(symbol, Decimal(text)) for symbol, text in SHIPPED.items())
    assert (read.as_of, read.last_rebalance_on) == (datetime.now(UTC).date(), date(2025, 6, 24))


def test_the_answer_has_the_providers_form(server: AllocationsServer) -> None:
    answer = _call(server, "GET", f"/{STRATEGY}/allocations")
    assert answer.headers["content-type"].startswith("application/json")
    body = answer.json()
    assert set(body) == {"status", "data"}
    assert set(body["data"]) == {"allocations", "name", "strategy_long_name", "last_rebalance_on", "as_of"}
    assert body["data"]["allocations"][0] == {"symbol": "EDC", "allocation": 0.2141}


@pytest.mark.parametrize("key", ["", "wrong"])
def test_a_wrong_key_is_unauthorised(server: AllocationsServer, key: str) -> None:
    with pytest.raises(AllocationsUnavailable, match=r"HTTP 401 .*ALLOCATIONS_API_KEY"):
        _source(server, key).fetch(STRATEGY)


def test_an_unknown_strategy_is_not_found(server: AllocationsServer) -> None:
    with pytest.raises(AllocationsUnavailable, match=r"HTTP 404 .*strategy a/b \?c is unknown"):
        _source(server).fetch("a/b ?c")


def test_published_targets_are_the_next_ones_read(server: AllocationsServer) -> None:
    server.publish(STRATEGY, {"SPY": 0.6, "BND": 0.4})
    assert [entry.symbol for entry in _source(server).fetch(STRATEGY).weights] == ["SPY", "BND"]


def test_targets_are_published_over_http_too(server: AllocationsServer) -> None:
    body = {"allocations": [{"symbol": "SPY", "allocation": 1}], "as_of": "2026-11-20"}
    assert _call(server, "PUT", "/new-one/allocations", json=body).status_code == 200
    read = _source(server).fetch("new-one")
    assert read.weights == (TargetWeight("SPY", Decimal("1.0")),)
    assert read.as_of == date(2026, 11, 20)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (f"/{STRATEGY}/allocations", '{"allocations": [], "typo": 1}'),
        (f"/{STRATEGY}/allocations", "not JSON"),
        (f"/{STRATEGY}/raw", '{"status": 99}'),
    ],
)
def test_a_wrong_change_is_refused_in_the_apis_own_form(server: AllocationsServer, path: str, body: str) -> None:
    answer = _call(server, "PUT", path, content=body)
    assert (answer.status_code, answer.json()["status"]) == (422, "error")
    assert _source(server).fetch(STRATEGY).weights


def test_changes_need_the_key(server: AllocationsServer) -> None:
    with httpx.Client(trust_env=False) as client:
        assert client.put(f"{server.url}/{STRATEGY}/raw", json={}).status_code == 401


def test_other_paths_and_methods_answer_in_the_apis_own_form(server: AllocationsServer) -> None:
    assert _call(server, "GET", "/nothing/here").json()["status"] == "error"
    assert _call(server, "POST", f"/{STRATEGY}/allocations").status_code == 405


def test_a_raw_answer_stands_until_it_is_cleared(server: AllocationsServer) -> None:
    assert _call(server, "PUT", f"/{STRATEGY}/raw", json={"status": 503, "body": "closed"}).status_code == 200
    for _ in range(2):
        with pytest.raises(AllocationsUnavailable, match="HTTP 503: closed"):
            _source(server).fetch(STRATEGY)
    assert _call(server, "DELETE", f"/{STRATEGY}/raw").status_code == 200
    assert _source(server).fetch(STRATEGY).weights


def test_nonsense_from_the_provider_justifies_no_order(server: AllocationsServer) -> None:
    server.set_raw(STRATEGY, body=json.dumps({"status": "success", "data": {"allocations": []}}))
    with pytest.raises(Refused) as refused:
        _source(server).fetch(STRATEGY)
    assert refused.value.rule == "allocations_empty"


def test_a_silent_provider_is_given_up_in_time(server: AllocationsServer) -> None:
    server.set_raw(STRATEGY, delay_s=60)
    started = time.monotonic()
    with pytest.raises(AllocationsUnavailable, match=r"no answer within 0\.2 s"):
        _source(server, timeout_s=0.2).fetch(STRATEGY)
    assert time.monotonic() - started < 5


def test_a_provider_that_drips_is_given_up_in_time() -> None:
    """Each byte comes within the silence that is allowed; the whole would never come."""
    stopped = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=_drip, args=(listener, stopped))
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        try:
            with pytest.raises(AllocationsUnavailable, match=r"not complete within 0\.4 s"):
                AllocationsClient(url, "k", 0.2).fetch(STRATEGY)
        finally:
            stopped.set()
            thread.join(timeout=5)


def _drip(listener: socket.socket, stopped: threading.Event) -> None:
    connection, _ = listener.accept()
    with connection:
        connection.recv(4096)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        while not stopped.wait(0.05):
            try:
                connection.sendall(b" ")
            except OSError:  # the client has hung up, which is what the test is about
                return


class Answering(socketserver.ThreadingTCPServer):
    """Answers each question of a connection with the targets, but for the last one of so many.

    Attributes:
        connections: how many there were.
    """

    daemon_threads, allow_reuse_address = True, True

    def __init__(self, last: int) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.last, self.connections = last, 0
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def source(self) -> TargetSource:
        """Whoever asks it."""
        return AllocationsClient(f"http://127.0.0.1:{self.server_address[1]}", "sandbox", 5)


class _Answers(socketserver.StreamRequestHandler):
    server: Answering

    def handle(self) -> None:
        self.server.connections += 1
        for number in count(1):
            while (line := self.rfile.readline()) not in (b"\r\n", b""):
                pass
            if not line or number == self.server.last:
                return
            body = b'{"status": "success", "data": {"allocations": [{"symbol": "SPY", "allocation": 1}]}}'
            self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))


@pytest.fixture
def answering() -> Iterator[Callable[[int], Answering]]:
    with ExitStack() as ending:

        def start(last: int) -> Answering:
            server = ending.enter_context(Answering(last))
            ending.callback(server.shutdown)
            return server

        yield start


def test_the_questions_of_a_run_share_a_connection(answering: Callable[[int], Answering]) -> None:
    server = answering(9)
    with http_get.connections_kept():
        assert [server.source().fetch(STRATEGY).weights for _ in range(2)] == [(TargetWeight("SPY", Decimal(1)),)] * 2
    assert server.connections == 1
    server.source().fetch(STRATEGY)
    assert server.connections == 2


def test_a_connection_that_ends_as_it_is_used_again_is_replaced(answering: Callable[[int], Answering]) -> None:
    server = answering(2)
    with http_get.connections_kept():
        for _ in range(3):
            assert server.source().fetch(STRATEGY).weights == (TargetWeight("SPY", Decimal(1)),)
    assert server.connections == 3


def test_who_ends_every_connection_is_asked_twice_and_no_more(answering: Callable[[int], Answering]) -> None:
    server = answering(1)
    with http_get.connections_kept(), pytest.raises(AllocationsUnavailable, match="disconnected"):
        server.source().fetch(STRATEGY)
    assert server.connections == 2


def test_nobody_listening_is_worth_a_retry(server: AllocationsServer) -> None:
    server.stop()
    with pytest.raises(AllocationsUnavailable, match="ConnectError"):
        _source(server).fetch(STRATEGY)


def test_a_taken_port_is_told(server: AllocationsServer) -> None:
    port = httpx.URL(server.url).port
    assert port is not None
    with pytest.raises(OSError, match="address already in use"):
        AllocationsServer(port=port).start()


def test_stopping_does_not_wait_for_a_delayed_answer(server: AllocationsServer) -> None:
    server.set_raw(STRATEGY, delay_s=60)
    with socket.create_connection(("127.0.0.1", httpx.URL(server.url).port or 0)) as connection:
        request = f"GET /{STRATEGY}/allocations HTTP/1.1\r\nHost: x\r\nx-api-key: sandbox\r\n\r\n"
        connection.sendall(request.encode())
        _wait_until(lambda: server.asked(STRATEGY) == 1)
        started = time.monotonic()
        server.stop()
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("text", ["", "[]", '{"s": {"allocations": []}}'])
def test_a_wrong_file_of_strategies_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "s.json"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"s\.json"):
        load_answers(file)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load_answers(tmp_path / "absent.json")


def test_the_command_ends_with_the_reason_where_it_cannot_listen() -> None:
    with socket.create_server(("127.0.0.1", 0)) as occupied:
        port = str(occupied.getsockname()[1])
        ended = completed((*COMMAND, "--port", port), os.environ)
    assert ended.returncode == 2
    assert ended.stderr.startswith(f"cannot listen on 127.0.0.1:{port}: ")
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_command_serves_until_it_is_told_to_stop(number: signal.Signals) -> None:
    with heard((*COMMAND, "--port", "0", "--key", "k")) as process:
        line = process.stdout.readline().strip()
        assert line.startswith("allocations listening on http://127.0.0.1:")
        assert AllocationsClient(line.rpartition(" ")[2], "k", 5).fetch(STRATEGY).weights
        process.send_signal(number)
        assert process.wait(timeout=10) == 0
        assert process.stdout.read() == ""
