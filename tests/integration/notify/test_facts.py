"""Which changes are told of: with the change itself, and once."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from rebalancer.domain.approvals import Question
from rebalancer.domain.claims import Claim
from rebalancer.domain.commands import Command
from rebalancer.domain.notices import Delivery, NoticeKind
from rebalancer.domain.outcomes import FOREVER
from rebalancer.domain.rule_names import Rule
from rebalancer.ledger import approvals, channel_log, events, halts, outbox, ownership, signal_intake
from rebalancer.ledger.admin import retention
from rebalancer.ledger.channel_log import Arrival, CaughtUp
from rebalancer.ledger.session import Ledger, Session
from rebalancer.ledger.signal_intake import Addressee, NewSignal
from rebalancer.risk import Blocked, clock_skew

NOW = datetime.now(UTC)
MINUTE = timedelta(minutes=1)
LEASE = timedelta(minutes=5)


def told(ledger: Ledger) -> list[NoticeKind]:
    with ledger.begin() as session:
        return [one.notice.kind for one in outbox.recent(session, 100)][::-1]


def details(ledger: Ledger) -> list[dict[str, object]]:
    with ledger.begin() as session:
        return [dict(one.notice.detail) for one in outbox.recent(session, 100)][::-1]


def claimed(ledger: Ledger, command: Command = Command.REBALANCE) -> Claim:
    """A running event; the same one again, once it is due."""
    with ledger.begin() as session:
        signal = NewSignal("blend", f"m{datetime.now(UTC)}", command, {})
        event_id = signal_intake.record(session, signal, [Addressee("DU1", "blend")]).served[0].event_id
        session.execute(text("UPDATE events SET due_at = now() WHERE id = :id"), {"id": event_id})
    claim = ownership.claim(ledger, event_id, "w/1/1", LEASE)
    assert claim is not None
    return claim


def write(ledger: Ledger, *items: channel_log.Item) -> None:
    with ledger.begin() as session:
        channel_log.write(session, items, {"blend": [Addressee("DU1", "blend")]})


def fail(ledger: Ledger, claim: Claim, *, needs_attention: bool = False) -> None:
    with ledger.begin() as session:
        events.fail(session, claim, "Refused: no", MINUTE, refused=True, needs_attention=needs_attention)


def test_a_failing_event_is_told_of_when_it_fails_first_when_it_needs_somebody_and_when_it_is_over(
    ledger: Ledger,
) -> None:
    for needs_attention in (False, False, True, True, True):
        fail(ledger, claimed(ledger), needs_attention=needs_attention)
    claim = claimed(ledger)
    with ledger.begin() as session:
        events.succeed(session, claim, {})
    claim = claimed(ledger)
    with ledger.begin() as session:
        events.succeed(session, claim, {})
    assert told(ledger) == [NoticeKind.FAILING, NoticeKind.ATTENTION, NoticeKind.RECOVERED, NoticeKind.REBALANCED]
    assert details(ledger)[1] == {"command": "rebalance", "error": "Refused: no", "failures": 3}


def test_of_commands_that_look_only_trouble_is_told(ledger: Ledger) -> None:
    for needs_attention in (False, True):
        fail(ledger, claimed(ledger, Command.PRINT_EQUITY), needs_attention=needs_attention)
    for _ in range(2):
        claim = claimed(ledger, Command.PRINT_EQUITY)
        with ledger.begin() as session:
            events.succeed(session, claim, {})
    assert told(ledger) == [NoticeKind.ATTENTION, NoticeKind.RECOVERED]
    assert "trades" not in details(ledger)[1]


def test_a_change_that_is_not_made_is_not_told_of(ledger: Ledger) -> None:
    claim = claimed(ledger)
    with suppress(RuntimeError), ledger.begin() as session:
        events.fail(session, claim, "Refused: no", MINUTE, needs_attention=True)
        raise RuntimeError
    assert told(ledger) == []


def test_workers_that_keep_dying_are_told_of_once(ledger: Ledger) -> None:
    for _ in range(5):
        claimed(ledger)
        with ledger.begin() as session:
            events.reap(session, MINUTE, MINUTE, {"w/1/1"})
    assert told(ledger) == [NoticeKind.ATTENTION]
    assert details(ledger) == [{"command": "rebalance", "crashes": 3}]


@pytest.mark.parametrize(
    ("rule", "reasons", "expected"),
    [
        (Rule.MARKET_HOURS, ("closed", "closed", "closed on Monday"), [NoticeKind.HELD, NoticeKind.HELD]),
        (Rule.APPROVAL, ("needs approval: y",), []),
        (Rule.PACE, ("needs approval: of nobody",), [NoticeKind.HELD]),
    ],
)
def test_a_wait_is_told_once_per_reason(
    ledger: Ledger, rule: Rule, reasons: tuple[str, ...], expected: list[NoticeKind]
) -> None:
    for reason in reasons:
        claim = claimed(ledger)
        with ledger.begin() as session:
            events.hold(session, claim, Blocked(rule, reason, FOREVER))
    assert told(ledger) == expected


def test_clocks_that_stay_apart_are_told_once_whatever_they_show(ledger: Ledger) -> None:
    waits = [clock_skew.apart(timedelta(hours=3), NOW + later, LEASE) for later in (timedelta(), MINUTE)]
    first, second = (blocked for blocked in waits if blocked is not None)
    assert first.reason != second.reason
    for blocked in (first, second):
        claim = claimed(ledger)
        with ledger.begin() as session:
            events.hold(session, claim, blocked)
    assert told(ledger) == [NoticeKind.HELD]


def test_a_question_is_told_with_its_size_and_its_end(ledger: Ledger) -> None:
    claim = claimed(ledger)
    question = Question(("why",), {"SPY": 30, "TLT": -20}, {"equity": "100"}, NOW, NOW)  # type: ignore[dict-item]
    with ledger.begin() as session:
        approvals.ask(session, claim, question)
    [detail] = details(ledger)
    assert (detail["orders"], detail["turnover"], detail["silent_at"]) == (2, "0.5", NOW.isoformat())


def _halt(session: Session) -> None:
    for _ in range(2):
        halts.halt(session, "all", "travelling", "ann")
        halts.halt(session, "DU1", "wary", "ann")
    for _ in range(2):
        halts.resume(session, "DU1", "ann")


def _remove(session: Session) -> None:
    signal = NewSignal("blend", "m", Command.REBALANCE, {})
    event_id = signal_intake.record(session, signal, [Addressee("DU1", "blend")]).served[0].event_id
    for _ in range(2):
        events.remove(session, event_id, "enough")


@pytest.mark.parametrize(
    ("change", "expected"),
    [(_halt, [NoticeKind.HALTED, NoticeKind.HALTED, NoticeKind.RESUMED]), (_remove, [NoticeKind.REMOVED])],
)
def test_what_a_person_does_is_told_once(
    ledger: Ledger, change: Callable[[Session], None], expected: list[NoticeKind]
) -> None:
    with ledger.begin() as session:
        change(session)
    assert told(ledger) == expected


def test_signals_that_were_not_followed_to_the_letter_are_told_of_once(ledger: Ledger) -> None:
    literal = Arrival("blend", "m1", NOW, Command.REBALANCE, {"exec": "rebalance"}, None)
    late = Arrival("blend", "m2", NOW, Command.PRINT_REBALANCE, {}, "asked for rebalance, but was 30.0 h old")
    unreadable = Arrival("blend", "m3", NOW, None, "?", "data is not json")
    for _ in range(2):
        write(ledger, literal, late, unreadable)
    assert told(ledger) == [NoticeKind.DRY_RUN, NoticeKind.QUARANTINED]


def test_a_gap_is_told_of(ledger: Ledger) -> None:
    with ledger.begin() as session:
        channel_log.follow(session, "blend", NOW - timedelta(hours=3))
    write(ledger, CaughtUp("blend", NOW, NOW, MINUTE))
    assert told(ledger) == [NoticeKind.MISSED]


def test_old_notices_leave_unless_they_still_wait(ledger: Ledger) -> None:
    with ledger.begin() as session:
        for number in range(3):
            outbox.tell(session, NoticeKind.WELL if number else NoticeKind.TROUBLE, problems=[])
        outbox.route_new(session, lambda one: [Delivery("phone", "", one.at)] if one.kind is NoticeKind.TROUBLE else [])
        session.execute(text("UPDATE notices SET at = now() - interval '2 years'"))
        outbox.tell(session, NoticeKind.RESUMED, by="me")
    with ledger.begin() as session:
        assert retention.clean_up(session, timedelta(days=365)) == 2
        assert retention.clean_up(session, timedelta(days=365)) == 0
    assert told(ledger) == [NoticeKind.TROUBLE, NoticeKind.RESUMED]
