"""What is refused before anybody is identified, and what every answer says to browsers."""

from __future__ import annotations

import json
import os
import re
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import httpx
import psutil
import pytest
import uvicorn
from sqlalchemy import text

from api import guard, server, stream
from api.app import create_app
from api.server import MANY_CONNECTIONS, REQUEST_S
from rebalancer.config.settings import Settings
from rebalancer.ledger.session import Ledger
from tests.contract.conftest import BEARER, KEY
from tests.ledger_rows import NOON, add_event
from tests.programs import Started
from tests.serving import serving
from tests.world import until

EVENT = {"account_id": "DU1000001", "exec_command": "print-equity"}
JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("host", "ours"),
    [
        ("127.0.0.1", True),
        ("127.0.0.1:18080", True),
        ("localhost:8000", True),
        ("LOCALHOST", True),
        ("127.8.8.8", True),
        ("[::1]:8000", True),
        ("rebalancer.example", True),
        ("rebind.example:18080", False),
        ("127.0.0.1.rebind.example", False),
        ("localhost.rebind.example", False),
        ("192.168.1.5:8000", False),
        ("0.0.0.0", False),
        ("localhost:99999", False),
        ("localhost:80:80", False),
        ("localhost@rebind.example", False),
        ("[::1", False),
        ("", False),
    ],
)
def test_only_our_own_names_are_answered(app_settings: Settings, host: str, ours: bool) -> None:
    named = app_settings.changed(api_allowed_hosts="rebalancer.example, other.example")
    with serving(create_app(named)) as client:
        for path in ("/livez", "/", "/static/page.js", "/nothing"):
            answer = client.get(path, headers={"Host": host})
            assert (answer.status_code == 400) is not ours, (path, answer.text)
            assert_hardened(answer)


def test_every_answer_is_hardened(stranger: httpx.Client) -> None:
    for method, path in (
        *(("GET", path) for path in ("/", "/health", "/queue/events", "/accounts", "/docs", "/openapi.json", "/enter")),
        *(("GET", path) for path in ("/static/page.js", "/static/none", "/nothing", "/queue/events?limit=x", "/redoc")),
        *(("POST", "/queue/events"), ("DELETE", "/queue/events"), ("PUT", "/queue/events"), ("POST", "/session")),
        *(("OPTIONS", "/accounts"), ("HEAD", "/health")),
    ):
        assert_hardened(stranger.request(method, path, headers={"Accept": "text/html"}))


def assert_hardened(answer: httpx.Response) -> None:
    place = f"{answer.request.method} {answer.url}"
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy, place
    assert "script-src 'self';" in policy, place
    assert "frame-ancestors 'none'" in policy, place
    assert "unsafe" not in policy, place
    assert answer.headers["X-Content-Type-Options"] == "nosniff", place
    assert answer.headers["Cache-Control"] == "no-store", place
    assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin", place


def test_nothing_of_our_pages_comes_from_elsewhere(stranger: httpx.Client) -> None:
    stranger.post("/session", json={"key": KEY})
    for path in ("/", "/docs", "/history", "/account/DU1000001", "/enter"):
        text = stranger.get(path, headers={"Accept": "text/html"}).text
        loaded = re.findall(r"""(?:src|href)=["']([^"']+)""", text)
        foreign = [one for one in loaded if not one.startswith(("/", "#"))]
        assert [one for one in foreign if not one.startswith("http://127.0.0.1:")] == [], path
        assert not re.search(r"<script(?![^>]*\bsrc=)", text), f"{path} has a script of its own"


def test_a_failure_nobody_has_caught_is_answered_like_all_others(app_settings: Settings) -> None:
    app = create_app(app_settings)

    def broken() -> None:
        raise RuntimeError("broken on purpose")

    app.add_api_route("/broken", broken)
    with serving(app) as client:
        answer = client.get("/broken")
        shown = client.get("/broken", headers={"Accept": "text/html"})
    assert (answer.status_code, answer.json()) == (500, {"detail": "The server failed; its log says why"})
    assert_hardened(answer)
    assert (shown.status_code, "The server failed" in shown.text) == (500, True)
    assert_hardened(shown)


def connected(client: httpx.Client) -> socket.socket:
    return socket.create_connection(("127.0.0.1", client.base_url.port or 0), timeout=10)


