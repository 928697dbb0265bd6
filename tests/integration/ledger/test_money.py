"""Money over time: what is told apart as deposits, and what trading cost."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from decimal import Decimal

from rebalancer.ledger import account_snapshots
from rebalancer.ledger.queries import money
from rebalancer.ledger.queries.past_events import Traded
from rebalancer.ledger.session import Ledger, Session
from tests.ledger_rows import NOON, add_event, add_traded

TRADED = Traded(1, Decimal("19401.94"), Decimal("1.00"), Decimal("1.94"))


def look(session: Session, at: datetime, equity: int, cash: int, account_id: str = "DU1000001", **held: int) -> None:
    """100 SPY are held, unless something else is said."""
    event_id = add_event(session, account_id, command="print-equity", state="succeeded", finished_at=at)
    account_snapshots.keep(
        session,
        account_id=account_id,
        event_id=event_id,
        attempt=1,
        moment="before",
        at=at,
        net_liquidation=Decimal(equity),
        cash=Decimal(cash),
        positions=[
            {"symbol": symbol, "quantity": f"{quantity}", "price": "100"}
            for symbol, quantity in ({"SPY": 100} | held).items()
        ],
    )


def later(days: int) -> datetime:
    return NOON + timedelta(days=days)


def test_a_deposit_is_told_apart_from_a_gain(ledger: Ledger) -> None:
    with ledger.begin() as session:
        look(session, later(0), 20_000, 10_000)
        look(session, later(1), 20_500, 10_000)
        look(session, later(2), 25_600, 15_000, GLD=0)
        look(session, later(3), 24_100, 13_500)
        look(session, later(4), 24_150, 13_550)
    with ledger.begin() as session:
        found = money.days(session, ["DU1000001"], None)
        assert money.days(session, ["DU1000001"], later(2)) == found[2:]
    assert [(one.equity, one.flow) for one in found[1:]] == [
        (Decimal(20_500), Decimal(0)),
        (Decimal(25_600), Decimal(5_000)),
        (Decimal(24_100), Decimal(-1_500)),
        (Decimal(24_150), Decimal(0)),
    ]


def test_a_look_that_comes_on_record_late_tells_no_deposit_twice(ledger: Ledger) -> None:
    with ledger.begin() as session:
        look(session, later(0), 20_000, 10_000)
        look(session, later(2), 25_000, 15_000)
        look(session, later(1), 25_000, 15_000)
    with ledger.begin() as session:
        assert [one.flow for one in money.days(session, ["DU1000001"], None)[1:]] == [0, 5_000]


def test_where_somebody_traded_by_hand_no_deposit_is_claimed(ledger: Ledger) -> None:
    with ledger.begin() as session:
        look(session, later(0), 20_000, 10_000)
        look(session, later(1), 20_000, 15_000, SPY=50)
        add_traded(session, at=later(2))
    with ledger.begin() as session:
        assert [one.flow for one in money.days(session, ["DU1000001"], None)[1:]] == [0, 0]


def test_accounts_count_with_their_last_known_value(ledger: Ledger) -> None:
    with ledger.begin() as session:
        look(session, later(0), 20_000, 10_000)
        look(session, later(1), 7_000, 1_000, account_id="DU1000002")
        look(session, later(3), 21_000, 10_000)
        look(session, later(3) + timedelta(hours=1), 22_000, 10_000)
        add_traded(session, "DU1000003", later(3))
    both = ["DU1000001", "DU1000002"]
    with ledger.begin() as session:
        found = money.days(session, both, None)
        newest = money.days(session, both, later(2))
    assert [(int(one.equity), int(one.flow)) for one in found] == [(20_000, 20_000), (27_000, 7_000), (29_000, 0)]
    assert newest == found[2:]


def test_rebalances_are_marked(ledger: Ledger) -> None:
    with ledger.begin() as session:
        look(session, later(0), 20_000, 10_000)
        add_traded(session, at=later(1))
    with ledger.begin() as session:
        assert [one.rebalanced for one in money.days(session, ["DU1000001"], None)] == [False, True]


def test_months_sum_what_was_traded_and_what_it_cost(ledger: Ledger) -> None:
    with ledger.begin() as session:
        for account_id, at in (("DU1000001", NOON), ("DU1000002", NOON), ("DU1000001", later(40))):
            add_traded(session, account_id, at)
    with ledger.begin() as session:
        found = money.months(session, ["DU1000001", "DU1000002"])
        assert money.months(session, ["DU1000003"]) == []
    march, april = date(2026, 3, 1), date(2026, 4, 1)
    assert [(one.first, one.account_id) for one in found] == [
        (april, "DU1000001"),
        (march, "DU1000001"),
        (march, "DU1000002"),
    ]
    assert {one.traded for one in found} == {TRADED}
    assert money.together(found) == [
        (april, TRADED),
        (march, Traded(2, Decimal("38803.88"), Decimal("2.00"), Decimal("3.88"))),
    ]
