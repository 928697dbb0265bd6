"""The fetch end to end over HTTP: two steps, one question at a time, and whatever may go wrong in between."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from rebalancer.domain.errors import RecordUnavailable
from rebalancer.ledger.models import FlexQueryRow
from sandbox.flex.knobs import Knobs, Seeds
from tests.conftest import ROOT
from tests.integration.statements.conftest import TOKEN, Desk

REQUEST, STATEMENT = "SendRequest", "GetStatement"
SOON = timedelta(minutes=2)


@pytest.fixture
def traded(desk: Desk) -> Desk:
    desk.ours("SPY", 100, "600.00")
    desk.now += timedelta(days=1)
    return desk


def until_due(desk: Desk) -> timedelta:
    return desk.query.due_at - datetime.now(UTC)


def test_a_statement_is_asked_for_then_fetched_and_compared(traded: Desk) -> None:
    traded.watch().look()
    assert (traded.service.asked, traded.query.read_at) == ([REQUEST], None)
    assert until_due(traded) < timedelta(seconds=6)
    traded.watch().look()
    assert traded.service.asked == [REQUEST], "not before its time"
    traded.look()
    assert traded.service.asked == [REQUEST, STATEMENT]
    assert traded.newest.positions == {"SPY": 100}
    assert (traded.query.problem, traded.query.reference, traded.query.failures) == (None, None, 0)
    assert timedelta() < until_due(traded) < timedelta(days=4), "the next morning with something new"


def test_a_statement_that_is_not_ready_is_waited_for_without_a_word(traded: Desk) -> None:
    traded.server.set(not_ready=3)
    for _ in range(5):
        traded.look()
    assert traded.service.asked == [REQUEST] + [STATEMENT] * 4
    assert traded.newest.positions == {"SPY": 100}
    assert traded.notices() == []


def test_a_statement_that_is_never_ready_is_asked_for_anew(traded: Desk) -> None:
    traded.server.set(not_ready=1000)
    traded.look()
    with traded.ledger.begin() as session:
        row = session.get_one(FlexQueryRow, "1")
        row.requested_at = datetime.now(UTC) - timedelta(minutes=16)
    traded.look()
    assert (traded.query.reference, traded.query.failures) == (None, 1)
    traded.server.set()
    traded.look()
    traded.look()
    assert traded.newest.positions == {"SPY": 100}


def test_too_many_questions_are_no_failure(traded: Desk) -> None:
    traded.server.set(per_minute=1)
    traded.look()
    traded.look()
    assert (traded.query.failures, traded.query.reference) == (0, "4000000001")
    assert timedelta(minutes=1) - timedelta(seconds=5) < until_due(traded) < SOON
    traded.server.set()
    traded.look()
    assert traded.newest.positions == {"SPY": 100}


def test_the_stand_in_takes_one_question_a_second(traded: Desk) -> None:
    traded.server.set(per_minute=10)
    traded.look()
    traded.look()
    assert traded.query.reference is not None, "it asked within the same second"
    assert until_due(traded) > timedelta(seconds=50)


@pytest.mark.parametrize(
    ("knobs", "settings", "words"),
    [
        ({"expired": True}, {}, "code 1012, Token has expired: make a new token in the Client Portal"),
        ({}, {"flex_token": "9999999999"}, "code 1015, Token is invalid: FLEX_TOKEN is wrong"),
        ({"queries": {"7"}}, {}, "code 1014, Query is invalid: FLEX_QUERY_ID is no query of this login"),
        ({"refuse": 1013}, {}, "the token is tied to another address"),
        ({"refuse": 1011}, {}, "switch the Flex web service on"),
    ],
)
def test_what_only_a_person_can_change_is_told_at_once_with_the_remedy(
    traded: Desk, knobs: dict[str, object], settings: dict[str, object], words: str
) -> None:
    traded.server.set(**knobs)
    traded.look(**settings)
    traded.look(**settings)
    ((kind, reason),) = traded.notices()
    assert kind == "statement-unread"
    assert words in reason
    assert (traded.query.failures, traded.query.problem) == (2, reason)
    assert until_due(traded) > timedelta(minutes=50)
    traded.server.set()
    traded.look()
    traded.look()
    assert [kind for kind, _ in traded.notices()] == ["statement-unread", "statement-well"]


@pytest.mark.parametrize("knobs", [{"refuse": 1009}, {"refuse": 4711}, {"garbled": True}])
def test_a_broker_who_cannot_now_is_asked_again_ever_more_slowly(traded: Desk, knobs: dict[str, object]) -> None:
    traded.server.set(**knobs)
    pauses = []
    for _ in range(3):
        assert traded.notices() == []
        traded.look()
        pauses.append(round(until_due(traded).total_seconds() / 60))
    assert pauses == [5, 10, 20]
    assert [kind for kind, _ in traded.notices()] == ["statement-unread"]


def test_nobody_who_answers_is_a_failure_that_names_no_token(traded: Desk) -> None:
    traded.look(flex_base_url="http://127.0.0.1:1/FlexWebService")
    assert traded.query.failures == 1
    assert "ConnectError" in str(traded.query.problem)
    assert TOKEN not in str(traded.query.problem)


@pytest.mark.parametrize(
    ("left_out", "words"),
    [
        ("CashReport", "the query lacks the section CashReport: add it"),
        ("Trades", "the query lacks the section Trades: add it"),
        ("Trades.ibExecID", "section Trades lacks the column ibExecID: add it"),
        ("OpenPositions.position", "section OpenPositions lacks the column position: add it"),
    ],
)
def test_a_query_that_says_too_little_is_refused_with_what_it_lacks(traded: Desk, left_out: str, words: str) -> None:
    traded.server.set(leave_out=[left_out])
    traded.look()
    traded.look()
    ((kind, reason),) = traded.notices()
    assert (kind, words in reason) == ("statement-unread", True)


def test_a_process_that_dies_between_the_steps_leaves_its_reference_to_the_next(traded: Desk) -> None:
    traded.watch().look()  # and is never seen again
    traded.look()
    assert traded.service.asked == [REQUEST, STATEMENT]
    assert traded.newest.positions == {"SPY": 100}


def test_a_ledger_that_goes_away_amid_a_statement_has_all_of_it_later_and_once(traded: Desk) -> None:
    traded.pay("Mystery Adjustments", "-7.00")
    traded.now += timedelta(days=1)
    traded.look()
    with traded.ledger.begin() as session:
        session.execute(text("ALTER TABLE statements RENAME TO away"))
    with pytest.raises(RecordUnavailable):
        traded.look()
    assert traded.notices() == []
    with traded.ledger.begin() as session:
        session.execute(text("ALTER TABLE away RENAME TO statements"))
    assert traded.query.reference is not None, "the turn has ended and nothing is lost"
    traded.look()
    traded.look()
    assert traded.newest.unexplained == 1
    assert [kind for kind, _ in traded.notices()] == ["statement-differs"]


def test_a_broker_who_has_forgotten_the_reference_is_asked_anew(traded: Desk) -> None:
    traded.look()
    traded.service._waiting.clear()
    traded.look()
    assert (traded.query.reference, traded.query.failures) == (None, 1)
    traded.look()
    traded.look()
    assert traded.newest.positions == {"SPY": 100}


def test_two_processes_ask_one_question(traded: Desk) -> None:
    watches = [traded.watch() for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda watch: watch.look(), watches))
    assert traded.service.asked == [REQUEST]


def test_a_statement_with_nothing_new_is_asked_for_again_in_an_hour(traded: Desk) -> None:
    for _ in range(4):
        traded.look()
    assert traded.service.asked == [REQUEST, STATEMENT] * 2
    assert until_due(traded) <= timedelta(hours=1)


def test_a_query_without_any_of_our_accounts_is_for_a_person(traded: Desk) -> None:
    traded.accounts = traded.accounts.replace("DU1,", "DU2,")
    traded.look()
    traded.look()
    ((kind, reason),) = traded.notices()
    assert (kind, "none of the accounts of the accounts file is in it" in reason) == ("statement-unread", True)


def test_each_login_has_a_query_of_its_own(traded: Desk) -> None:
    traded.server.set(queries={"1", "2"})
    both = {"flex_token": f"{TOKEN},{TOKEN}", "flex_query_id": "1,2"}
    for _ in range(2):
        traded.look(**both)
    assert traded.service.asked == [REQUEST, REQUEST, STATEMENT, STATEMENT]


def test_a_difference_halts_by_setting_alone(traded: Desk) -> None:
    traded.look()
    traded.look()
    traded.pay("Mystery Adjustments", "-7.00")
    traded.now += timedelta(days=1)
    traded.look(statement_halts=True)
    traded.look(statement_halts=True)
    assert traded.halts() == ["statement of 2025-03-04: unknown-entry: Mystery Adjustments"]


def test_every_knob_is_documented() -> None:
    said = (ROOT / "docs/sandbox.md").read_text(encoding="utf-8")
    assert [name for name in (*Knobs.model_fields, *Seeds.model_fields) if f"`{name}" not in said] == []