@pytest.mark.parametrize("length", [guard.LARGEST_BODY + 1, 200 * 2**20])
def test_a_large_body_is_refused_before_it_is_read(stranger: httpx.Client, length: int) -> None:
    with connected(stranger) as connection:
        head = f"POST /queue/events HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n"
        connection.sendall(head.encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 413 ")


def test_a_body_without_a_length_is_not_kept(stranger: httpx.Client) -> None:
    before = psutil.Process().memory_info().rss
    chunk = b"x" * 65_536

    def endless() -> Iterator[bytes]:
        for _ in range(1600):
            yield chunk

    with suppress(httpx.TransportError):  # the server has closed while we were still sending
        assert stranger.post("/queue/events", content=endless(), headers=JSON).status_code == 413
    assert psutil.Process().memory_info().rss - before < 20 * 2**20


def test_a_body_that_does_not_come_is_given_up(app_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "BODY_S", 0.3)
    with serving(create_app(app_settings)) as client, connected(client) as connection:
        connection.sendall(b"POST /halts HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{")
        assert connection.recv(100).startswith(b"HTTP/1.1 413 ")


def test_long_addresses_and_headers_are_refused(stranger: httpx.Client) -> None:
    assert stranger.get("/livez?" + "x" * guard.LONGEST_PATH).status_code == 414
    assert stranger.get("/livez", headers={"X-Long": "x" * guard.LARGEST_HEADERS}).status_code == 431
    assert stranger.get("/livez", headers={f"X-{n}": "x" * 90 for n in range(200)}).status_code == 431


def nested(depth: int, opening: str = "[", closing: str = "]") -> str:
    deep = opening * depth + closing * depth
    return f'{{"account_id": "DU1000001", "exec_command": "print-equity", "data": {{"a": {deep}}}}}'


SURROGATE = '"\\ud800"'
STRANGE = {
    "deep list": nested(900),
    "deeper than Python": nested(20_000),
    "deep objects": nested(500, '{"a":', "}").replace(":}", ":1}"),
    "1e999": '{"account_id": "DU1000001", "exec_command": "print-equity", "data": {"a": 1e999}}',
    "-1e999 in a known field": '{"account_id": -1e999, "exec_command": "print-equity"}',
    "NaN": '{"account_id": "DU1000001", "exec_command": "print-equity", "data": {"a": NaN}}',
    "Infinity as account": '{"account_id": Infinity, "exec_command": "print-equity"}',
    "surrogate in data": f'{{"account_id": "DU1000001", "exec_command": "print-equity", "data": {{"a": {SURROGATE}}}}}',
    "surrogate as key": f'{{"account_id": "DU1000001", "exec_command": "print-equity", "data": {{{SURROGATE}: 1}}}}',
    "surrogate as account": f'{{"account_id": {SURROGATE}, "exec_command": "print-equity"}}',
    "surrogate as command": f'{{"account_id": "DU1000001", "exec_command": {SURROGATE}}}',
    "surrogate as field": f'{{"account_id": "DU1000001", "exec_command": "print-equity", {SURROGATE}: 1}}',
    "digits": '{"account_id": "DU1000001", "exec_command": "print-equity", "data": {"a": ' + "9" * 5000 + "}}",
    "NUL": '{"account_id": "DU1000001", "exec_command": "print-equity", "data": {"a": "\\u0000"}}',
    "NUL as account": '{"account_id": "\\u0000", "exec_command": "print-equity"}',
    "no JSON": "{",
    "a text": '"x"',
    "a number": "1e999",
    "nothing": "null",
}
ENCODED = {
    "UTF-16": nested(900).encode("utf-16"),
    "UTF-16 without a mark": nested(900).encode("utf-16-le"),
    "UTF-32": nested(900).encode("utf-32"),
    "UTF-16 that hides its depth": ('"\u2200"' + "[" * 15_000).encode("utf-16-le"),
    "a mark before UTF-8": b"\xef\xbb\xbf" + STRANGE["1e999"].encode(),
    "no UTF-8": b'{"account_id": "\xff"}',
}


@pytest.mark.parametrize(
    "body", [*(text.encode() for text in STRANGE.values()), *ENCODED.values()], ids=[*STRANGE, *ENCODED]
)
def test_no_body_makes_the_server_fail(stranger: httpx.Client, body: bytes) -> None:
    for path in ("/queue/events", "/halts", "/schedules", "/session"):
        answer = stranger.post(path, content=body, headers=BEARER | JSON)
        assert answer.status_code in (400, 404, 422), (path, answer.text)
        answer.json()
    assert stranger.get("/queue/events").json() == []


@pytest.mark.parametrize(
    "value", ["1e999", "nan", "-1", "x", "%ED%A0%80", "%00", "9" * 5000, "%F0%9F%92%A9", "1_0", "%D9%A1"]
)
def test_no_query_makes_the_server_fail(stranger: httpx.Client, value: str) -> None:
    for path in (
        f"/queue/events?limit={value}",
        f"/queue/events?type={value}",
        f"/queue/events?state={value}&after={value}&account_id={value}&order={value}",
        f"/signals?before={value}&channel={value}",
        f"/audit?before={value}",
        f"/queue/events/{value}",
        f"/accounts/{value}/positions",
        f"/account/{value}",
        f"/events/{value}",
        f"/history?account_id={value}",
        f"/static/{value}",
        f"/{value}",
    ):
        answer = stranger.get(path, headers=BEARER | {"Accept": "text/html"})
        assert answer.status_code < 500, path
    for path in (
        f"/rebalance/{value}?wait_s={value}",
        f"/approvals/{value}/approve",
        f"/rebalance/DU1000001?wait_s={value}",
    ):
        assert stranger.post(path, headers=BEARER).status_code < 500, path
    for path in (f"/schedules/{value}", f"/halts/{value}", f"/queue/events/{value}"):
        assert stranger.delete(path, headers=BEARER).status_code < 500, path


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Authorization", b"Bearer \xff\xfe"),
        ("Authorization", b"Bearer"),
        ("Authorization", b"Basic \x80"),
        ("Cookie", b"rebalancer-%PORT%=\xff; a=\xfe"),
        ("Cookie", b";;;=;=="),
        ("Content-Type", b"application/json; charset=\xff"),
        ("X-Session-Proof", b"\xff"),
        ("X-Forwarded-For", b"\xff, [::1"),
        ("Origin", b"\xff"),
        ("Sec-Fetch-Site", b"\xff"),
        ("Accept", b"\xff, text/html"),
    ],
)
def test_no_header_makes_the_server_fail(stranger: httpx.Client, name: str, value: bytes) -> None:
    headers = [(name.encode(), value.replace(b"%PORT%", str(stranger.base_url.port).encode()))]
    for method, path in (("GET", "/accounts"), ("GET", "/"), ("POST", "/session"), ("DELETE", "/session")):
        assert stranger.request(method, path, headers=headers).status_code < 500, path


