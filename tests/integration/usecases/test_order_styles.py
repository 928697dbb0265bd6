"""How a run works its orders: each style to its end, what is left of it, what the broker refuses."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from rebalancer.domain.accounts import AccountRules
from rebalancer.domain.errors import RemovalRequested
from rebalancer.domain.order_styles import OrderStyle, StyleChoice, StyleRules
from rebalancer.domain.orders import OrderRequest
from rebalancer.domain.portfolio import OrderType, Side, TimeInForce
from rebalancer.domain.rule_names import Rule
from rebalancer.domain.units import Usd
from rebalancer.usecases import Blocked, print_rebalance, rebalance
from tests import memory_record
from tests.integration.ibkr.serving import until
from tests.integration.usecases.conftest import ACCOUNT, HOLDINGS, Desk, desk
from tests.integration.usecases.test_rebalance import blocked, on_record

PACE = {"style_patience_s": 1, "walk_step_s": 0.2, "vwap_minutes": 1}
SLOW = {"mode": "delayed", "delay_ms": 30_000}
AT_ONCE = [style for style in OrderStyle if not style.on_close and style is not OrderStyle.VWAP]


def styled(here: Desk, style: OrderStyle, **settings: Any) -> None:
    here.settings |= {"order_style": style, **PACE, **settings}


def of(here: Desk, symbol: str) -> list[OrderRequest]:
    """What was asked for of a symbol, oldest first."""
    return [order.request for order in here.ledger.orders.values() if order.request.symbol == symbol]


def styles(here: Desk, symbol: str) -> list[OrderStyle | None]:
    return [None if request.style is None else request.style.style for request in of(here, symbol)]


def closing_in(minutes: float) -> dict[str, Any]:
    """A market whose session ends then."""
    return {"market": {"mode": "open", "closes": datetime.now(UTC) + timedelta(minutes=minutes)}}


def on_targets(here: Desk) -> None:
    assert here.positions.keys() == {"SPY", "VXX", "GLD", "TLT", "QQQ"}
    on_record(here)


@pytest.mark.parametrize("style", AT_ONCE)
def test_each_style_brings_the_account_to_the_same_shares(here: Desk, style: OrderStyle) -> None:
    plain = print_rebalance(here.context(here.claim()))["orders"]
    styled(here, style)
    preview = print_rebalance(here.context(memory_record.claim(here.ledger)))["orders"]
    styling = {"style": style, "style_why": "ORDER_STYLE", "style_instead_of": None}
    assert preview == [one | styling for one in plain]
    result = rebalance(here.context(here.claim()))
    assert isinstance(result, dict)
    on_targets(here)
    wanted = {symbol: Decimal(shares) for symbol, shares in HOLDINGS.items()}
    for one in plain:
        signed = one["quantity"] if one["action"] == "BUY" else -one["quantity"]
        wanted[one["symbol"]] = wanted.get(one["symbol"], Decimal(0)) + signed
    # Fills above the middle may leave a share too few for the cash.
    short = {symbol: shares - here.positions.get(symbol, 0) for symbol, shares in wanted.items()}
    assert all(0 <= missing <= 1 for missing in short.values()), short
    assert {request.time_in_force for request in of(here, "GLD")} == {TimeInForce.DAY}


def test_without_a_style_requests_are_what_they_were(here: Desk) -> None:
    here.settings |= {**PACE, "time_in_force": "GTC"}
    preview = print_rebalance(here.context(here.claim()))
    rebalance(here.context(here.claim()))
    on_targets(here)
    requests = [order.request for order in here.ledger.orders.values()]
    assert {(one.style, one.algorithm, one.order_type, one.limit_price) for one in requests} == {
        (None, None, OrderType.MARKET, None)
    }
    assert {one.time_in_force for one in requests} == {TimeInForce.GTC}
    assert "style" not in preview["orders"][0]
    assert all("styles" not in plan for plan in here.ledger.plans.values())


def test_what_is_left_of_a_style_walks_to_the_collar_step_by_step(here: Desk) -> None:
    styled(here, OrderStyle.ADAPTIVE_NORMAL)
    here.fault(fills={"GLD": SLOW})

    def heal() -> None:
        until(lambda: any(request.order_ref in here.open_refs for request in of(here, "GLD")), 10)
        here.fault()

    with here.amid_orders(heal):
        rebalance(here.context(here.claim()))
    on_targets(here)
    found = styles(here, "GLD")
    assert found[0] is OrderStyle.ADAPTIVE_NORMAL
    assert found[1:] == [OrderStyle.WALK] * 2, "from the middle, and a step beyond the touch"
    first, second = of(here, "GLD")[1:]
    assert first.style == StyleChoice(
        OrderStyle.WALK, "step 1 of 5, for what adaptive-normal has left", OrderStyle.ADAPTIVE_NORMAL
    )
    assert first.limit_price is not None
    assert second.limit_price is not None
    assert first.limit_price < second.limit_price
    assert len({request.order_ref for request in of(here, "GLD")}) == 3


def test_a_walk_ends_at_the_collar_and_is_no_endless_loop(here: Desk) -> None:
    styled(here, OrderStyle.WALK, walk_steps=3, order_rounds=1, order_timeout_s=0.5)
    here.fault(fills={"GLD": {"mode": "never"}})
    with pytest.raises(Exception, match="unfinished after 5 rounds"):
        rebalance(here.context(here.claim()))
    limits = [request.limit_price for request in of(here, "GLD")]
    assert limits[2] == limits[3] == limits[4], "one round more than steps, and the usual ones"
    assert limits[:3] == sorted(set(limits[:3]))  # type: ignore[type-var]
    assert limits[2] == Decimal("100.51")
    on_record(here)


@pytest.mark.parametrize(
    ("style", "refused", "code"),
    [(OrderStyle.MIDPRICE, "MIDPRICE", 387), (OrderStyle.ADAPTIVE_URGENT, "Adaptive", 442)],
)
def test_a_style_that_the_broker_refuses_is_replaced_once_by_rule(
    here: Desk, style: OrderStyle, refused: str, code: int
) -> None:
    styled(here, style)
    here.fault(refused_styles=[refused])
    result = rebalance(here.context(here.claim()))
    assert isinstance(result, dict)
    on_targets(here)
    first, second = of(here, "GLD")
    assert first.style == StyleChoice(style, "ORDER_STYLE")
    assert second.style is not None
    assert (second.style.style, second.style.instead_of) == (OrderStyle.MARKET, style)
    assert second.style.why.startswith(f"the broker refuses {style}: {code}")
    assert second.order_type is OrderType.MARKET


def test_a_vwap_order_is_filled_in_pieces_over_its_time(here: Desk) -> None:
    styled(here, OrderStyle.VWAP)
    context = here.context(here.claim())
    seconds = replace(context.styles.terms, vwap=timedelta(seconds=3))
    rebalance(replace(context, styles=replace(context.styles, terms=seconds)))
    on_targets(here)
    (order,) = (one for one in here.ledger.orders.values() if one.request.symbol == "IWM")
    assert order.request.algorithm is not None
    assert order.request.algorithm.strategy == "Vwap"
    times = sorted(fill.at for fill in order.progress.fills.values())
    assert len(times) == 4
    assert times[-1] - times[0] >= timedelta(seconds=1)


def test_an_order_that_is_refused_for_itself_is_refused_as_ever(here: Desk) -> None:
    styled(here, OrderStyle.ADAPTIVE_NORMAL)
    here.fault(rejections={"GLD": {"code": 201, "text": "Order rejected - reason: no trading permission"}})
    with pytest.raises(Exception, match="rejected by the broker with code 201"):
        rebalance(here.context(here.claim()))
    assert styles(here, "GLD") == [OrderStyle.ADAPTIVE_NORMAL]
    on_record(here)


def test_symbols_and_sizes_have_styles_of_their_own(here: Desk) -> None:
    styled(here, OrderStyle.ADAPTIVE_NORMAL)
    sizes = {Usd(Decimal(15_000)): OrderStyle.LIMIT}
    here.rules = AccountRules(styles=StyleRules(symbols={"GLD": OrderStyle.MIDPRICE}, over_usd=sizes))
    rebalance(here.context(here.claim()))
    on_targets(here)
    assert styles(here, "GLD") == [OrderStyle.MIDPRICE]
    assert styles(here, "QQQ") == [OrderStyle.LIMIT], "19300 USD"
    assert styles(here, "VXX") == [OrderStyle.ADAPTIVE_NORMAL], "14900 USD"
    assert {request.style.why for request in of(here, "GLD") if request.style} == {"symbol GLD"}


# -- halts ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("style", [OrderStyle.VWAP, OrderStyle.ADAPTIVE_PATIENT])
def test_a_halt_ends_a_long_wait_and_nothing_is_left_working(here: Desk, style: OrderStyle) -> None:
    styled(here, style, style_patience_s=60)
    here.fault(fills={"*": SLOW})
    with here.amid_orders(lambda: here.ledger.halt(ACCOUNT), 2):
        began = datetime.now(UTC)
        outcome = blocked(rebalance(here.context(here.claim())))
    assert outcome.rule is Rule.HALT
    assert datetime.now(UTC) - began < timedelta(seconds=20)
    on_record(here)
    assert set(here.statuses().values()) == {"Cancelled"}


def test_a_removal_ends_a_long_wait_and_nothing_is_left_working(here: Desk) -> None:
    styled(here, OrderStyle.VWAP)
    here.fault(fills={"*": SLOW})
    run = here.claim()
    with here.amid_orders(lambda: here.ledger.remove(run), 2), pytest.raises(RemovalRequested):
        rebalance(here.context(run))
    on_record(here)
    assert set(here.statuses().values()) == {"Cancelled"}


def test_a_lost_connection_amid_a_long_wait_is_recovered_and_the_rest_walks(here: Desk) -> None:
    styled(here, OrderStyle.ADAPTIVE_PATIENT, style_patience_s=60)
    here.fault(fills={"IWM": SLOW})

    def cut() -> None:
        here.fault()
        here.served.do(lambda gateway: gateway.disconnect_all())

    with here.amid_orders(cut, 2):
        rebalance(here.context(here.claim()))
    on_targets(here)
    assert styles(here, "IWM")[:2] == [OrderStyle.ADAPTIVE_PATIENT, OrderStyle.WALK]


def test_a_halt_amid_a_walk_sends_no_further_step(here: Desk) -> None:
    styled(here, OrderStyle.WALK, walk_step_s=1)
    here.fault(fills={"*": {"mode": "never"}})
    with here.amid_orders(lambda: here.ledger.halt(ACCOUNT)):
        outcome = blocked(rebalance(here.context(here.claim())))
    assert outcome.rule is Rule.HALT
    on_record(here)
    assert len(of(here, "IWM")) == 1


# -- the closing auction ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("style", [OrderStyle.MARKET_ON_CLOSE, OrderStyle.LIMIT_ON_CLOSE])
def test_orders_for_the_close_wait_for_it(style: OrderStyle) -> None:
    with desk(positions={}, **closing_in(12)) as here:
        styled(here, style)

        def hold() -> None:
            here.served.do(lambda gateway: gateway.exchange.hold_auction())

        with here.amid_orders(hold, 5):
            result = rebalance(here.context(here.claim()))
        assert isinstance(result, dict)
        on_targets(here)
        assert {order.request.style.style for order in here.ledger.orders.values() if order.request.style} == {style}
        assert len(here.ledger.orders) == 5


def test_sells_and_buys_that_need_nothing_of_each_other_are_in_one_auction() -> None:
    with desk(positions={"IWM": 30}, **closing_in(12)) as here:
        styled(here, OrderStyle.MARKET_ON_CLOSE)
        here.rules = AccountRules(allow_cash_share=True)
        here.targets.weights = {"IWM": "0.05", "SPY": "0.5"}

        def hold() -> None:
            here.served.do(lambda gateway: gateway.exchange.hold_auction())

        with here.amid_orders(hold, 2):
            rebalance(here.context(here.claim()))
        assert [(one.request.side, one.request.order_type) for one in here.ledger.orders.values()] == [
            (Side.SELL, OrderType.MARKET_ON_CLOSE),
            (Side.BUY, OrderType.MARKET_ON_CLOSE),
        ]
        assert here.positions["IWM"] < 30
        assert here.positions["SPY"] > 100
        on_record(here)


def test_orders_for_the_close_are_held_until_shortly_before_its_cut_off() -> None:
    with desk(positions={}, **closing_in(60)) as here:
        styled(here, OrderStyle.MARKET_ON_CLOSE)
        here.rules = AccountRules(styles=StyleRules(symbols={"GLD": OrderStyle.LIMIT}))
        preview = print_rebalance(here.context(here.claim()))
        outcome = blocked(rebalance(here.context(here.claim())))
        assert outcome.rule is Rule.ON_CLOSE
        assert outcome.until - datetime.now(UTC) > timedelta(minutes=43)
        assert "QQQ, SPY, TLT, VXX wait for the closing auction" in outcome.reason
        assert here.positions.keys() == {"GLD"}, "what does not wait is bought at once"
        assert [one for one in preview["rules"] if one["rule"] == Rule.ON_CLOSE]
        on_record(here)


def test_buys_that_need_what_the_sells_bring_do_not_wait_for_the_close() -> None:
    with desk(**closing_in(12)) as here:
        styled(here, OrderStyle.MARKET_ON_CLOSE)
        rebalance(here.context(here.claim()))
        on_targets(here)
        (sell,) = of(here, "IWM")
        assert sell.style == StyleChoice(
            OrderStyle.MARKET,
            "moc by ORDER_STYLE, but buys need what is sold first",
            OrderStyle.MARKET_ON_CLOSE,
        )


def test_after_the_cut_off_the_order_type_decides() -> None:
    with desk(positions={}, **closing_in(9)) as here:
        styled(here, OrderStyle.MARKET_ON_CLOSE)
        rebalance(here.context(here.claim()))
        on_targets(here)
        assert styles(here, "GLD") == [OrderStyle.MARKET]


def test_a_halt_before_the_cut_off_cancels_what_waits_for_the_close() -> None:
    with desk(positions={}, **closing_in(12)) as here:
        styled(here, OrderStyle.MARKET_ON_CLOSE)
        with here.amid_orders(lambda: here.ledger.halt(ACCOUNT), 5):
            outcome = rebalance(here.context(here.claim()))
        assert isinstance(outcome, Blocked)
        assert outcome.rule is Rule.HALT
        until(lambda: not here.open_refs, 5)
        assert here.positions == {}
        on_record(here)
