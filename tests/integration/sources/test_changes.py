"""A change of a table is one signal, whoever reads it how often; what is doubtful is none, and is told once."""

from __future__ import annotations

import threading
from decimal import Decimal

import pytest
from sqlalchemy import update

from rebalancer.domain.errors import AllocationsUnavailable, Refused, RequestRefused
from rebalancer.ledger import sources
from rebalancer.ledger.models import NoticeRow
from rebalancer.ledger.signal_intake import Addressee
from rebalancer.ledger.sources import Found, SourceState
from rebalancer.operations.accepting import accept_table
from rebalancer.sources.reading import read
from tests.integration.sources.conftest import AFTER, BEFORE, Desk

FOUR = "Symbol,Weight\nA,25%\nB,25%\nC,25%\nD,25%\n"
LEFT = "Symbol,Weight\nA,100%\n"


def take(desk: Desk, seen: sources.SourceView, text: str) -> Found:
    """Put a reading on record that was begun when the source was as ``seen``."""
    desk.publish(text)
    targets = read(desk.source, desk.settings.signals)
    with desk.ledger.begin() as session:
        followers = [Addressee("DU1", "mine"), Addressee("DU2", "mine")]
        return sources.take(
            session, desk.source, seen, targets, validators={}, judge=lambda *_: None, followers=followers
        )


def die_before_the_commit(desk: Desk, seen: sources.SourceView) -> None:
    targets = read(desk.source, desk.settings.signals)
    followers = [Addressee("DU1", "mine")]
    with desk.ledger.begin() as session:
        found = sources.take(
            session, desk.source, seen, targets, validators={}, judge=lambda *_: None, followers=followers
        )
        assert found is Found.CHANGED
        raise ZeroDivisionError


def test_the_first_reading_is_where_changes_count_from(desk: Desk) -> None:
    assert desk.look() is Found.FIRST
    assert (desk.signals(), desk.known.state) == ([], SourceState.GOOD)
    assert desk.known.weights == {"SPY": Decimal("0.6"), "AGG": Decimal("0.4")}


def test_a_change_is_one_signal_to_those_who_follow(desk: Desk) -> None:
    desk.look()
    desk.publish(AFTER)
    assert [desk.look() for _ in range(3)] == [Found.CHANGED, Found.UNCHANGED, Found.UNCHANGED]
    (signal,) = desk.signals()
    assert (signal.channel, signal.command, signal.state, signal.remark) == ("mine", "rebalance", "accepted", None)
    assert signal.payload["weights"] == {"AGG": "0.5", "SPY": "0.5"}
    assert desk.events() == ["DU1", "DU2"]


def test_the_same_table_in_another_form_is_no_change(desk: Desk) -> None:
    desk.look()
    desk.publish('{"AGG": 0.40, "SPY": 0.60}', content_type="application/json")
    assert desk.look() is Found.UNCHANGED
    desk.publish("\ufeffWeight (%);Ticker\r\n40,0;agg\r\n60,00;spy\r\n")
    assert (desk.look(), desk.signals()) == (Found.UNCHANGED, [])


def test_another_day_of_the_same_weights_is_a_change(desk: Desk) -> None:
    rows = "SPY,60%,{0}\nAGG,40%,{0}\n"
    desk.publish("Symbol,Weight,As of\n" + rows.format("2026-11-19"))
    desk.look()
    desk.publish("Symbol,Weight,As of\n" + rows.format("2026-11-20"))
    assert desk.look() is Found.CHANGED
    assert desk.signals()[0].message_id.startswith("source:2:2026-11-20:")


def test_a_table_that_returns_to_what_it_was_is_a_signal_each_time(desk: Desk) -> None:
    for text in (BEFORE, AFTER, BEFORE, AFTER):
        desk.publish(text)
        desk.look()
    assert len({signal.message_id for signal in desk.signals()}) == 3


