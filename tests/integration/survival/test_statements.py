"""A fill that anyone at the broker states is a fill: nothing is bought twice because an execution is not told."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import select

from rebalancer.ibkr import BrokerOptions
from rebalancer.ledger.models import FillRow, Order, OrderReport
from rebalancer.ledger.queries import trading_activity
from rebalancer.ledger.states import EventState
from rebalancer.usecases import snapshots
from sandbox.gateway.behaviour import Delivery, Incoming
from sandbox.gateway.fault_settings import Faults
from sandbox.gateway.faults import FaultyBehaviour
from sandbox.gateway.messages import COMMISSION, EXECUTION
from sandbox.gateway.requests import PLACE_ORDER
from sandbox.gateway.scenario import OpenOrder
from sandbox.gateway.server import Gateway
from sandbox.gateway.timekeeping import Timekeeping
from sandbox.gateway.wire import Message
from tests.integration.survival.conftest import MakeBench
from tests.integration.survival.harness import (
    ACCOUNT,
    Behind,
    Bench,
    Outcome,
    change_faults,
    ends_on_target,
    soon,
    when_orders_arrive,
)

STATUS, OPEN_ORDER, COMPLETED = 3, 5, 101
ONE_BUY = {ACCOUNT: {"cash": 60_000, "positions": {"SPY": 400}}}
WANTED = {"SPY": Decimal(400), "GLD": Decimal(198)}
LIVES = ["orderly", "captured", "filled_first"]
ODD_ZONES = [
    {"time_zone": "Asia/Tokyo", "zone_name": "JST"},
    {"time_zone": "Asia/Shanghai", "zone_name": "China Standard Time"},
    {"zone_name": "EDT"},
    {"time_zone": "Etc/GMT+5", "zone_name": "GMT-05:00"},
    {"execution_time": "local"},
    {"execution_time": "utc"},
]


class Lagging(FaultyBehaviour):
    """Positions and account values stay as they are for a while after the first order."""

    def __init__(self, lag_s: float, faults: dict[str, Any]) -> None:
        super().__init__(Faults.model_validate(faults))
        self._lag_s = lag_s
        self._behind = Behind()
        self._until: float | None = None

    def lag_again(self, lag_s: float) -> None:
        """The same after the next order."""
        self._lag_s, self._until = lag_s, None

    def incoming(self, client_id: int, message_id: int) -> Incoming:
        if message_id == PLACE_ORDER and self._until is None:
            self._until = time.monotonic() + self._lag_s
        return super().incoming(client_id, message_id)

    def outgoing(self, client_id: int, message: Message) -> Sequence[Delivery]:
        self._behind.frozen = self._until is not None and time.monotonic() < self._until
        passed = super().outgoing(client_id, message)
        return [each for one in passed for each in self._behind.outgoing(client_id, one.message)]


class Leaving(Lagging):
    """Ends every connection from the first order on."""

    def incoming(self, client_id: int, message_id: int) -> Incoming:
        verdict = super().incoming(client_id, message_id)
        if message_id == PLACE_ORDER:
            self.change(Faults(connections="reset"))
        return verdict


@pytest.fixture
def one_buy(benches: MakeBench) -> Callable[..., Any]:
    """Makes benches whose account needs one order: BUY 198 GLD."""

    @contextmanager
    def make(
        lag_s: float, faults: dict[str, Any] | None = None, kind: type[Lagging] = Lagging, **scenario: Any
    ) -> Iterator[Bench]:
        with benches(kind(lag_s, faults or {}), accounts=ONE_BUY, **scenario) as here:
            account = here._accounts[ACCOUNT]
            here._accounts = {ACCOUNT: replace(account, rules=replace(account.rules, allow_cash_share=True))}
            with here.targets({"SPY": 0.404, "GLD": 0.2}):
                here.broker.managed_accounts()
                yield here

    return make


def bought_once(here: Bench, outcomes: Sequence[Outcome]) -> None:
    """Exactly the wanted shares by one order; nobody calls it unfilled or unsent; the day's turnover has it."""
    assert outcomes[-1].state is EventState.SUCCEEDED, outcomes
    assert not [one.error for one in outcomes if "nfilled" in one.error]
    orders = here.served.do(
        lambda gateway: [(str(one.side), one.symbol, one.ticket.quantity) for one in gateway.orders]
    )
    assert orders == [("BUY", "GLD", 198)]
    assert here.positions == WANTED
    with here.ledger.begin() as session:
        row = session.scalars(select(Order)).one()
        assert (row.status, row.filled, row.final_at is None) == ("Filled", 198, False)
        traded = trading_activity.traded_since(session, ACCOUNT, datetime.now(UTC) - timedelta(hours=1))
    assert traded.orders == 1
    assert abs(traded.notional - 198 * 100) < 100


