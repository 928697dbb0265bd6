"""What buys may spend."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rebalancer.domain.errors import Refused
from rebalancer.domain.orders import Instrument
from rebalancer.domain.portfolio import AccountSnapshot, FeeSchedule, OrderType, ProposedOrder, SettledCash, Side
from rebalancer.planning.buying_power import (
    Terms,
    available_cash,
    has_margin,
    must_settle,
    next_wave,
    spendable_now,
    ticket,
)

CENTS = Instrument("A", 1, "ARCA", Decimal("0.01"), "US/Eastern", "", "")
FEES = FeeSchedule()
MARKET = Terms(OrderType.MARKET, Decimal("0.005"), Decimal("0.05"))
LIMIT = Terms(OrderType.LIMIT, Decimal("0.005"), Decimal("0.05"))
ACCOUNT = AccountSnapshot(
    "DU1", datetime(2026, 1, 5, tzinfo=UTC), Decimal(100_000), Decimal(10_000), Decimal(4_000), Decimal(9_000), ()
)


def buy(symbol: str, quantity: int, price: str = "100") -> ProposedOrder:
    return ProposedOrder(symbol, Side.BUY, quantity, Decimal(price), FEES.estimate(quantity, Decimal(price)), "")


def wave(orders: list[ProposedOrder], funds: str, terms: Terms = MARKET) -> list[tuple[str, int, Decimal | None]]:
    tickets, _ = next_wave(orders, Decimal(funds), terms, {one.symbol: CENTS for one in orders}, FEES)
    return [(one.order.symbol, one.order.quantity, one.limit_price) for one in tickets]


@pytest.mark.parametrize(("power", "margin"), [(None, False), (9_000, False), (18_000, True), (36_000, True)])
def test_margin_is_read_from_buying_power_and_never_spent(power: int | None, margin: bool) -> None:
    account = replace(ACCOUNT, buying_power=None if power is None else Decimal(power))
    assert has_margin(account) is margin
    assert available_cash(account) == Decimal("8999.99")


@pytest.mark.parametrize(("trading_type", "margin"), [("STKCASH", False), ("stkcash", False), ("STKMRGN", True)])
def test_an_account_whose_type_says_cash_has_no_margin(trading_type: str, margin: bool) -> None:
    assert has_margin(replace(ACCOUNT, buying_power=Decimal(36_000), trading_type=trading_type)) is margin


def test_margin_needs_both_numbers_and_more_than_the_funds_themselves() -> None:
    rich = replace(ACCOUNT, buying_power=Decimal(36_000))
    assert not has_margin(replace(rich, available_funds=None))
    assert not has_margin(replace(ACCOUNT, buying_power=Decimal(13_500))), "one and a half times the funds"
    assert has_margin(replace(ACCOUNT, buying_power=Decimal("13500.01")))
    assert not has_margin(replace(ACCOUNT, available_funds=Decimal(-500), buying_power=Decimal(0)))


def test_cash_is_the_limit_where_more_funds_are_available() -> None:
    assert available_cash(replace(ACCOUNT, available_funds=Decimal(50_000))) == 10_000
    assert available_cash(replace(ACCOUNT, available_funds=None)) == 10_000


@pytest.mark.parametrize(
    ("account_type", "power", "which", "settles"),
    [
        ("IRA", 9_000, SettledCash.IRA, True),
        ("IRA-ROTH NEW", None, SettledCash.IRA, True),
        ("IRA", 36_000, SettledCash.IRA, False),
        ("INDIVIDUAL", 9_000, SettledCash.IRA, False),
        ("INDIVIDUAL", 9_000, SettledCash.CASH, True),
        ("INDIVIDUAL", 36_000, SettledCash.CASH, False),
        ("IRA", 9_000, SettledCash.OFF, False),
        (None, None, SettledCash.IRA, False),
    ],
)
def test_who_must_wait_for_proceeds_to_settle(
    account_type: str | None, power: int | None, which: SettledCash, settles: bool
) -> None:
    account = replace(ACCOUNT, account_type=account_type, buying_power=None if power is None else Decimal(power))
    assert must_settle(account, which) is settles


def test_settled_cash_is_spent_where_it_must_be_and_refused_where_nobody_tells_it() -> None:
    assert spendable_now(ACCOUNT, SettledCash.CASH) == 4_000
    assert spendable_now(ACCOUNT, SettledCash.OFF) == Decimal("8999.99")
    untold = replace(ACCOUNT, settled_cash=None)
    assert spendable_now(untold, SettledCash.CASH) == Decimal("8999.99"), "without margin, available funds are settled"
    with pytest.raises(Refused, match="settled_cash_missing"):
        spendable_now(replace(untold, available_funds=None), SettledCash.CASH)


def test_market_orders_keep_their_cushion_and_the_rest_go_with_them_as_limits() -> None:
    orders = [buy("A", 50), buy("B", 30), buy("C", 15)]
    limit = Decimal("100.50")
    # Limits bind 95 x 100.5 and three fees; a cushion takes 4.5 more of each share.
    assert wave(orders, "9550.49") == [("A", 50, None), ("B", 30, None)], "the third waits for what these leave"
    assert wave(orders, "9550.50") == [("A", 50, limit), ("B", 30, limit), ("C", 15, limit)]
    assert wave(orders, "9685.50") == [("A", 50, limit), ("B", 30, None), ("C", 15, limit)]
    assert wave(orders, "9775.49") == [("A", 50, limit), ("B", 30, None), ("C", 15, None)]
    assert wave(orders, "9775.50") == [("A", 50, None), ("B", 30, limit), ("C", 15, limit)]
    assert wave(orders, "9978") == [("A", 50, None), ("B", 30, None), ("C", 15, None)]


def test_where_the_broker_lends_market_orders_bind_their_price_alone() -> None:
    lends = replace(MARKET, cushion=Decimal(0))
    assert wave([buy("A", 50), buy("B", 30)], "8002", lends) == [("A", 50, None), ("B", 30, None)]


def test_what_lacks_its_cushion_gets_a_limit_within_the_funds() -> None:
    assert wave([buy("A", 50)], "5100") == [("A", 50, Decimal("100.50"))]
    assert wave([buy("A", 50)], "5010") == [("A", 50, Decimal("100.18"))]


def test_what_is_not_affordable_any_more_gets_fewer_shares_or_is_left_out() -> None:
    assert wave([buy("A", 50), buy("B", 1, "20")], "2000") == [("A", 19, Decimal("100.50"))]
    assert wave([buy("A", 50), buy("B", 1, "20")], "30") == [("B", 1, None)]
    assert wave([buy("A", 50)], "90") == []


def test_limits_keep_the_collar_on_the_worse_side() -> None:
    assert ticket(buy("A", 1, "100.01"), LIMIT, CENTS).limit_price == Decimal("100.51")
    sell = replace(buy("A", 1, "99.99"), side=Side.SELL)
    assert ticket(sell, LIMIT, CENTS).limit_price == Decimal("99.50")
    assert ticket(sell, LIMIT, CENTS).order_type is OrderType.LIMIT
    assert ticket(sell, MARKET, CENTS).limit_price is None
    assert ticket(sell, MARKET, CENTS).order_type is OrderType.MARKET


def test_limits_follow_the_price_and_not_the_smallest_step_of_the_contract() -> None:
    """Issue with VXX at 11.05: a min_tick of 0.0001 holds below a dollar only; 11.1114 is refused with code 110."""
    fine = replace(CENTS, min_tick=Decimal("0.0001"))
    assert ticket(buy("A", 1, "11.056"), LIMIT, fine).limit_price == Decimal("11.11")
    assert ticket(buy("A", 1, "0.5061"), LIMIT, fine).limit_price == Decimal("0.5086")
    sell = replace(buy("A", 1, "11.056"), side=Side.SELL)
    assert ticket(sell, LIMIT, fine).limit_price == Decimal("11.01")
    over_the_edge = replace(buy("A", 1, "0.99996"), side=Side.SELL)
    assert ticket(over_the_edge, replace(LIMIT, collar=Decimal(0)), fine).limit_price == Decimal(1)


ORDERS = st.lists(st.tuples(st.integers(1, 500), st.decimals("0.5", "900", places=2)), min_size=1, max_size=6).map(
    lambda rows: [buy(f"S{i}", quantity, str(price)) for i, (quantity, price) in enumerate(rows)]
)


@given(ORDERS, st.decimals("0", "500000", places=2), st.sampled_from([MARKET, LIMIT]))
def test_a_wave_never_binds_more_than_the_funds_and_waves_come_to_an_end(
    orders: list[ProposedOrder], funds: Decimal, terms: Terms
) -> None:
    left, waves = tuple(orders), 0
    instruments = {one.symbol: CENTS for one in orders}
    while left:
        tickets, rest = next_wave(left, funds, terms, instruments, FEES)
        assert len(rest) < len(left)
        bound = sum(one.order.quantity * (one.limit_price or one.order.price * Decimal("1.05")) for one in tickets)
        assert bound <= funds
        spent = (one.order.quantity * (one.limit_price or one.order.price) + one.order.fee for one in tickets)
        funds = max(Decimal(0), funds - sum(spent, Decimal(0)))
        left, waves = rest, waves + 1
    assert waves <= len(orders)


def test_a_buy_that_the_funds_shorten_keeps_to_its_lot() -> None:
    tickets, later = next_wave([buy("A", 100)], Decimal(6_000), LIMIT, {"A": replace(CENTS, lot=25)}, FEES)
    assert ([one.order.quantity for one in tickets], later) == ([50], ())
    assert next_wave([buy("A", 100)], Decimal(2_400), LIMIT, {"A": replace(CENTS, lot=25)}, FEES) == ((), ())


@pytest.mark.parametrize(
    ("order", "funds", "terms", "sent"),
    [
        # A market order binds its price, a twentieth more and the fee of that: 50 x 105 + 1.
        (buy("A", 50), "5251", MARKET, [("A", 50, None)]),
        (buy("A", 50), "5250.99", MARKET, [("A", 50, Decimal("100.50"))]),
        # A limit order binds its limit and the fee: 50 x 100.5 + 1.
        (buy("A", 50), "5026", LIMIT, [("A", 50, Decimal("100.50"))]),
        (buy("A", 50), "5025.99", LIMIT, [("A", 50, Decimal("100.49"))]),
        (buy("A", 1), "102", LIMIT, [("A", 1, Decimal("100.50"))]),
        (buy("A", 1), "100.99", LIMIT, []),
        (buy("A", 2), "110", LIMIT, [("A", 1, Decimal("100.50"))]),
    ],
)
def test_what_binds_exactly_the_funds_is_sent(
    order: ProposedOrder, funds: str, terms: Terms, sent: list[tuple[str, int, Decimal | None]]
) -> None:
    assert wave([order], funds, terms) == sent


def test_limit_orders_bind_their_limits_and_go_together() -> None:
    both = [("A", 50, Decimal("100.50")), ("B", 1, Decimal("100.50"))]
    assert wave([buy("A", 50), buy("B", 1)], "5127.50", LIMIT) == both
    assert wave([buy("A", 50), buy("B", 1)], "5127.49", LIMIT) == both[:1]


def test_a_buy_of_fewer_shares_has_the_fee_of_these() -> None:
    many = buy("A", 1000)
    (sent,), later = next_wave(
        [many, buy("B", 1), buy("C", 1)], Decimal(50_300), LIMIT, dict.fromkeys("ABC", CENTS), FEES
    )
    assert (many.fee, sent.order.quantity, sent.order.fee) == (5, 502, Decimal("2.51"))
    assert [one.symbol for one in later] == ["B", "C"], "what follows a shortened one waits for the next wave"
    (whole,), _ = next_wave([many], Decimal(100_100), MARKET, {"A": CENTS}, FEES)
    assert (whole.order, whole.limit_price) == (many, Decimal("100.09"))


def test_fees_of_a_shortened_buy_are_kept_at_the_highest_price() -> None:
    """A hundredth of the notional at most, so that a higher price costs a higher fee."""
    rate = FeeSchedule(Decimal(0), Decimal(10**6), Decimal("0.01"))
    (sent,), _ = next_wave([buy("A", 50)], Decimal("5050.26"), LIMIT, {"A": CENTS}, rate)
    assert (sent.order.quantity, sent.limit_price) == (50, Decimal("100.00"))
    (fewer,), _ = next_wave([buy("A", 50)], Decimal("5050.24"), LIMIT, {"A": CENTS}, rate)
    assert fewer.order.quantity == 49
