"""Events of the past are found by what a person knows of them, with what they traded and cost."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from rebalancer.ledger.queries.past_events import Traded, Wanted, past_events
from rebalancer.ledger.session import Ledger
from rebalancer.ledger.states import EventState
from tests.ledger_rows import NOON, seeded


def found(ledger: Ledger, limit: int = 10, after: UUID | None = None, **wanted: Any) -> list[UUID]:
    with ledger.begin() as session:
        return [one.event.event_id for one in past_events(session, Wanted(**wanted), limit, after)]


def test_each_event_says_what_it_traded_and_cost(ledger: Ledger) -> None:
    ids = seeded(ledger)
    with ledger.begin() as session:
        rows = {one.event.event_id: one for one in past_events(session, Wanted(), 10)}
    traded = rows[ids["traded"]]
    assert traded.traded == Traded(1, Decimal("19401.94"), Decimal("1.00"), Decimal("1.94"))
    assert traded.traded.cost == Decimal("2.94")
    assert traded.took == timedelta(seconds=9)
    assert (rows[ids["failing"]].traded, rows[ids["failing"]].took) == (Traded(), None)


def test_they_are_found_by_what_is_known_of_them(ledger: Ledger) -> None:
    ids = seeded(ledger)
    traded, failing, waiting = ids["traded"], ids["failing"], ids["waiting"]
    assert set(found(ledger)) == {traded, failing, waiting}
    assert found(ledger, state=EventState.RETRYING) == [failing]
    assert found(ledger, command="print-rebalance") == [waiting]
    assert found(ledger, account_id="DU1000001") == [traded]
    assert found(ledger, text="du1000002") == [failing]
    assert found(ledger, text=str(waiting)) == found(ledger, text=waiting.hex[:9]) == [waiting]
    assert found(ledger, text="DU%") == found(ledger, since=NOON + timedelta(seconds=1)) == []
    assert found(ledger, until=NOON) == []
    assert len(found(ledger, since=NOON, until=NOON + timedelta(days=1))) == 3


@pytest.mark.parametrize("size", [1, 2])
def test_pages_show_each_once(ledger: Ledger, size: int) -> None:
    seeded(ledger)
    pages, after = [], None
    while page := found(ledger, size, after):
        pages += page
        after = page[-1]
    assert sorted(pages) == sorted(found(ledger))
