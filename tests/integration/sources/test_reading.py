"""Files and servers as they are: signatures, versions, redirects, silence, and answers that break off."""

from __future__ import annotations

import hashlib
import hmac
import os
import time

import pytest

from rebalancer.domain.errors import AllocationsUnavailable, Refused
from rebalancer.domain.sources import Source, SourceKind
from rebalancer.ledger.sources import Found
from rebalancer.sources.fetching import _check_redirect
from rebalancer.sources.reading import Reading, read, read_if_newer
from tests.integration.sources.conftest import AFTER, BEFORE, SECRET, Desk


def reading(desk: Desk, known: dict[str, str] | None = None) -> Reading:
    return read_if_newer(desk.source, desk.settings.signals, known or {})


def symbols(desk: Desk) -> set[str]:
    return {entry.symbol for entry in read(desk.source, desk.settings.signals).weights}


def signature(text: str) -> str:
    return hmac.new(SECRET.encode(), text.encode(), hashlib.sha256).hexdigest()


def signed(desk: Desk, **options: str) -> None:
    """The watch knows the secret."""
    desk.settings = desk.settings.changed(source_secrets=f"mine={SECRET}", **options)


def test_whoever_has_the_newest_version_gets_no_other(desk: Desk) -> None:
    first = reading(desk)
    assert first.validators["etag"]
    assert reading(desk, dict(first.validators)).targets is None
    desk.publish(AFTER)
    assert reading(desk, dict(first.validators)).targets is not None
    desk.publish(BEFORE, tagged=False, modified="Fri, 20 Nov 2026 16:00:00 GMT")
    dated = reading(desk)
    assert [*dated.validators] == ["last-modified"]
    assert reading(desk, dict(dated.validators)).targets is None


def test_a_server_that_is_not_asked_and_says_that_nothing_has_changed_says_nothing(desk: Desk) -> None:
    desk.publish("", status=304)
    with pytest.raises(AllocationsUnavailable, match="was not asked that"):
        symbols(desk)


def test_the_end_of_a_url_says_how_it_is_written_where_its_server_does_not(desk: Desk) -> None:
    desk.server.publish_document("a.yaml", "SPY: 60%\nAGG: 40%\n", content_type="text/plain")
    desk.configure(f"{{url: '{desk.server.url}/documents/a.yaml?raw=true'}}")
    assert symbols(desk) == {"SPY", "AGG"}


def test_a_watch_asks_for_what_has_changed_only(desk: Desk) -> None:
    desk.look()
    assert desk.look() is Found.UNCHANGED
    desk.publish("")
    assert desk.look() is Found.REFUSED
    assert desk.known.validators == {}


def test_what_decides_how_it_is_read_asks_for_it_anew(desk: Desk) -> None:
    desk.look()
    desk.configure(f"{{url: '{desk.server.url}/documents/mine', weights: fraction}}")
    assert desk.look() is Found.REFUSED


def test_redirects_of_publishers_are_followed(desk: Desk) -> None:
    for name, onward in (("mine", "two"), ("two", "three")):
        desk.server.publish_document(name, "", status=307, headers={"Location": f"/documents/{onward}"}, tagged=False)
    desk.server.publish_document("three", BEFORE)
    assert symbols(desk) == {"SPY", "AGG"}
    desk.server.publish_document("two", "", status=302, headers={"Location": "/documents/mine"}, tagged=False)
    with pytest.raises(AllocationsUnavailable, match="more than 5 redirects"):
        reading(desk)
    desk.server.publish_document("mine", "", status=302, headers={"Location": "http://example.org/"}, tagged=False)
    with pytest.raises(AllocationsUnavailable, match=r"redirected to example\.org in clear text"):
        reading(desk)


@pytest.mark.parametrize(
    ("there", "reason"),
    [
        ("https://localhost/a", "into this machine"),
        ("https://127.0.0.1:9/a", "into this machine"),
        ("https://[::1]/a", "into this machine"),
        ("http://example.net/a", "in clear text"),
        ("file:///etc/passwd", "into this machine"),
    ],
)
def test_nobody_redirects_us_into_this_machine_or_into_clear_text(there: str, reason: str) -> None:
    source = Source("mine", SourceKind.URL, "https://example.org/a")
    with pytest.raises(AllocationsUnavailable, match=reason):
        _check_redirect(source, source.place, there)
    _check_redirect(source, source.place, "https://example.net/b")


