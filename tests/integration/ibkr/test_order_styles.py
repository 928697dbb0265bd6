"""Styles of orders over the wire: each is followed to its end, rests as long as it has to, and is refused by name."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from rebalancer.domain.errors import HeldToTheClose, OutcomeUnknown, Refused
from rebalancer.domain.order_states import OrderStatus
from rebalancer.domain.order_styles import refuses_style
from rebalancer.domain.orders import Algorithm, Fill, OrderRequest, OrderUpdate, SentOrder, StatusUpdate
from rebalancer.domain.portfolio import OrderType, Side
from rebalancer.domain.rule_names import Rule
from rebalancer.ibkr import BrokerOptions
from tests.integration.ibkr.serving import ServedGateway, connected, executing, order, serving, until

QUICK = BrokerOptions(commission_grace_s=0.1, verify_after_s=0.1, ack_timeout_s=0.5)
PATIENT = Algorithm("Adaptive", (("adaptivePriority", "Patient"),))
OVER_A_SECOND = {"orders": {"vwap_slices": 2}}


def vwap(seconds: int = 1) -> Algorithm:
    """From now on."""
    end = datetime.now(UTC) + timedelta(seconds=seconds)
    return Algorithm("Vwap", (("maxPctVol", "0.1"), ("endTime", f"{end:%Y%m%d %H:%M:%S} UTC")))


def on_close(ref: str = "r", price: str | None = None, **fields: Any) -> OrderRequest:
    """Rests until the closing auction."""
    if price is None:
        return order(ref, order_type=OrderType.MARKET_ON_CLOSE, **fields)
    return order(ref, order_type=OrderType.LIMIT_ON_CLOSE, limit_price=Decimal(price), **fields)


STYLES = {
    "midprice": order("r", order_type=OrderType.MIDPRICE),
    "midprice with a cap": order("r", order_type=OrderType.MIDPRICE, limit_price=Decimal("100.50")),
    "adaptive": order("r", algorithm=PATIENT),
    "adaptive with a limit": order("r", order_type=OrderType.LIMIT, limit_price=Decimal("100.50"), algorithm=PATIENT),
    "vwap": order("r", order_type=OrderType.LIMIT, limit_price=Decimal("100.50"), algorithm=vwap(3600)),
    "market on close": on_close(),
    "limit on close": on_close(price="100.50"),
}
every_style = pytest.mark.parametrize("asked", STYLES.values(), ids=STYLES)


def last_status(updates: list[OrderUpdate]) -> StatusUpdate:
    return [update for update in updates if isinstance(update, StatusUpdate)][-1]


def hold_auction(served: ServedGateway) -> None:
    assert served.do(lambda gateway: gateway.exchange.hold_auction()) == 1


@pytest.mark.parametrize("life", ["orderly", "captured", "filled_first"])
@pytest.mark.parametrize("asked", [STYLES["midprice"], STYLES["midprice with a cap"], STYLES["adaptive"]])
def test_an_order_is_followed_to_its_commission_whatever_works_it(asked: OrderRequest, life: str) -> None:
    with serving(orders={"life": life}) as served, connected(served) as broker:
        updates = list(executing(broker, [asked], 5))
        assert last_status(updates).status is OrderStatus.FILLED
        (fill,) = (update for update in updates if isinstance(update, Fill))
        assert Decimal(100) <= fill.price < Decimal("100.01")
        ticket = served.do(lambda gateway: gateway.orders[0].ticket)
        assert (ticket.order_type, ticket.limit_price) == (asked.order_type, asked.limit_price)
        assert ticket.algo_params == (asked.algorithm.parameters if asked.algorithm else ())


def test_a_vwap_order_is_followed_slice_by_slice() -> None:
    with serving(**OVER_A_SECOND) as served, connected(served) as broker:
        updates = list(executing(broker, [order("r", algorithm=vwap(2))], 10))
        assert [update.quantity for update in updates if isinstance(update, Fill)] == [5, 5]
        assert last_status(updates).status is OrderStatus.FILLED


@pytest.mark.parametrize("asked", [on_close(), on_close(price="100.50")])
def test_an_order_for_the_close_rests_and_is_neither_lost_nor_idle(asked: OrderRequest) -> None:
    with serving() as served, connected(served, options=QUICK) as broker:
        updates = executing(broker, [asked], 30)
        heard = [next(updates), next(updates)]
        assert last_status(heard).status is OrderStatus.PRE_SUBMITTED
        (listed,) = broker.open_orders("DU1")
        assert (listed.order_type, listed.on_close, listed.lies_idle) == (asked.order_type, True, False)
        trace = broker.trace("DU1", [SentOrder("r")])["r"]
        assert (trace.open, trace.lies_idle, trace.status) == (True, False, OrderStatus.PRE_SUBMITTED)
        hold_auction(served)
        heard += updates
        assert last_status(heard).status is OrderStatus.FILLED
        assert [update.price for update in heard if isinstance(update, Fill)] == [Decimal(100)]


def test_an_order_for_the_close_that_nothing_is_said_of_is_found_in_the_list() -> None:
    """Real gateways were silent about such orders until they ended: that is no window on their screen."""
    with serving(orders={"on_close": "silent"}) as served, connected(served, options=QUICK) as broker:
        updates = executing(broker, [on_close("a"), on_close("b")], 30)
        heard = [next(updates)]
        while len(heard) < 4:
            heard.append(next(updates))
        assert {one.status for one in heard if isinstance(one, StatusUpdate) and one.confirmed} == {
            OrderStatus.PRE_SUBMITTED
        }
        assert served.do(lambda gateway: gateway.exchange.hold_auction()) == 2
        heard += updates
        assert len([one for one in heard if isinstance(one, Fill)]) == 2
        assert not any(one.unacknowledged for one in heard if isinstance(one, StatusUpdate))


def test_a_limit_on_close_that_is_not_reached_ends_with_the_auction() -> None:
    with serving() as served, connected(served, options=QUICK) as broker:
        updates = executing(broker, [on_close(price="99.00")], 30)
        heard = [next(updates), next(updates)]
        hold_auction(served)
        heard += updates
        ended = last_status(heard)
        assert (ended.status, ended.filled, ended.refused) == (OrderStatus.CANCELLED, 0, False)


def test_at_its_deadline_an_order_for_the_close_is_cancelled_like_any_other() -> None:
    with serving() as served, connected(served, options=QUICK) as broker:
        with pytest.raises(OutcomeUnknown, match="not finished within") as late:
            list(executing(broker, [on_close()], 0.3))
        assert not isinstance(late.value, HeldToTheClose)
        assert [one.order_ref for one in broker.cancel_open_orders("DU1")] == ["r"]
        assert not broker.open_orders("DU1")
        assert served.do(lambda gateway: gateway.orders[0].status) is OrderStatus.CANCELLED


def closing_soon() -> tuple[datetime, dict[str, Any]]:
    """A session in which an order for the close is still taken, and seconds later cannot be cancelled."""
    cutoff = datetime.now(UTC) + timedelta(seconds=2)
    return cutoff, {"mode": "open", "closes": cutoff + timedelta(minutes=10)}


@pytest.mark.parametrize("owner", [7, 8])
def test_a_cancel_that_comes_after_the_cutoff_means_to_wait_for_the_close(owner: int) -> None:
    cutoff, session = closing_soon()
    with serving(market=session) as served, connected(served) as broker:
        with connected(served, client_id=owner) as sender:
            next(executing(sender, [on_close()], 5))
            until(lambda: bool(served.do(lambda gateway: gateway.exchange.book.open_orders())))
        until(lambda: datetime.now(UTC) > cutoff)
        started = time.monotonic()
        with pytest.raises(HeldToTheClose, match=r"too late to cancel: BUY 10 SPY \(PreSubmitted"):
            broker.cancel_open_orders("DU1")
        assert time.monotonic() - started < 10, "well before the time in which other orders have to be gone"
        (listed,) = broker.open_orders("DU1")
        assert listed.status is OrderStatus.PRE_SUBMITTED
        hold_auction(served)
        trace = broker.trace("DU1", [SentOrder("r")])["r"]
        assert (trace.status, trace.stated) == (OrderStatus.FILLED, 10)
        assert broker.cancel_open_orders("DU1") == ()


def test_one_refused_cancel_of_an_order_for_the_close_proves_nothing() -> None:
    busy = {"cancel_refusals": {"SPY": {"code": 161, "times": 1}}}
    with serving(faults=busy) as served, connected(served) as broker:
        next(executing(broker, [on_close()], 5))
        until(lambda: bool(served.do(lambda gateway: gateway.exchange.book.open_orders())))
        assert [one.order_ref for one in broker.cancel_open_orders("DU1")] == ["r"]


def test_an_order_for_the_close_keeps_no_other_from_being_waited_for() -> None:
    """Only where nothing else is open the close is what one waits for."""
    faults = {"ignored_cancels": ["GLD"], "cancel_refusals": {"SPY": {"code": 10148}}}
    options = BrokerOptions(cancel_timeout_s=3)
    with serving(faults=faults, fills={"mode": "never"}) as served, connected(served, options=options) as broker:
        held = order("held", "GLD", order_type=OrderType.LIMIT, limit_price=Decimal(50))
        with pytest.raises(OutcomeUnknown):
            list(executing(broker, [on_close(), held], 0.5))
        with pytest.raises(OutcomeUnknown, match="still open 3 s after the cancel") as stuck:
            broker.cancel_open_orders("DU1")
        assert not isinstance(stuck.value, HeldToTheClose)
        assert served.do(lambda gateway: len(gateway.exchange.book.open_orders())) == 2


# -- refusals --------------------------------------------------------------------------------------------------------

NEVER_TAKEN = [*("MIDPRICE", "MOC", "LOC"), *("Adaptive", "Vwap")]


@every_style
@pytest.mark.parametrize("life", ["orderly", "captured"])
def test_a_style_that_the_broker_does_not_take_is_known_by_its_refusal(asked: OrderRequest, life: str) -> None:
    refused = {"faults": {"refused_styles": NEVER_TAKEN}, "orders": {"life": life}}
    with serving(**refused) as served, connected(served, options=QUICK) as broker:
        updates = list(executing(broker, [asked], 10))
        ended = last_status(updates)
        assert (ended.status, ended.refused) == (OrderStatus.CANCELLED, True)
        assert ended.code is not None
        assert ended.text is not None
        assert refuses_style(ended.code, ended.text)
        assert not served.do(lambda gateway: gateway.orders)


@pytest.mark.parametrize(
    "algorithm",
    [
        Algorithm("Nonesuch"),
        Algorithm("Adaptive", (("adaptivePriority", "Critical"),)),
        Algorithm("Vwap", (("maxPctVol", "80"),)),
        Algorithm("Vwap", (("riskAversion", "Neutral"),)),
        Algorithm("Vwap", (("endTime", "noon"),)),
        Algorithm("Vwap", (("startTime", "20260101 10:00:00 UTC"), ("endTime", "20260101 11:00:00 UTC"))),
    ],
    ids=["unknown", "value", "bounds", "parameter", "time", "past"],
)
def test_an_algorithm_that_the_broker_objects_to_ends_its_order_and_says_why(algorithm: Algorithm) -> None:
    with serving() as served, connected(served, options=QUICK) as broker:
        updates = list(executing(broker, [order("r", algorithm=algorithm)], 10))
        ended = last_status(updates)
        assert ended.status is OrderStatus.CANCELLED
        assert refuses_style(ended.code or 0, ended.text or "")
        assert served.do(lambda gateway: gateway.executions) == []


def test_an_order_that_comes_too_late_for_the_auction_is_refused_for_its_style() -> None:
    closes = {"mode": "open", "closes": datetime.now(UTC) + timedelta(minutes=9)}
    with serving(market=closes) as served, connected(served, options=QUICK) as broker:
        ended = last_status(list(executing(broker, [on_close()], 10)))
        assert (ended.status, ended.code, ended.refused) == (OrderStatus.CANCELLED, 201, True)
        assert refuses_style(201, ended.text or "")
        list(executing(broker, [order("plain")], 10))
        assert served.do(lambda gateway: gateway.orders[-1].status) is OrderStatus.FILLED


def test_a_refusal_of_the_order_itself_is_none_of_its_style() -> None:
    with serving() as served, connected(served, options=QUICK) as broker:
        ended = last_status(list(executing(broker, [order("r", quantity=100_000, algorithm=PATIENT)], 10)))
        assert (ended.code, ended.refused) == (201, True)
        assert not refuses_style(201, ended.text or "")


# -- what-if ---------------------------------------------------------------------------------------------------------


@every_style
def test_a_what_if_order_of_each_style_is_answered_and_none_is_sent(asked: OrderRequest) -> None:
    with serving() as served, connected(served) as broker:
        change = broker.what_if(asked, 5)
        assert change is not None
        assert change.initial > 0
        assert not served.do(lambda gateway: gateway.orders)


@every_style
def test_a_what_if_order_tells_that_a_style_is_not_taken(asked: OrderRequest) -> None:
    with serving(faults={"refused_styles": NEVER_TAKEN}) as served, connected(served) as broker:
        with pytest.raises(Refused) as refused:
            broker.what_if(asked, 5)
        assert refused.value.rule is Rule.WHAT_IF_REFUSED
        assert refuses_style(int(refused.value.numbers["code"]), refused.value.reason)


def test_orders_of_a_person_with_an_algorithm_are_listed_and_cancelled() -> None:
    """What others have open is read whatever works it."""
    with serving(fills={"mode": "never"}) as served, connected(served) as broker:
        with connected(served, client_id=9) as other:
            asked = order("theirs", side=Side.SELL, algorithm=PATIENT)
            next(executing(other, [asked], 5))
            until(lambda: bool(served.do(lambda gateway: gateway.exchange.book.open_orders())))
        (listed,) = broker.open_orders("DU1")
        assert (listed.order_ref, listed.side, listed.quantity, listed.on_close) == ("theirs", Side.SELL, 10, False)
        assert [one.order_ref for one in broker.cancel_open_orders("DU1")] == ["theirs"]
