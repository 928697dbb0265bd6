"""NUL, lone surrogates and numbers that JSON does not know, wherever others' words are put on record."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from rebalancer.domain.claims import Claim
from rebalancer.domain.commands import Command
from rebalancer.domain.notices import NoticeKind
from rebalancer.ledger import events, outbox, ownership, signal_intake
from rebalancer.ledger.models import Event, Signal
from rebalancer.ledger.session import Ledger
from rebalancer.ledger.signal_intake import Addressee, NewSignal
from rebalancer.ledger.storable_text import clean, to_json

BROKEN = "HTTP 500: \0 and \ud800"
KEPT = "HTTP 500: \ufffd and \ufffd"


def claimed(ledger: Ledger, payload: Any = None) -> Claim:
    with ledger.begin() as session:
        signal = NewSignal("blend", uuid4().hex, Command.REBALANCE, {"raw": payload})
        event_id = signal_intake.record(session, signal, [Addressee("DU1", "blend")]).served[0].event_id
    claim = ownership.claim(ledger, event_id, "w", timedelta(seconds=60))
    assert claim is not None
    return claim


def test_an_error_of_a_run_is_recorded_whatever_it_says(ledger: Ledger) -> None:
    claim = claimed(ledger)
    with ledger.begin() as session:
        assert events.fail(session, claim, BROKEN, timedelta(seconds=1)) == "retrying"
    with ledger.begin() as session:
        assert session.get_one(Event, claim.event_id).last_error == KEPT


def test_a_result_and_a_notice_keep_what_can_be_kept(ledger: Ledger) -> None:
    claim = claimed(ledger, BROKEN)
    with ledger.begin() as session:
        events.succeed(session, claim, {"said": [BROKEN, float("nan"), 10**2000], BROKEN: 1})
        outbox.tell(session, NoticeKind.ATTENTION, "DU1", None, command="rebalance", error=BROKEN, failures=3)
        assert session.query(Signal).one().payload == {"raw": KEPT}
    with ledger.begin() as session:
        newest = outbox.newest_of(session, NoticeKind.ATTENTION)
        assert newest is not None
        assert newest.detail["error"] == KEPT


@pytest.mark.parametrize("value", ["plain", "größer 漢字 😀", {"a": ["b", 1, None, True, 1.5]}, (1, "x"), b"\0", 3])
def test_what_can_be_stored_stays_as_it_is(value: Any) -> None:
    assert clean(value) == value
    assert type(clean(value)) is type(value)


def test_json_is_what_it_would_be() -> None:
    assert to_json({"a": ["😀", 1, None, True, 1.5]}) == '{"a": ["\\ud83d\\ude00", 1, null, true, 1.5]}'