def tell_executions(here: Bench) -> None:
    """The gateway tells everything again; the next run asks."""
    here.served.do(lambda gateway: gateway.set_faults(Faults()))
    assert here.rebalance().state is EventState.SUCCEEDED
    with here.ledger.begin() as session:
        assert [(row.quantity, row.commission) for row in session.scalars(select(FillRow))] == [(198, 1)]
    assert here.positions == WANTED


def run(here: Bench, how: str, attempts: int = 3) -> list[Outcome]:
    """One event, tried until it succeeds; ``crash`` means that the worker does not outlive a lost connection."""
    if how == "crash":
        here.settings["reconnect_timeout_s"] = 0
    event_id = here.request()
    outcomes: list[Outcome] = []
    while len(outcomes) < attempts and not (outcomes and outcomes[-1].state is EventState.SUCCEEDED):
        outcomes.append(here.attempt(event_id))
        if how == "crash":
            here.link.close()
            here._open()
    return outcomes


@pytest.mark.parametrize("how", ["reset", "crash"])
@pytest.mark.parametrize("omits", [[], ["account"], ["order_ref"], ["filled"], ["account", "order_ref", "filled"]])
def test_f27_an_empty_list_of_executions_is_no_proof_that_nothing_filled(
    one_buy: Callable[..., Any], how: str, omits: list[str]
) -> None:
    gateway = {"messages_per_window": 1000, "completed_order_omits": ["quantity", *omits]}
    faults = {"executions": "empty", "order_reset": {"when": "after"}}
    with one_buy(0.6, faults, gateway=gateway) as here:
        bought_once(here, run(here, how))
        with here.ledger.begin() as session:
            texts = session.scalars(select(OrderReport.text)).all()
        assert "198 filled, execution of 198 not told" in texts
        tell_executions(here)


@pytest.mark.parametrize("lag_s", [0.5, 3.0])
def test_f27_the_default_deadlines_are_patient_enough(one_buy: Callable[..., Any], lag_s: float) -> None:
    with one_buy(lag_s, {"executions": "empty", "order_reset": {"when": "after"}}) as here:
        here.settings = {"ib_port": 4002, "order_timeout_s": 20}
        here.options = BrokerOptions()
        here.reconnect()
        here.broker.snapshot(ACCOUNT)  # what the gateway keeps showing while it lags
        bought_once(here, run(here, "reset", 1))


def test_f27_a_partial_list_of_executions_counts_whole(one_buy: Callable[..., Any]) -> None:
    fills = {"mode": "partial", "slices": 2, "delay_ms": 0, "interval_ms": 1}
    with one_buy(0.6, {"executions": "partial", "order_reset": {"when": "after"}}, fills=fills) as here:
        bought_once(here, run(here, "reset"))


@pytest.mark.parametrize("life", LIVES)
@pytest.mark.parametrize("beside", [[], [COMMISSION], [STATUS], [OPEN_ORDER]])
def test_f27_a_status_or_an_order_that_says_filled_is_enough(
    one_buy: Callable[..., Any], beside: list[int], life: str
) -> None:
    """No execution is ever told, neither pushed nor asked for."""
    with one_buy(0.6, {"dropped_messages": [EXECUTION, *beside]}, orders={"life": life}) as here:
        here.patience(commission_grace_s=0.1)
        bought_once(here, run(here, "reset"))
        tell_executions(here)


@pytest.mark.parametrize("gateway", ODD_ZONES, ids=lambda gateway: str(list(gateway.values())))
def test_f27_no_zone_name_loses_an_execution(one_buy: Callable[..., Any], gateway: dict[str, Any]) -> None:
    with one_buy(0.6, gateway=gateway) as here:
        bought_once(here, run(here, "reset", 1))
        with here.ledger.begin() as session:
            (at,) = session.scalars(select(FillRow.at)).all()
        assert abs(at - datetime.now(UTC)) < timedelta(seconds=10)


def test_f27_an_acknowledged_order_that_vanished_is_waited_for(one_buy: Callable[..., Any]) -> None:
    """Its status came, then the connection died, and none of the lists knows it."""
    fills = {"mode": "delayed", "delay_ms": 200}
    with one_buy(1.5, {"executions": "empty", "dropped_messages": [COMPLETED]}, fills=fills) as here:
        when_orders_arrive(here, 1, lambda gateway: soon(0.05, lambda: asyncio.ensure_future(gateway.restart(0.4))))
        outcomes = run(here, "reset")
        assert outcomes[-1].state is EventState.SUCCEEDED, outcomes
        assert here.positions == WANTED
        assert len(here.refs) == 1
        with here.ledger.begin() as session:
            assert session.scalars(select(Order.status)).all() == ["Unlisted"]
        tell_executions(here)


