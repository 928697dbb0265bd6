"""Logs: structured, with context, and without secrets whatever anybody logs."""

import base64
import json
import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from rebalancer.config.settings import Settings
from rebalancer.logs.context import begin_run, end_run, outside_any_run, shown_addressee
from rebalancer.logs.setup import LONGEST_VALUE, OWN_HANDLERS, QUIET, configure_logging, redactor

SECRET = 's3cr"et\\k&y'
DATABASE_PASSWORD = "p@ss word"
Configure = Callable[..., None]


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    level = root.level
    levels = {name: logging.getLogger(name).level for name in QUIET}
    yield
    root.handlers[:] = [
        handler for handler in root.handlers if type(handler).__module__ != configure_logging.__module__
    ]
    root.setLevel(level)
    for name, earlier in levels.items():
        logging.getLogger(name).setLevel(earlier)
    structlog.contextvars.clear_contextvars()
    structlog.reset_defaults()


@pytest.fixture
def configure() -> Configure:
    def configured(**overrides: str) -> None:
        values = {
            "management_api_key": SECRET,
            "database_url": f"postgresql://u:{quote(DATABASE_PASSWORD)}@localhost/d",
            **overrides,
        }
        # pytest's own handlers would fail the test when a record cannot be formatted.
        logging.getLogger().handlers.clear()
        settings = Settings.from_flat(values)
        configure_logging(settings.logs, settings.secret_values())

    return configured


Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def lines(capsys: pytest.CaptureFixture[str]) -> Lines:
    return lambda: [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_an_event_is_one_json_object_with_its_fields(configure: Configure, lines: Lines) -> None:
    configure()
    structlog.get_logger("desk").info("order_submitted", symbol="VXX", quantity=12)
    (line,) = lines()
    assert line.pop("timestamp").endswith("Z")
    assert line == {"event": "order_submitted", "symbol": "VXX", "quantity": 12, "level": "info", "logger": "desk"}


def test_the_standard_librarys_loggers_end_in_the_same_form(configure: Configure, lines: Lines) -> None:
    configure()
    logging.getLogger("celery").warning("worker %s", "up", extra={"pid": 7})
    (line,) = lines()
    assert (line["event"], line["level"], line["logger"], line["pid"]) == ("worker up", "warning", "celery", 7)


RUN = {"event_id": "e1", "account_id": "DU1", "strategy": "blend", "command": "rebalance", "attempt": 2}


def contexts(lines: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """What of a run's context is on each line, by the line's event."""
    return {line["event"]: {name: line[name] for name in RUN if name in line} for line in lines}


def test_the_context_of_a_run_is_on_every_line_of_it_only(configure: Configure, lines: Lines) -> None:
    configure()
    log = structlog.get_logger("desk")
    begin_run(**RUN)
    log.info("inside")
    logging.getLogger("other").info("also inside")
    with outside_any_run():
        log.info("for later")
    log.info("inside again")
    end_run()
    log.info("outside")
    assert contexts(lines()) == {
        "inside": RUN,
        "also inside": RUN,
        "for later": {},
        "inside again": RUN,
        "outside": {},
    }


def test_the_brokers_thread_speaks_of_the_only_run(configure: Configure, lines: Lines) -> None:
    configure()

    def on_its_own_thread(event: str) -> None:
        def speak() -> None:
            structlog.get_logger("rebalancer.ibkr.session").warning(event)
            structlog.get_logger("tasks.heartbeat").warning(f"{event}, heartbeat")

        thread = threading.Thread(target=speak)
        thread.start()
        thread.join()

    on_its_own_thread("before")
    begin_run(**RUN)
    on_its_own_thread("within")
    other = threading.Thread(target=lambda: (begin_run(event_id="e2"), on_its_own_thread("two at once"), end_run()))
    other.start()
    other.join()
    end_run()
    on_its_own_thread("after")
    found = contexts(lines())
    assert found.pop("within") == RUN
    assert set(found) >= {"before", "within, heartbeat", "two at once", "after"}
    assert all(context == {} for context in found.values())


def test_a_line_begins_with_when_what_and_whose(configure: Configure, lines: Lines) -> None:
    configure()
    begin_run(**RUN)
    structlog.get_logger("desk").info("order_submitted", alpha=1)
    end_run()
    (line,) = lines()
    whose = ["account_id", "strategy", "command", "event_id", "attempt"]
    assert list(line)[:8] == ["timestamp", "level", "event", *whose]


def test_celerys_lines_about_a_task_name_its_event_and_account(configure: Configure, lines: Lines) -> None:
    configure()
    log = logging.getLogger("celery.worker.strategy")
    for shown in (shown_addressee("DU1", "blend"), "{}", "...", None):
        log.info("received", extra={"data": {"id": "e1.7", "name": "rebalance", "args": "()", "kwargs": shown}})
    first, *others = lines()
    known = {"event_id": "e1", "command": "rebalance"}
    assert {name: first.get(name) for name in RUN} == known | {
        "account_id": "DU1",
        "strategy": "blend",
        "attempt": None,
    }
    assert [{name: line[name] for name in RUN if name in line} for line in others] == [known] * 3


def test_servers_with_handlers_of_their_own_end_in_the_same_form(configure: Configure, lines: Lines) -> None:
    own = logging.StreamHandler()
    for name in OWN_HANDLERS:
        logging.getLogger(name).addHandler(own)
        logging.getLogger(name).propagate = False
    configure()
    logging.getLogger("uvicorn.access").warning("GET %s", "/x?token=hide-me")
    (line,) = lines()
    assert (line["event"], line["logger"]) == ("GET /x?token=***", "uvicorn.access")


def test_the_level_is_obeyed(configure: Configure, lines: Lines) -> None:
    configure(log_level="WARNING")
    structlog.get_logger("desk").info("quiet")
    logging.getLogger("other").info("quiet")
    structlog.get_logger("desk").warning("loud")
    assert [line["event"] for line in lines()] == ["loud"]


def test_chatty_libraries_are_quiet_even_when_debugging(configure: Configure, lines: Lines) -> None:
    configure(log_level="DEBUG")
    for name in QUIET:
        logging.getLogger(f"{name}.part").info("headers and all")
    logging.getLogger("ably").warning("kept")
    assert [line["event"] for line in lines()] == ["kept"]


def test_chatty_libraries_are_no_louder_than_the_rest(configure: Configure, lines: Lines) -> None:
    configure(log_level="ERROR")
    logging.getLogger("ably").warning("quiet")
    assert lines() == []


def test_configuring_twice_logs_once(configure: Configure, lines: Lines) -> None:
    configure()
    configure()
    logging.getLogger("other").warning("once")
    assert len(lines()) == 1


def test_console_format_is_text(configure: Configure, capsys: pytest.CaptureFixture[str]) -> None:
    configure(log_format="console")
    structlog.get_logger("desk").info("order_submitted", symbol="VXX")
    written = capsys.readouterr().err
    assert "order_submitted" in written
    assert "symbol=VXX" in written
    assert not written.startswith("{")


def _fail(message: str) -> None:
    local_variable = message
    raise RuntimeError(local_variable)


def _log_everywhere(secret: str) -> None:
    log, other = structlog.get_logger("desk"), logging.getLogger("other")
    log.warning("a", note=secret, nested={"deep": [secret, {"deeper": secret}]}, shown=repr(secret))
    log.warning(secret, **{secret: secret})
    log.warning("a", document=json.dumps({"x": secret}), twice=json.dumps(json.dumps(secret)))
    log.warning("a", url=f"https://h/?q={quote(secret, safe='')}", raw=secret.encode())
    log.warning("a", header=f"Basic {base64.b64encode(secret.encode()).decode()}")
    other.warning("with %s and %r", secret, [secret], extra={"more": secret})
    other.warning("broken %d", secret)
    begin_run(event_id=secret)
    log.warning("a")
    end_run()
    try:
        _fail(secret)
    except RuntimeError as error:
        log.exception("failed")
        other.exception("failed")
        log.warning("a", error=repr(error), object=error)
        other.warning("failed", exc_info=sys.exc_info())


@pytest.mark.parametrize("log_format", ["json", "console"])
@pytest.mark.parametrize("secret", [SECRET, DATABASE_PASSWORD], ids=["key", "password"])
def test_known_secrets_never_appear(
    configure: Configure, capsys: pytest.CaptureFixture[str], secret: str, log_format: str
) -> None:
    configure(log_format=log_format)
    _log_everywhere(secret)
    captured = capsys.readouterr()
    written = captured.out + captured.err
    assert captured.err.count("\n") >= 12
    spellings = {secret, repr(secret)[1:-1], json.dumps(secret)[1:-1], quote(secret), quote(secret, safe="")}
    spellings |= {base64.b64encode(secret.encode()).decode()}
    assert {spelling for spelling in spellings if spelling in written} == set()


def test_a_record_that_cannot_be_formatted_is_told_without_its_arguments(configure: Configure, lines: Lines) -> None:
    configure()
    logging.getLogger("other").warning("broken %d", "text")
    (line,) = lines()
    assert (line["event"], line["logger"]) == ("log_record_unprintable", "other")


@pytest.mark.parametrize(
    "name", ["api_key", "x-api-key", "ALLOCATIONS_API_KEY", "token", "client_secret", "password", "Authorization"]
)
def test_fields_named_like_secrets_are_hidden_at_any_depth(configure: Configure, lines: Lines, name: str) -> None:
    configure()
    structlog.get_logger("desk").warning("a", **{name: "unknown", "nested": [{name: "unknown"}]})
    (line,) = lines()
    assert line[name] == "***"
    assert line["nested"] == [{name: "***"}]


@pytest.mark.parametrize(
    "text",
    [
        "xVLyHw.A1b2C3:Zm9vYmFyYmF6cXV4cXV1eA",
        "connect to wss://h/?key=HIDE-ME&v=3",
        "redis://:HIDE-ME@cache:6379/0",
        "postgresql+psycopg2://user:HIDE-ME@db/x",
        "{'Authorization': 'Bearer HIDE-ME'}",
        "{'x-api-key': 'HIDE-ME'}",
        r"{\"x-api-key\": \"HIDE-ME\"}",
        "[(b'x-api-key', b'HIDE-ME')]",
        "ALLOCATIONS_API_KEY=HIDE-ME",
    ],
)
def test_what_looks_like_a_secret_is_hidden(text: str) -> None:
    redacted = redactor([])(text)
    assert "HIDE-ME" not in redacted
    assert "Zm9v" not in redacted
    assert "***" in redacted


@pytest.mark.parametrize(
    "text",
    [
        "DU1000001:rebalance",
        "2026-11-21T08:13:34.281550Z",
        "postgresql+psycopg2://postgres@localhost/rebalancer",
        "http://127.0.0.1:8000/queue/events?limit=100",
        "https://h:8443/path/a@b",
        "basic cover of 12 shares at 41.37",
    ],
)
def test_ordinary_text_is_left_alone(text: str) -> None:
    assert redactor([])(text) == text


MEGABYTE = 1_000_000
UNITS = [
    *("a-", "a", "-", "_", "a.", "a-a.", "aaaaa.", "aaaaa.aaaaa:", ":", ".", "@", " ", '"', "'", "\\\\"),
    *("://", "://:", "://a:", "://a:a", "//", "bearer ", "Bearer ", "Bearer", "Basic ", "?key=", "&token=", "?"),
    *(
        "api_key",
        "api_key=",
        "api_key'",
        "api_key ",
        "api_key=b",
        "api-key\\\\'",
        "api_key,",
        "rbk_",
        "rbk_a-",
        "\u017f",
    ),
]
BEGINNINGS = ("", "Bearer ", "api_key", "api_key=", "://a:", "?key=", "rbk_", "aaaaa.aaaaa:")


@pytest.mark.parametrize("unit", UNITS)
def test_a_megabyte_of_anything_is_looked_through_at_once(unit: str) -> None:
    """What an access log quotes is anybody's choice: `GET /a-a-a-...` once took a minute."""
    redact = redactor(["0123456789abcdef", "a-a-a-a-a-a-a-b", "aaaaaaaaaaaaaaaab"])
    for beginning in BEGINNINGS:
        length = MEGABYTE if beginning == "" else MEGABYTE // 4
        text = beginning + (unit * length)[:length]
        began = time.process_time()
        redact(text)
        assert time.process_time() - began < 2 * length / MEGABYTE, beginning


@given(
    secret=st.text("0123456789abcdefghijklmnopqrstuvwxyz_", min_size=16, max_size=60),
    before=st.text('ab.:/@"= -', max_size=40),
    after=st.sampled_from(["", " ", "'", '"', "&x=1", ")", "}", "\\"]),
)
def test_every_shape_is_hidden_wherever_it_stands(secret: str, before: str, after: str) -> None:
    redact = redactor([])
    for shape in (
        f"{before} abcdef.ghijkl:{secret}{after}",
        f"{before}://user:{secret}@host",
        f"{before} Bearer {secret}{after}",
        f"{before} Basic {secret}{after}",
        f"{before}?key={secret}{after}",
        f"{before}&access_token={secret}{after}",
        f"{before}api_key={secret}{after}",
        f"{before}x-api-key': b'{secret}{after}",
        f"{before} rbk_{secret}{secret}{after}",
    ):
        assert secret not in redact(shape), shape


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_a_long_value_is_cut_and_a_secret_across_the_cut_is_not(
    configure: Configure, capsys: pytest.CaptureFixture[str], log_format: str
) -> None:
    configure(log_format=log_format)
    for place in range(LONGEST_VALUE - 30, LONGEST_VALUE + 10, 5):
        structlog.get_logger("desk").warning("x", note="." * place + SECRET + "." * MEGABYTE)
        logging.getLogger("other").warning("%s", "." * place + SECRET + "." * MEGABYTE)
    written = capsys.readouterr().err
    assert len(written) < 20 * 2 * LONGEST_VALUE * 2
    assert "characters more" in written
    assert [part for part in (SECRET, SECRET[:5], json.dumps(SECRET)[1:8]) if part in written] == []


def test_a_long_line_is_told_by_its_beginning(configure: Configure, lines: Lines) -> None:
    configure()
    structlog.get_logger("desk").warning("wide", **{f"field{number}": "y" * 10_000 for number in range(100)})
    (line,) = lines()
    assert line["event"] == "log_line_too_long"
    assert '"event": "wide"' in line["beginning"]


@given(secret=st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=6), around=st.text())
def test_any_secret_is_hidden_in_any_text(secret: str, around: str) -> None:
    redacted = redactor([secret])(f"{around} {secret} {around}")
    assert secret not in redacted.replace("***", "")


def test_a_secret_within_another_one_does_not_betray_the_rest() -> None:
    assert redactor(["abcdef", "abcdef-ghijkl"])("x abcdef-ghijkl y abcdef z") == "x *** y *** z"
