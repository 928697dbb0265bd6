"""docs/log-events.md has every event that the program logs, with its levels and fields as they are in the code."""

from __future__ import annotations

import pytest

from rebalancer.logs.context import FIRST
from tests.tools.log_events import TARGET, LogCall, Unreadable, document, log_calls, without_meaning

BEGINNING = "import structlog\nlog = structlog.get_logger()\n"


def test_the_committed_catalogue_is_current() -> None:
    text = TARGET.read_text(encoding="utf-8")
    assert text == document(text), "run: python -m tests.tools.log_events"


def test_every_event_has_a_meaning() -> None:
    assert without_meaning(TARGET.read_text(encoding="utf-8")) == []


def test_what_begins_every_line_is_explained() -> None:
    introduction = TARGET.read_text(encoding="utf-8").split("| event |")[0]
    assert [name for name in FIRST if f"`{name}`" not in introduction] == []


def test_a_new_event_would_be_asked_for_its_meaning() -> None:
    head = "| event | level | fields | meaning |\n|---|---|---|---|\n"
    assert "halted" in without_meaning(document(head))


@pytest.mark.parametrize(
    ("code", "call"),
    [
        ('log.info("begun", symbol="VXX")', LogCall("begun", ("info",), ("symbol",))),
        ('log.exception("failed", exc_info=True)', LogCall("failed", ("exception",), ())),
        ('(log.info if fine else log.error)("ended")', LogCall("ended", ("info", "error"), ())),
        ('write = log.info if fine else log.error\nwrite("ended")', LogCall("ended", ("info", "error"), ())),
        ('own = log.bind(name="a")\nown.info("ended", code=1)', LogCall("ended", ("info",), ("name", "code"))),
        ('fields = {"event": "cut", "level": "warning", "size": 3}', LogCall("cut", ("warning",), ("size",))),
    ],
)
def test_every_way_of_logging_is_read(code: str, call: LogCall) -> None:
    assert log_calls(BEGINNING + code) == [call]


@pytest.mark.parametrize(
    "code",
    [
        "log.info(name)",
        'log.info(f"{name} ended")',
        'log.info("%s", name)',
        'log.info("ended", **fields)',
        "tell(log)",
        'structlog.get_logger().info("ended")',
        "from structlog import get_logger",
    ],
)
def test_what_cannot_be_read_is_never_passed_over(code: str) -> None:
    with pytest.raises(Unreadable):
        log_calls(BEGINNING + code)