def test_f27_lists_that_lack_what_filled_today_prove_nothing(one_buy: Callable[..., Any]) -> None:
    """Nothing at all was heard of the second order, and both lists are empty: so they are of the first."""
    with one_buy(0, {}) as here:
        assert here.rebalance().state is EventState.SUCCEEDED
        behaviour = here.served.gateway.behaviour
        assert isinstance(behaviour, Lagging)
        behaviour.lag_again(1.2)
        here.fault(executions="empty", dropped_messages=[COMPLETED], order_reset={"when": "after"})
        with here.targets({"SPY": 0.404, "GLD": 0.3}):
            outcomes = run(here, "reset")
        assert outcomes[-1].state is EventState.SUCCEEDED, outcomes
        assert len(here.refs) == 2
        assert here.positions["GLD"] in range(296, 299)


def test_f27_an_order_of_the_gateways_yesterday_is_waited_for(one_buy: Callable[..., Any]) -> None:
    """Midnight passes at the gateway between the order and the question for it."""
    with one_buy(1.2, {"order_reset": {"when": "after"}}, Leaving) as here:
        here.settings |= {"clock_tolerance_s": 3600, "reconnect_timeout_s": 0}
        event_id = here.request()
        assert here.attempt(event_id).state is EventState.RETRYING
        here.served.do(_end_the_day)
        here.fault()
        outcome = here.attempt(event_id)
        assert outcome.state is EventState.SUCCEEDED, outcome
        assert here.positions == WANTED
        assert len(here.refs) == 1
        with here.ledger.begin() as session:
            assert session.scalars(select(Order.status)).all() == ["Unlisted"]


def test_f27_somebody_elses_order_that_looks_like_ours_delays_and_never_stops(
    one_buy: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ours never arrived, and a person bought the same at the same time, in a list that names nobody."""
    monkeypatch.setattr(snapshots, "LAG", timedelta(seconds=1))
    gateway = {"messages_per_window": 1000, "completed_order_omits": ["quantity", "account", "order_ref"]}
    with one_buy(0, {"executions": "empty", "order_reset": {"when": "before"}}, gateway=gateway) as here:
        theirs = OpenOrder(symbol="GLD", side="BUY", quantity=Decimal(198), limit_price=Decimal(120))
        here.patience(books_timeout_s=0.2)
        here.served.do(lambda gateway: gateway.exchange.enter(ACCOUNT, theirs))
        outcomes = run(here, "reset", 8)
        assert outcomes[-1].state is EventState.SUCCEEDED, outcomes
        assert here.positions == WANTED


def _end_the_day(gateway: Gateway) -> None:
    """Set the gateway's zone and clock so that its last fill happened right before its midnight."""
    at = gateway.executions[-1].at
    hour = (at.hour + 1) % 24
    zone = f"Etc/GMT+{hour}" if hour <= 12 else f"Etc/GMT-{24 - hour}"
    ahead_s = 3600 - timedelta(minutes=at.minute, seconds=at.second, microseconds=at.microsecond).total_seconds() - 0.01
    settings = {"time_zone": zone, "clock_ahead_s": Decimal(repr(ahead_s))}
    gateway.exchange.time = Timekeeping(gateway.setup.gateway.model_copy(update=settings))


@pytest.mark.parametrize("life", LIVES)
@pytest.mark.parametrize("late", [STATUS, OPEN_ORDER, EXECUTION, COMMISSION])
def test_f27_every_order_of_messages_ends_on_target(benches: MakeBench, life: str, late: int) -> None:
    with benches(orders={"life": life}, faults={"delayed_ms": {late: 80}}) as here:
        here.aim()
        ends_on_target(here, 1)


@pytest.mark.parametrize("life", LIVES)
def test_f27_a_rejection_is_one_in_every_order_of_messages(benches: MakeBench, life: str) -> None:
    with benches(orders={"life": life}, faults={"rejections": {"GLD": {"code": 201, "text": "no thanks"}}}) as here:
        here.aim()
        event_id = here.request()
        outcome = here.attempt(event_id)
        assert "code 201: no thanks" in outcome.error
        here.served.do(lambda gateway: change_faults(gateway, rejections={}))
        here.finish(event_id)
        assert here.positions == here.wanted
        here.prove_books()


@pytest.mark.parametrize("life", LIVES)
def test_f27_what_does_not_fill_is_cancelled_in_every_order_of_messages(benches: MakeBench, life: str) -> None:
    fills = {"by_symbol": {"IWM": {"mode": "partial", "fraction": "0.4", "slices": 2, "delay_ms": 0}}}
    with benches(orders={"life": life}, fills=fills) as here:
        here.aim()
        here.settings |= {"order_timeout_s": 0.4, "order_rounds": 1}
        event_id = here.request()
        here.attempt(event_id)
        assert here.served.do(lambda gateway: gateway.exchange.book.open_orders(ACCOUNT)) == []
        here.prove_books()