def test_many_who_read_at_once_make_one_signal(desk: Desk) -> None:
    desk.look()
    desk.publish(AFTER)
    found: list[Found | None] = []
    threads = [threading.Thread(target=lambda: found.append(desk.look())) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert found.count(Found.CHANGED) == 1
    assert set(found) <= {Found.CHANGED, Found.UNCHANGED, Found.OUTDATED}
    assert len(desk.signals()) == 1


def test_a_reading_that_is_older_than_what_was_accepted_counts_for_nothing(desk: Desk) -> None:
    desk.look()
    slow = desk.known
    desk.publish(AFTER)
    desk.look()
    assert take(desk, slow, BEFORE) is Found.OUTDATED
    assert desk.known.weights["SPY"] == Decimal("0.5")
    assert len(desk.signals()) == 1


def test_a_process_that_dies_before_the_record_has_changed_nothing(desk: Desk) -> None:
    desk.look()
    desk.publish(AFTER)
    seen = desk.known
    with pytest.raises(ZeroDivisionError):
        die_before_the_commit(desk, seen)
    assert (desk.signals(), desk.known.version) == ([], seen.version)
    assert desk.look() is Found.CHANGED
    assert len(desk.signals()) == 1


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "allocations_empty: the document is empty"),
        ("<html>Sign in</html>", "a web page"),
        ("Symbol,Weight\nSPY,60%\nSPY,40%\n", "allocations_duplicate"),
        ("Symbol,Weight\nSPY,60%\n", "allocations_sum"),
        ("Symbol,Weight\nSPY,160%\nAGG,-60%\n", "allocations_range"),
        ("Symbol,Weight,As of\nSPY,60%,2020-01-02\nAGG,40%,2020-01-02\n", "allocations_old"),
        ("Symbol,Weight,As of\nSPY,60%,2050-01-02\nAGG,40%,2050-01-02\n", "allocations_future"),
        ("Symbol,Weight\nXLE,60%\nGLD,40%\n", "allocations_jumped"),
    ],
)
def test_a_bad_table_is_no_signal_and_is_told_once(desk: Desk, text: str, reason: str) -> None:
    desk.look()
    desk.publish(text)
    assert [desk.look() for _ in range(3)] == [Found.REFUSED] * 3
    assert desk.signals() == []
    assert str(desk.known.state) == "refused"
    ((kind, told),) = desk.notices()
    assert kind == "source-refused"
    assert reason in told
    desk.publish(BEFORE)
    assert desk.look() is Found.UNCHANGED
    assert [kind for kind, _ in desk.notices()] == ["source-refused", "source-well"]
    assert desk.known.state is SourceState.GOOD
    desk.publish(text)
    desk.look()
    assert len(desk.notices()) == 2, "the same again on the same day"
    with desk.ledger.begin() as session:
        session.execute(update(NoticeRow).where(NoticeRow.key.is_not(None)).values(key="of another day"))
    desk.publish(BEFORE)
    desk.look()
    desk.publish(text)
    desk.look()
    assert [kind for kind, _ in desk.notices()] == ["source-refused", "source-well", "source-refused"]


def test_a_table_that_has_shrunk_waits_for_its_owner(desk: Desk) -> None:
    desk.publish(FOUR)
    desk.look()
    desk.publish(LEFT)
    assert desk.look() is Found.REFUSED
    assert desk.known.held == {"A": Decimal(1)}
    accepted = accept_table(desk.services, "mine", "Ada")
    assert (accepted.source.weights, len(accepted.event_ids)) == ({"A": Decimal(1)}, 2)
    assert (desk.look(), len(desk.signals()), desk.known.state) == (Found.UNCHANGED, 1, SourceState.GOOD)
    with pytest.raises(RequestRefused, match="nothing of mine waits"):
        accept_table(desk.services, "mine", "Ada")
    with pytest.raises(RequestRefused, match="those that have: mine"):
        accept_table(desk.services, "other", "Ada")


def test_only_what_the_source_says_last_can_be_accepted(desk: Desk) -> None:
    desk.publish(FOUR)
    desk.look()
    desk.publish(LEFT)
    desk.look()
    desk.publish(FOUR)
    desk.look()
    with pytest.raises(RequestRefused, match="nothing of mine waits"):
        accept_table(desk.services, "mine", "Ada")
    desk.publish("")
    desk.look()
    with pytest.raises(RequestRefused, match="nothing of mine waits"):
        accept_table(desk.services, "mine", "Ada")


def test_a_source_that_cannot_be_read_is_told_once_and_when_it_is_over(desk: Desk) -> None:
    desk.look()
    desk.publish(AFTER, status=500)
    assert [desk.look() for _ in range(6)] == [None] * 6
    assert (desk.known.state, desk.known.failures) == (SourceState.UNREAD, 6)
    ((kind, told),) = desk.notices()
    assert (kind, "HTTP 500" in told) == ("source-unread", True)
    desk.publish(AFTER)
    assert desk.look() is Found.CHANGED
    assert [kind for kind, _ in desk.notices()] == ["source-unread", "source-well"]


def test_a_moment_of_silence_is_told_to_nobody(desk: Desk) -> None:
    desk.look()
    desk.publish(AFTER, status=503)
    assert (desk.look(), desk.look()) == (None, None)
    desk.publish(BEFORE)
    desk.look()
    assert desk.notices() == []


def test_a_run_trades_what_was_accepted_and_nothing_else(desk: Desk) -> None:
    targets = desk.services.targets
    with pytest.raises(AllocationsUnavailable, match="looked at at once"):
        targets.fetch("mine")
    desk.look()
    assert {entry.symbol for entry in targets.fetch("mine").weights} == {"SPY", "AGG"}
    desk.publish(AFTER)
    with pytest.raises(AllocationsUnavailable, match="it is not what was accepted last"):
        targets.fetch("mine")
    with desk.ledger.begin() as session:
        assert sources.asked(session) == {"mine"}
    desk.look()
    with desk.ledger.begin() as session:
        assert sources.asked(session) == frozenset()
    assert {str(entry.weight) for entry in targets.fetch("mine").weights} == {"0.50"}
    desk.publish("Symbol,Weight\nXLE,100%\n")
    desk.look()
    with pytest.raises(Refused, match="allocations_jumped"):
        targets.fetch("mine")


def test_other_strategies_come_from_the_api_as_before(desk: Desk) -> None:
    desk.server.publish("other", {"SPY": 0.6, "GLD": 0.4})
    assert {entry.symbol for entry in desk.services.targets.fetch("other").weights} == {"SPY", "GLD"}


def test_another_place_is_compared_with_what_the_former_one_said(desk: Desk) -> None:
    desk.look()
    desk.write(AFTER)
    desk.configure("{file: targets.csv}")
    assert desk.look() is Found.CHANGED
    assert len(desk.signals()) == 1