def test_what_an_older_version_kept_too_deep_is_shown(stranger: httpx.Client, ledger: Ledger) -> None:
    deep = '{"a": ' + "[" * 900 + "]" * 900 + ', "exec": "rebalance"}'
    with ledger.begin() as session:
        event_id = add_event(session)
        ended = add_event(session, "DU1000002", state="succeeded", finished_at=NOON)
        session.execute(text("UPDATE events SET data = CAST(:deep AS jsonb)"), {"deep": deep})
    for path in ("/queue/events", "/queue/events?state=succeeded", "/signals", f"/queue/events/{event_id}"):
        assert stranger.get(path, headers=BEARER).status_code == 200, path
    for path in ("/", "/history", f"/events/{ended}", "/account/DU1000002"):
        assert stranger.get(path, headers=BEARER | {"Accept": "text/html"}).status_code == 200, path
    assert stranger.get("/queue/events").json()[0]["data"] == {"exec": "rebalance"}


def test_a_burst_of_watchers_ends_at_the_bound(app_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "MANY", 8)
    app = create_app(app_settings)
    with serving(app) as client, ExitStack() as opened:

        def watch(_number: int) -> int:
            connection = opened.enter_context(connected(client))
            asked = f"GET /stream HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {KEY}\r\n\r\n"
            connection.sendall(asked.encode())
            return int(connection.recv(12)[9:12])

        with ThreadPoolExecutor(40) as pool:
            answers = list(pool.map(watch, range(40)))
        assert sorted(answers) == [200] * 8 + [503] * 32
        assert app.state.watch.watchers == 8
        opened.close()
        until(lambda: app.state.watch.watchers == 0, 10)


