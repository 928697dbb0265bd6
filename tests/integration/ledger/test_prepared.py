"""Statements that a connection has planned once answer as they did before."""

from __future__ import annotations

import pkgutil
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib import import_module
from uuid import uuid4

import pytest
from sqlalchemy import Interval, Text, bindparam, func, select, text
from sqlalchemy.dialects.postgresql import ARRAY

import rebalancer.ledger
from rebalancer.ledger.models import HaltRow
from rebalancer.ledger.prepared import Prepared
from rebalancer.ledger.session import Ledger, Session

AGAIN = 8
"""Times: as it is, prepared, planned for each value five times, then once for all."""
OPEN = Prepared(
    "open_halts_of",
    select(HaltRow.scope)
    .where(
        HaltRow.scope == func.any(bindparam("scopes", type_=ARRAY(Text))),
        HaltRow.lifted_at.is_(None),
        HaltRow.by.in_(("100% me", "you")),
        HaltRow.since > func.now() - bindparam("within", type_=Interval()),
    )
    .order_by(HaltRow.scope),
)


@pytest.fixture
def session(ledger: Ledger) -> Iterator[Session]:
    with ledger.begin() as session:
        yield session


def known(session: Session) -> list[str]:
    return list(session.scalars(text("SELECT name FROM pg_prepared_statements")))


def test_each_time_it_answers_for_what_it_is_given(session: Session) -> None:
    scopes = [f"DU{uuid4().hex}" for _ in range(AGAIN)]
    session.add_all(HaltRow(scope=scope, reason="r", by="100% me", since=datetime.now(UTC)) for scope in scopes)
    for number in range(AGAIN):
        given = {"scopes": scopes[number:], "within": timedelta(hours=1)}
        assert [row.scope for row in OPEN.rows(session, given)] == sorted(scopes[number:])
    assert OPEN.scalar(session, {"scopes": [], "within": timedelta(hours=1)}) is None


def test_what_is_asked_once_over_a_connection_is_not_prepared(ledger: Ledger) -> None:
    question = Prepared("one_and_one", select(bindparam("one", type_=Text())))
    with ledger.begin() as session:
        assert question.scalar(session, {"one": "1"}) == "1"
        assert question.name not in known(session)
        assert question.scalar(session, {"one": "2"}) == "2"
        assert question.name in known(session)


def test_what_was_prepared_outlives_a_transaction_that_is_taken_back(ledger: Ledger) -> None:
    question = Prepared("two_and_two", select(bindparam("two", type_=Text())))
    with ledger.engine.connect() as connection:
        for number in range(3):
            assert question.on(connection, {"two": str(number)}).scalar() == str(number)
            connection.rollback()


def test_no_two_statements_have_one_name() -> None:
    """The second would be taken for the first."""
    found = pkgutil.walk_packages(rebalancer.ledger.__path__, f"{rebalancer.ledger.__name__}.")
    values = [value for module in found for value in vars(import_module(module.name)).values()]
    names = Counter(one.name for one in {one for one in values if isinstance(one, Prepared)})
    assert len(names) > 20
    assert {name for name, count in names.items() if count > 1 or not name.isidentifier()} == set()