def test_answers_that_cannot_be_used_are_worth_another_try(desk: Desk) -> None:
    desk.publish(BEFORE, cut_to=20)
    with pytest.raises(AllocationsUnavailable, match=r"mine from 127\.0\.0\.1"):
        reading(desk)
    desk.publish(BEFORE, status=500)
    with pytest.raises(AllocationsUnavailable, match="HTTP 500"):
        reading(desk)
    desk.publish(BEFORE * 60_000)
    with pytest.raises(AllocationsUnavailable, match="longer than 1000000 bytes"):
        reading(desk)
    desk.settings = desk.settings.changed(allocations_timeout_s=0.2)
    desk.publish(BEFORE, delay_s=5)
    with pytest.raises(AllocationsUnavailable, match=r"no answer within 0\.2 s"):
        reading(desk)
    desk.server.stop()
    with pytest.raises(AllocationsUnavailable, match="ConnectError"):
        reading(desk)


def test_what_the_path_of_a_url_says_is_shown_to_nobody(desk: Desk) -> None:
    desk.configure(f"{{url: '{desk.server.url}/documents/a-path-that-is-a-key'}}")
    with pytest.raises(AllocationsUnavailable) as refused:
        reading(desk)
    assert "a-path-that-is-a-key" not in str(refused.value)


def test_a_file_is_read_when_nobody_writes_to_it(desk: Desk) -> None:
    desk.configure("{file: targets.csv}")
    with pytest.raises(AllocationsUnavailable, match=r"targets\.csv cannot be read: No such file"):
        reading(desk)
    path = desk.write(BEFORE)
    assert symbols(desk) == {"SPY", "AGG"}
    os.utime(path, (time.time(), time.time()))
    with pytest.raises(AllocationsUnavailable, match="written to a moment ago"):
        reading(desk)
    desk.write(BEFORE * 60_000)
    with pytest.raises(AllocationsUnavailable, match="longer than 1000000 bytes"):
        reading(desk)


def test_the_name_of_a_file_says_how_it_is_written(desk: Desk) -> None:
    for name, text in (
        ("a.json", '{"SPY": 1}'),
        ("a.yaml", "SPY: 1"),
        ("a.tsv", "Symbol\tWeight\nSPY\t1"),
        ("a", '{"SPY": 1}'),
    ):
        desk.configure(f"{{file: {name}}}")
        desk.write(text, name)
        assert symbols(desk) == {"SPY"}


def test_a_signature_in_a_header_is_held_against_the_body(desk: Desk) -> None:
    desk.configure(f"{{url: '{desk.server.url}/documents/mine', signature: X-Signature}}")
    with pytest.raises(Refused, match="allocations_signature: SOURCE_SECRETS has no secret of mine"):
        reading(desk)
    signed(desk)
    with pytest.raises(Refused, match="has no signature"):
        reading(desk)
    for good in (signature(BEFORE), f"sha256={signature(BEFORE).upper()}"):
        desk.publish(BEFORE, headers={"X-Signature": good})
        assert symbols(desk) == {"SPY", "AGG"}
    for wrong in (signature(AFTER), "sha256=", "no-hex", "\N{LATIN SMALL LETTER E WITH ACUTE}"):
        desk.publish(BEFORE, headers={"X-Signature": wrong})
        with pytest.raises(Refused, match="allocations_signature"):
            reading(desk)
    assert desk.look() is Found.REFUSED


def test_a_signature_in_a_file_is_held_against_the_other_file(desk: Desk) -> None:
    desk.configure("{file: targets.csv, signature: targets.csv.sig}")
    signed(desk)
    desk.write(BEFORE)
    with pytest.raises(AllocationsUnavailable, match=r"targets\.csv\.sig cannot be read"):
        reading(desk)
    desk.write(f"{signature(BEFORE)}  targets.csv\n", "targets.csv.sig")
    assert symbols(desk) == {"SPY", "AGG"}
    desk.write(AFTER)
    with pytest.raises(Refused, match="the signature of the table of mine is wrong"):
        reading(desk)


def test_a_secret_without_a_signature_is_a_contradiction(desk: Desk) -> None:
    signed(desk)
    with pytest.raises(Refused, match="its source names no signature"):
        reading(desk)
