"""The bytes of a table: from a file of this machine, or from a server, over as many redirects as publishers use."""

from __future__ import annotations

import hashlib
import hmac
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from rebalancer import http_get
from rebalancer.config.clear_text import is_here
from rebalancer.domain.errors import AllocationsUnavailable, Refused
from rebalancer.domain.rule_names import Rule
from rebalancer.domain.sources import SETTLED_S, Form, Source, SourceKind
from rebalancer.http_get import LARGEST_ANSWER, Answer, Unanswered

MOST_REDIRECTS = 5
OK, NOT_MODIFIED = 200, 304
_FORMS = {"csv": Form.CSV, "tsv": Form.CSV, "json": Form.JSON, "yaml": Form.YAML, "yml": Form.YAML}
_KINDS = {"json": Form.JSON, "yaml": Form.YAML, "csv": Form.CSV, "tab-separated-values": Form.CSV}
_VALIDATORS = {"etag": "if-none-match", "last-modified": "if-modified-since"}
"""What a server says of a version, and how one asks whether it still is the newest."""


@dataclass(frozen=True, slots=True)
class Document:
    """What was read.

    Attributes:
        form: as the name or the server says.
        validators: what the server said of this version, by header.
    """

    body: bytes
    form: Form | None
    validators: Mapping[str, str] = field(default_factory=dict)


def fetch(source: Source, secret: str | None, timeout_s: float) -> Document:
    """Read a table, and check its signature where one is asked for.

    Args:
        secret: of the signature.

    Raises:
        AllocationsUnavailable: it cannot be read; worth a retry.
        Refused: ``allocations_signature``.
    """
    document = fetch_if_newer(source, secret, timeout_s, {})
    if document is None:
        raise unavailable(source, "its server says that nothing has changed, and was not asked that")
    return document


def fetch_if_newer(source: Source, secret: str | None, timeout_s: float, known: Mapping[str, str]) -> Document | None:
    """The same, unless its server says that the version with these validators still is the newest."""
    _check_terms(source, secret)
    if source.kind is SourceKind.FILE:
        document, given = _file(source)
    else:
        answer = _answer(source, timeout_s, known)
        if answer.status == NOT_MODIFIED:
            return None
        document = _document(source, answer)
        given = answer.headers.get(source.signature or "")
    if source.signature is not None:
        _check_signature(source, document.body, given, secret or "")
    return document


def unavailable(source: Source, reason: str) -> AllocationsUnavailable:
    """The table cannot be read."""
    return AllocationsUnavailable(f"targets of {source.strategy} from {source.shown}: {reason}")


def _file(source: Source) -> tuple[Document, str | None]:
    path = Path(source.place)
    body = _settled(source, path)
    signature = None
    if source.signature is not None:
        signature = _settled(source, Path(source.signature)).decode("ascii", errors="replace")
    return Document(body, _form_of(path.name)), signature


def _form_of(name: str) -> Form | None:
    """As the end of a name says."""
    return _FORMS.get(Path(name).suffix.lower().removeprefix("."))


def _settled(source: Source, path: Path) -> bytes:
    """A file that nobody is writing: a part of a table may look like a whole one."""
    try:
        with path.open("rb") as file:
            before = os.fstat(file.fileno())
            body = file.read(LARGEST_ANSWER + 1)
        after = path.stat()
    except OSError as unreadable:
        raise unavailable(source, f"{path.name} cannot be read: {unreadable.strerror}") from unreadable
    if 0 <= time.time() - before.st_mtime < SETTLED_S or (before.st_mtime_ns, before.st_size) != (
        after.st_mtime_ns,
        after.st_size,
    ):
        raise unavailable(source, f"{path.name} was written to a moment ago")
    if len(body) > LARGEST_ANSWER:
        raise unavailable(source, f"{path.name} is longer than {LARGEST_ANSWER} bytes")
    return body


def _answer(source: Source, timeout_s: float, known: Mapping[str, str]) -> Answer:
    url = source.place
    headers = {"accept": "text/csv, application/json, text/plain, */*;q=0.5", "accept-encoding": "identity"}
    headers |= {_VALIDATORS[name]: value for name, value in known.items() if name in _VALIDATORS}
    for _ in range(MOST_REDIRECTS + 1):
        try:
            answer = http_get.get(url, headers, timeout_s)
        except Unanswered as why:
            raise unavailable(source, str(why)) from None
        if answer.status in (OK, NOT_MODIFIED):
            return answer
        if answer.location is None:
            raise unavailable(source, f"HTTP {answer.status}")
        _check_redirect(source, url, answer.location)
        url = answer.location
    raise unavailable(source, f"more than {MOST_REDIRECTS} redirects")


def _check_redirect(source: Source, here: str, there: str) -> None:
    """Nobody may send us from the open into this machine, or into clear text."""
    one, other = urlsplit(here), urlsplit(there)
    at_home = is_here(one.hostname or "")
    if is_here(other.hostname or "") and not at_home:
        raise unavailable(source, "redirected into this machine")
    if other.scheme != "https" and not (other.scheme == "http" and at_home and is_here(other.hostname or "")):
        raise unavailable(source, f"redirected to {other.hostname} in clear text")


def _document(source: Source, answer: Answer) -> Document:
    kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    told = next((form for end, form in _KINDS.items() if kind.endswith(end)), None)
    form = told or _form_of(urlsplit(source.place).path)
    validators = {name: answer.headers[name] for name in _VALIDATORS if name in answer.headers}
    return Document(answer.body, form, validators)


def _check_terms(source: Source, secret: str | None) -> None:
    if source.signature is not None and secret is None:
        raise _unsigned(f"SOURCE_SECRETS has no secret of {source.strategy}, whose table is to be signed")
    if source.signature is None and secret is not None:
        raise _unsigned(f"SOURCE_SECRETS has a secret of {source.strategy}, and its source names no signature")


def _check_signature(source: Source, body: bytes, given: str | None, secret: str) -> None:
    if not given or not given.strip():
        raise _unsigned(f"the table of {source.strategy} has no signature")
    expected = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    found = given.strip().lower().removeprefix("sha256=").split()[0:1]
    if not found or not hmac.compare_digest(found[0].encode(), expected.encode()):
        raise _unsigned(f"the signature of the table of {source.strategy} is wrong")


def _unsigned(reason: str) -> Refused:
    return Refused(Rule.ALLOCATIONS_SIGNATURE, reason)
