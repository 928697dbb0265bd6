"""How the sandbox fills orders of any style: within their limit and the market, and no more than was asked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from rebalancer.domain.portfolio import OrderType, Side
from sandbox.gateway.fill_rules import Fills
from sandbox.gateway.market import Quote
from sandbox.gateway.scenario import Orders
from sandbox.gateway.style_fills import offered, schedule, within_limit
from sandbox.gateway.tickets import ContractQuery, Ticket

NOW = datetime(2026, 11, 20, 17, 0, tzinfo=UTC)
CENT = Decimal("0.01")
cents = st.integers(min_value=1, max_value=100_000).map(lambda number: number * CENT)
algorithms = st.one_of(
    st.just(("", ())),
    st.sampled_from(["Urgent", "Normal", "Patient"]).map(lambda chosen: ("Adaptive", (("adaptivePriority", chosen),))),
    st.tuples(st.integers(-60, 200), st.integers(-60, 200), st.sampled_from("01")).map(
        lambda one: ("Vwap", (*(_time("startTime", one[0]), _time("endTime", one[1])), ("allowPastEndTime", one[2])))
    ),
)


def _time(tag: str, minutes: int) -> tuple[str, str]:
    return tag, f"{NOW + timedelta(minutes=minutes):%Y%m%d %H:%M:%S} UTC"


@st.composite
def tickets(draw: st.DrawFn) -> Ticket:
    strategy, params = draw(algorithms)
    plain = [OrderType.MARKET, OrderType.LIMIT]
    kind = draw(st.sampled_from(plain if strategy else [*plain, OrderType.MIDPRICE]))
    return Ticket(
        contract=ContractQuery(1, "SPY", "STK", "SMART", "ARCA", "USD"),
        action=draw(st.sampled_from(Side)),
        quantity=Decimal(draw(st.integers(1, 10_000))),
        order_type=kind,
        limit_price=None if kind is OrderType.MARKET else draw(cents),
        aux_price=None,
        time_in_force="DAY",
        account="DU1",
        order_ref="",
        transmit=True,
        outside_hours=False,
        what_if=False,
        algo_strategy=strategy,
        algo_params=params,
    )


@given(tickets(), cents, cents)
def test_no_order_fills_outside_the_spread_or_beyond_its_limit(ticket: Ticket, bid: Decimal, spread: Decimal) -> None:
    side, ask = Side(ticket.action), bid + spread
    quote = Quote("SPY", NOW, bid, ask, 100, 100, bid, 100, bid)
    price = offered(ticket, side, quote, Orders())
    assert bid <= price <= ask
    if within_limit(ticket, side, price) and ticket.limit is not None:
        assert price <= ticket.limit if side is Side.BUY else price >= ticket.limit
    if within_limit(ticket, side, quote.price_for(side)):
        assert within_limit(ticket, side, price), "what a plain order of that limit would get, every style gets"


@given(tickets(), st.integers(1, 20), st.sampled_from([None, 10, 120]))
def test_what_a_style_plans_is_what_was_to_fill_or_it_ends(ticket: Ticket, slices: int, closes_in: int | None) -> None:
    pieces = Fills(mode="partial").plan(ticket.quantity)
    close = None if closes_in is None else NOW + timedelta(minutes=closes_in)
    planned = schedule(ticket, pieces, NOW, close, Orders(vwap_slices=slices))
    total = sum(quantity for _, quantity in planned.pieces)
    assert total == ticket.quantity or (not planned.pieces and planned.ends_after_s == 0 and planned.reason)
    assert all(delay_s >= 0 and quantity > 0 for delay_s, quantity in planned.pieces)
    if planned.ends_after_s is not None:
        assert all(delay_s <= planned.ends_after_s for delay_s, _ in planned.pieces)
    if close is not None and ticket.algo_strategy == "Vwap":
        assert all(NOW + timedelta(seconds=delay_s) <= close for delay_s, _ in planned.pieces)
