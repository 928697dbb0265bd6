"""What trading cost, read from the ledger; each figure once more by PostgreSQL's own arithmetic."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import delete, select, text, update

from rebalancer.costs.shortfall import Decided, measure
from rebalancer.costs.summary import together
from rebalancer.ledger.models import Attempt, FillRow, Order
from rebalancer.ledger.queries import costs
from rebalancer.ledger.queries.costs import OrderSpan
from rebalancer.ledger.session import Ledger, Session
from tests.ledger_rows import NOON, PLAN, SWITCH, add_traded

QUOTES = {"SPY": {"bid": "99.98", "ask": "100.00"}, "MSFT": {"bid": "415.74", "ask": "415.80"}}
PLAINLY = text(
    """
    SELECT sum((o.side = 'BUY')::int * 2 - 1) AS sides,
        sum((CASE o.side WHEN 'BUY' THEN 1 ELSE -1 END) * f.quantity
            * (f.price - ((a.inputs->'quotes'->o.symbol->>'bid')::numeric
                        + (a.inputs->'quotes'->o.symbol->>'ask')::numeric) / 2) + f.commission) AS cost,
        sum(f.quantity * ((a.inputs->'quotes'->o.symbol->>'bid')::numeric
                        + (a.inputs->'quotes'->o.symbol->>'ask')::numeric) / 2) AS worth
    FROM fills f JOIN orders o USING (order_ref) JOIN attempts a ON (a.event_id, a.number) = (o.event_id, o.attempt)
    """
)


def traded(
    session: Session,
    quotes: Mapping[str, Any] = QUOTES,
    at: datetime = NOON,
    plan: dict[str, Any] = SWITCH,
    account_id: str = "DU1000001",
) -> UUID:
    """A run that was decided at these quotes."""
    event_id = add_traded(session, account_id, at=at, plan=plan)
    session.flush()
    session.execute(update(Attempt).where(Attempt.event_id == event_id).values(inputs={"quotes": quotes}))
    return event_id


def test_the_whole_is_what_postgresql_makes_of_the_fills(ledger: Ledger) -> None:
    with ledger.begin() as session:
        for day in range(3):
            traded(session, at=NOON + timedelta(days=day))
        sides, cost, worth = session.execute(PLAINLY).one()
    whole = together(costs.sent_orders(ledger, OrderSpan()))
    assert (sides, whole.orders) == (0, 6)
    assert (whole.shortfall.total, whole.shortfall.worth) == (cost, worth)
    # Each day: 194 SPY at 100.01 for 99.99, 138 MSFT at 415.73 for 415.77, four commissions of 0.50.
    assert cost == 3 * (194 * Decimal("0.02") + 138 * Decimal("0.04") + 2)
    assert whole.shortfall.commission == 6
    assert whole.shortfall.spread == 3 * (194 * Decimal("0.01") + 138 * Decimal("0.03"))
    assert whole.shortfall.delay == 0
    assert whole.shortfall.impact == 3 * (194 + 138) * Decimal("0.01")


def test_a_later_round_is_measured_against_the_first_plan(ledger: Ledger) -> None:
    """SPY was quoted at the first plan, and TLT only at the third."""
    with ledger.begin() as session:
        event_id = traded(session, {"SPY": QUOTES["SPY"]}, plan=PLAN)
        of_tlt = {"TLT": {"bid": "90", "ask": "91"}}
        rounds = [{"inputs": {"quotes": {"SPY": {"bid": "1", "ask": "2"}}}}]
        rounds += [{"inputs": {"quotes": one}} for one in (of_tlt, {"TLT": {"bid": "3", "ask": "4"}})]
        session.execute(
            update(Attempt).where(Attempt.event_id == event_id).values(plan={**PLAN, "further_rounds": rounds})
        )
        (first,) = costs.batch(session, OrderSpan(), 10)
        session.execute(update(Order).values(symbol="TLT"))
        (late,) = costs.batch(session, OrderSpan(), 10)
        session.execute(update(Order).values(symbol='G"L.D'))
        (never,) = costs.batch(session, OrderSpan(), 10)
    assert (first.quote, late.quote) == (Decided(Decimal("99.98"), Decimal(100)), Decided(Decimal(90), Decimal(91)))
    assert never.quote is None


def test_what_a_buy_was_sized_with_beyond_its_ask_is_no_delay(ledger: Ledger) -> None:
    """PRICE_MARGIN_PERCENT was 0.3 at the run; later orders were sized at an ask of 101."""
    margin = Decimal("1.003")
    orders = [{"symbol": "SPY", "side": "BUY", "quantity": 194, "price": str(100 * margin), "fee": "1", "reason": ""}]
    orders = [SWITCH["orders"][1], *orders]
    with ledger.begin() as session:
        event_id = traded(session)
        session.execute(update(Attempt).where(Attempt.event_id == event_id).values(plan={**SWITCH, "orders": orders}))
        session.execute(update(Order).where(Order.symbol == "SPY").values(planned_price=101 * margin))
        found = {one.symbol: one for one in costs.batch(session, OrderSpan(), 10)}
        session.execute(update(Attempt).where(Attempt.event_id == event_id).values(plan={"orders": []}))
        unknown = {one.symbol: one for one in costs.batch(session, OrderSpan(), 10)}
    assert (found["SPY"].sized_at, found["MSFT"].sized_at) == (101, Decimal("415.74"))
    assert unknown["SPY"].sized_at == 101 * margin
    spy = measure(found["SPY"])
    assert spy is not None
    assert (spy.delay, spy.impact) == (194, 194 * (Decimal("100.01") - 101))


@pytest.mark.parametrize(
    ("pair", "quote", "charged", "costs_usd"),
    [
        # 200,000 EUR at 1.25, sold for USD: a spread of a hundredth of a cent each, a commission of 2 EUR.
        ("EUR.USD", ("1.2499", "1.2501"), (2, "EUR"), (250_000, 20, Decimal("2.4998"))),
        # 150,000 USD, bought with yen: half a yen each is 500 USD, not 75,000; the commission is of 301 JPY.
        ("USD.JPY", ("149.5", "150.5"), (301, "JPY"), (Decimal(150_000) * 150 / Decimal("150.5"), None, 2)),
    ],
)
def test_a_conversion_costs_dollars_whatever_its_price_is_in(
    ledger: Ledger, pair: str, quote: tuple[str, str], charged: tuple[int, str], costs_usd: tuple[Decimal, ...]
) -> None:
    bid, ask = quote
    side, price, units = ("SELL", bid, 200_000) if pair == "EUR.USD" else ("BUY", ask, 150_000)
    with ledger.begin() as session:
        traded(session, {pair: {"bid": bid, "ask": ask}}, plan=PLAN)
        of_pair = {"symbol": pair, "side": side, "security_type": "CASH"}
        session.execute(update(Order).values(**of_pair, quantity=units, filled=units, planned_price=Decimal(price)))
        first, *others = session.scalars(select(FillRow.execution))
        session.execute(delete(FillRow).where(FillRow.execution.in_(others)))
        filled = {"quantity": units, "price": Decimal(price), "commission": charged[0], "currency": charged[1]}
        session.execute(update(FillRow).where(FillRow.execution == first).values(**of_pair, **filled))
        (one,) = costs.batch(session, OrderSpan(), 10)
    found = measure(one)
    assert found is not None
    whole = together(costs.sent_orders(ledger, OrderSpan()))
    assert (round(whole.shortfall.total, 6), round(whole.asked, 6)) == (round(found.total, 6), round(found.worth, 6))
    worth, spread, commission = costs_usd
    assert round(found.worth, 6) == round(worth, 6)
    assert round(found.spread, 6) == round(units - worth if spread is None else spread, 6)
    assert (round(found.commission, 6), one.incomplete) == (commission, False)


def test_what_never_left_costs_nothing_and_what_did_not_fill_is_asked_for(ledger: Ledger) -> None:
    with ledger.begin() as session:
        traded(session)
        session.execute(text("DELETE FROM fills WHERE symbol = 'MSFT'"))
        session.execute(update(Order).where(Order.symbol == "MSFT").values(filled=0, status="Cancelled"))
    asked = 194 * Decimal("99.99") + 138 * Decimal("415.77")
    whole = together(costs.sent_orders(ledger, OrderSpan()))
    assert (whole.orders, whole.asked, whole.shortfall.worth) == (1, asked, 194 * Decimal("99.99"))
    with ledger.begin() as session:
        session.execute(update(Order).where(Order.symbol == "MSFT").values(status="NeverSent"))
    assert together(costs.sent_orders(ledger, OrderSpan())).filled == 1


def test_what_may_have_cost_more_is_named(ledger: Ledger) -> None:
    def incomplete() -> tuple[int, Decimal]:
        whole = together(costs.sent_orders(ledger, OrderSpan()))
        return whole.incomplete, whole.shortfall.commission

    with ledger.begin() as session:
        traded(session)
    assert incomplete() == (0, 2)
    changes: list[tuple[Any, dict[str, Any]]] = [
        (FillRow, {"commission": None}),
        (FillRow, {"commission": Decimal("0.50"), "currency": "EUR"}),
        (FillRow, {"currency": "USD"}),
        (Order, {"filled": Order.quantity + 1}),
    ]
    found = []
    for model, values in changes:
        with ledger.begin() as session:
            session.execute(update(model).where(model.symbol == "SPY").values(values))
        found.append(incomplete())
    assert found == [(1, 1), (1, 1), (0, 2), (1, 2)]


def test_spans_leave_out_other_times_and_accounts(ledger: Ledger) -> None:
    with ledger.begin() as session:
        for day, account_id in ((0, "DU1000001"), (1, "DU1000002"), (2, "DU1000001")):
            traded(session, at=NOON + timedelta(days=day), plan=PLAN, account_id=account_id)
        spans = (
            OrderSpan(since=NOON + timedelta(days=1)),
            OrderSpan(until=NOON + timedelta(days=1)),
            OrderSpan(account_ids=["DU1000001"]),
            OrderSpan(account_ids=[]),
        )
        found = [[(one.at - NOON).days for one in costs.batch(session, span, 10)] for span in spans]
        newest = [(one.at - NOON).days for one in costs.newest_orders(session, OrderSpan(), 2)]
    assert found == [[1, 2], [0], [0, 2], []]
    assert newest == [2, 1]


def test_batches_leave_nothing_out_and_give_nothing_twice(ledger: Ledger) -> None:
    with ledger.begin() as session:
        for day in (0, 0, 0, 1, 2):
            traded(session, at=NOON + timedelta(days=day))
        whole = costs.batch(session, OrderSpan(), 100)
        found, after = [], None
        while some := costs.batch(session, OrderSpan(), 3, after):
            found += some
            after = some[-1]
    assert found == whole
    assert len({one.order_ref for one in found}) == 10
    assert found[0].at.tzinfo == UTC or found[0].at.utcoffset() == timedelta()