@contextmanager
def process(settings: Settings, log: Path | None = None, **environment: str) -> Iterator[tuple[httpx.Client, int]]:
    """The API as `rebalancer up`, Compose and systemd start it, and its pid."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    wanted = {
        "ENV_FILE": os.devnull,
        "DATABASE_URL": settings.stores.database_url,
        "REDIS_URL": settings.stores.redis_url,
        "MANAGEMENT_API_KEY": KEY,
        "ACCOUNTS_FILE": str(settings.files.accounts_file),
        "REPLACEMENT_SETS_FILE": str(settings.files.replacement_sets_file),
        **environment,
    }
    started = Started(("-m", "api", "--port", str(port)), os.environ | wanted, output=log or Path(os.devnull))
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20, trust_env=False) as client:
            until(lambda: answers(client), 60)
            yield client, started.pid
    finally:
        started.terminate()
        started.wait(20)


def answers(client: httpx.Client) -> bool:
    try:
        return client.get("/livez").is_success
    except httpx.TransportError:
        return False


def test_the_process_believes_no_forwarded_address(app_settings: Settings) -> None:
    with process(app_settings, API_WRONG_KEYS_PER_MINUTE="5", FORWARDED_ALLOW_IPS="*") as (client, _pid):
        wrong = {"Authorization": "Bearer wrong"}
        forged = [wrong | {"X-Forwarded-For": f"203.0.113.{number}"} for number in range(8)]
        assert [client.get("/audit", headers=one).status_code for one in forged] == [401] * 5 + [429] * 3


def test_a_trusted_proxy_is_believed(app_settings: Settings) -> None:
    with process(app_settings, API_TRUSTED_PROXIES="127.0.0.1") as (client, _pid):
        forwarded = {"X-Forwarded-For": "203.0.113.66", "X-Forwarded-Proto": "https"}
        assert "Secure" in client.post("/session", json={"key": KEY}, headers=forwarded).headers["Set-Cookie"]
        assert client.get("/audit", headers=BEARER).json()[0]["address"] == "203.0.113.66"


def test_slow_callers_neither_stay_nor_keep_others_out(app_settings: Settings) -> None:
    many = MANY_CONNECTIONS + 200
    with process(app_settings) as (client, pid), ExitStack() as opened:
        port = client.base_url.port or 0
        slow = [opened.enter_context(socket.create_connection(("127.0.0.1", port))) for _ in range(many)]
        for one in slow:
            begin_a_request(one)
        began = time.monotonic()
        # Over a connection of its own: that of an earlier request, which is idle, is the first to be given up.
        assert httpx.get(f"http://127.0.0.1:{port}/livez", trust_env=False).is_success
        assert time.monotonic() - began < 2
        until(lambda: connections(pid, port) <= MANY_CONNECTIONS, 5)
        until(lambda: connections(pid, port) <= 2, REQUEST_S + 10)


def test_whoever_takes_nothing_of_an_answer_is_left(app_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "ANSWER_S", 0.5)
    app = create_app(app_settings)
    with socket.create_server(("127.0.0.1", 0)) as listening, ExitStack() as opened:
        port = listening.getsockname()[1]
        running = uvicorn.Server(server.config(app, app_settings.api, "127.0.0.1", port))
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        until(lambda: running.started, 10)
        for _ in range(20):
            greedy = opened.enter_context(socket.socket())
            greedy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            greedy.connect(("127.0.0.1", port))
            greedy.sendall(b"GET /static/swagger-ui/swagger-ui-bundle.js HTTP/1.1\r\nHost: localhost\r\n\r\n" * 4)
        until(lambda: len(running.server_state.connections) == 20, 10)
        until(lambda: len(running.server_state.connections) == 0, 15)
        running.should_exit = True
        thread.join(10)


def begin_a_request(connection: socket.socket) -> None:
    """Send the beginning of a request, to whoever has not hung up yet."""
    try:
        connection.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
    except OSError:
        return


def connections(pid: int, port: int) -> int:
    found = psutil.Process(pid).net_connections("tcp")
    return sum(one.status == psutil.CONN_ESTABLISHED and one.laddr.port == port for one in found)


def test_the_access_log_hides_secrets_and_stays_short(app_settings: Settings, tmp_path: Path) -> None:
    log = tmp_path / "api.log"
    with process(app_settings, log) as (client, _pid):
        client.get("/livez?token=hide-me")
        client.get("/" + "a-" * 3500)
        with connected(client) as connection:
            connection.sendall(b"GET /?key=hide-me" + b"a-" * 30_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert connection.recv(20).startswith(b"HTTP/1.1 414 ")
        until(lambda: "characters more" in log.read_text(), 10)
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    asked = [line["event"] for line in lines if line["logger"] == "uvicorn.access"]
    assert any("/livez?token=***" in event for event in asked)
    assert "hide-me" not in log.read_text()


def test_what_is_no_http_is_refused_with_the_same_headers(app_settings: Settings) -> None:
    with process(app_settings) as (client, _pid):
        with connected(client) as connection:
            connection.sendall(b"\x16\x03\x01 nonsense\r\n\r\n")
            answer = connection.recv(4096)
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert b"x-content-type-options: nosniff" in answer
        with connected(client) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\n" + b"X: " + b"y" * 100_000)
            assert connection.recv(100).startswith(b"HTTP/1.1 4")
