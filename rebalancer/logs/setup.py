"""Structured logs: constant event names with fields, context bound once per run, no secrets.

Both structlog's and the standard library's loggers end in one handler on standard error, so that the last step, which
takes the secrets out of the finished line, sees whatever anybody logs: also tracebacks and other people's libraries.
"""

from __future__ import annotations

import base64
import json
import logging
import re
import sys
from collections.abc import Callable, Iterable
from urllib.parse import quote, quote_plus

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from rebalancer.config.log_settings import LogSettings
from rebalancer.logs.context import add_serving, add_task, drop_duplicates, put_first

HIDDEN = "***"
# Libraries that narrate every request or order, or whose debug lines show headers.
QUIET = ("ably", "httpx", "httpcore", "ib_async", "websockets", "urllib3", "asyncio")
# Libraries that come with handlers of their own, whose lines would be in another form and pass the last step by.
OWN_HANDLERS = ("uvicorn", "uvicorn.access", "uvicorn.error")
SECRET_FIELD = re.compile(r"(api|access|private)[_-]?key|token|secret|passw|authorization|cookie", re.IGNORECASE)
# What gives a secret away even where its value is not known: Ably keys, credentials in URLs, queries and headers, and
# the keys that we make. Whoever can reach us chooses these texts, so no shape is tried twice over the same characters:
# each begins at the start of a word and its quantifiers give nothing back (`++`).
SECRET_SHAPES = (
    (re.compile(r"(?<![\w-])[\w-]{5,}+\.[\w-]{5,}+:[\w-]{16,}+"), HIDDEN),
    (re.compile(r"(://[^\s/@:\"']*+:)[^\s/@\"']++@"), rf"\1{HIDDEN}@"),
    (re.compile(r"\b([Bb]earer\s++)[^\s\"'\\]++"), rf"\1{HIDDEN}"),
    (re.compile(r"\b(Basic\s++)[\w+/=-]{16,}+"), rf"\1{HIDDEN}"),
    (re.compile(r"([?&](?:key|access_?token|token)=)[^&\s\"']++", re.IGNORECASE), rf"\1{HIDDEN}"),
    (
        re.compile(r"(api[_-]?key[\\\"']*+\s*+[:=,]\s*+(?:b(?=[\\\"']))?[\\\"']*+)[^\s\"'\\,)}]++", re.IGNORECASE),
        rf"\1{HIDDEN}",
    ),
    (re.compile(r"\brb[kls]_[\w-]{20,}+"), HIDDEN),
)
LONGEST_VALUE = 16_384
"""Characters of one value that are logged; whatever comes after them is counted."""
LONGEST_LINE = 131_072
"""Characters of one line; a line beyond that is told by its beginning."""
OVERLAP = 4_096
"""Characters that are read beyond a cut and not shown: a secret that lies across it is whole when it is looked for."""

Redactor = Callable[[str], str]


def configure_logging(settings: LogSettings, secrets: Iterable[str]) -> None:
    """Set up logging for this process; calling it again replaces what the first call did.

    Args:
        secrets: what is never logged.
    """
    redact = redactor(secrets)
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        drop_duplicates,
        add_task,
        add_serving,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        hide_secret_fields,
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = _Handler(redact)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_rendering(settings.log_format, redact),
                _last_step(redact),
            ],
        )
    )
    root = logging.getLogger()
    for earlier in [item for item in root.handlers if isinstance(item, _Handler)]:
        root.removeHandler(earlier)
    root.addHandler(handler)
    level = logging.getLevelNamesMapping()[settings.log_level]
    root.setLevel(level)
    for name in QUIET:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
    for name in OWN_HANDLERS:
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True


def redactor(secrets: Iterable[str]) -> Redactor:
    """A function that hides the given secrets, and what looks like one, in any text.

    Secrets are also found as JSON, URLs, ``repr`` and base64 write them.
    """
    spellings = {spelling for secret in secrets if secret for spelling in _spellings(secret)}
    # Longest first: a secret may be part of another one.
    alternatives = "|".join(re.escape(spelling) for spelling in sorted(spellings, key=len, reverse=True))
    known = re.compile(alternatives) if alternatives else None

    def redact(text: str) -> str:
        if known is not None:
            text = known.sub(HIDDEN, text)
        for shape, replacement in SECRET_SHAPES:
            text = shape.sub(replacement, text)
        return text

    return redact


def shortened(text: str, longest: int, redact: Redactor) -> str:
    """The text, or its beginning without secrets and how much is left out."""
    if len(text) <= longest:
        return text
    beginning = redact(text[: longest + OVERLAP])
    if not beginning.endswith(HIDDEN):
        beginning = beginning[:-OVERLAP]
    return f"{beginning[:longest]}... ({len(text) - longest} characters more)"


def hide_secret_fields(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Replace the value of every field that is named like a secret, at any depth."""
    return {name: HIDDEN if SECRET_FIELD.search(name) else _hidden(value) for name, value in event.items()}


def _hidden(value: object) -> object:
    if isinstance(value, dict):
        return {key: HIDDEN if SECRET_FIELD.search(str(key)) else _hidden(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_hidden(item) for item in value]
    return value


def _spellings(secret: str) -> set[str]:
    encoded = base64.b64encode(secret.encode()).decode()
    plain = {secret, repr(secret)[1:-1], quote(secret, safe=""), quote_plus(secret), encoded, encoded.rstrip("=")}
    inside_json = {json.dumps(spelling)[1:-1] for spelling in plain}
    return plain | inside_json | {json.dumps(spelling)[1:-1] for spelling in inside_json}


def _rendering(log_format: str, redact: Redactor) -> list[Processor]:
    if log_format == "console":
        # The other formatters print local variables, broken over lines in which no secret is found any more.
        plain = structlog.dev.plain_traceback
        colors = sys.stderr.isatty()
        return [_short_values(redact), structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=plain)]
    return [
        structlog.processors.format_exc_info,
        _short_values(redact),
        put_first,
        structlog.processors.JSONRenderer(default=str, ensure_ascii=False),
    ]


def _short_values(redact: Redactor) -> Processor:
    """The processor before rendering: no value is longer than :data:`LONGEST_VALUE`."""

    def short(value: object) -> object:
        if isinstance(value, str):
            return shortened(value, LONGEST_VALUE, redact)
        if isinstance(value, dict):
            return {key: short(item) for key, item in value.items()}
        return [short(item) for item in value] if isinstance(value, list) else value

    def processor(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        return {name: short(value) for name, value in event.items()}

    return processor


def _last_step(redact: Redactor) -> Processor:
    """The processor after rendering; what it gets is the finished line."""

    def processor(_logger: WrappedLogger, _method: str, line: EventDict) -> str:
        text = str(line)
        if len(text) <= LONGEST_LINE:
            return redact(text)
        beginning = shortened(text, LONGEST_VALUE, redact)
        return json.dumps(
            {"event": "log_line_too_long", "level": "warning", "beginning": beginning}, ensure_ascii=False
        )

    return processor


class _Handler(logging.StreamHandler):  # type: ignore[type-arg]  # generic in the stubs only
    """Writes to standard error; a record that cannot be formatted is reported without its arguments."""

    def __init__(self, redact: Redactor) -> None:
        super().__init__(sys.stderr)
        self._redact = redact

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - overrides logging's name
        error = sys.exception()
        if isinstance(error, OSError):  # standard error itself is gone: there is nobody left to tell
            return
        fields = {"event": "log_record_unprintable", "level": "error", "logger": record.name, "error": repr(error)}
        self.stream.write(self._redact(json.dumps(fields)) + self.terminator)
