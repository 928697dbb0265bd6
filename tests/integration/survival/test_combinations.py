"""Whole runs under combinations of real-broker quirks and faults, judged by the gateway's books.

Hypothesis draws accounts, targets, quirks and faults. The event is tried while they last, and again afterwards.
``COMBINATIONS`` in the environment sets how many are drawn.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, Phase, event, example, given, note, settings
from hypothesis import strategies as st
from sqlalchemy import func, update

from rebalancer.ledger import halts, unacknowledged_orders
from rebalancer.ledger.models import Event
from rebalancer.ledger.session import Ledger
from rebalancer.ledger.states import EventState
from sandbox.allocations.server import AllocationsServer
from tests.conftest import empty
from tests.integration.ibkr.serving import until
from tests.integration.survival.harness import ACCOUNT, OTHER, SETUP, SYMBOLS, Bench, bench

PRICE = Decimal(100)
DOLLARS_A_EURO = Decimal("1.25")
EXAMPLES = int(os.environ.get("COMBINATIONS", "12"))
OFF_TARGET = Decimal("0.01")
"""Of equity: what the funds may leave to the next run."""
LOOSE = Decimal("0.02")
"""Of equity: reserve, fees, tolerance of the target and the price that sizing allows for."""

MILLISECONDS = st.sampled_from([0, 0, 0, 150, 400])
TARGETS = st.dictionaries(st.sampled_from(SYMBOLS[:8]), st.integers(1, 9), min_size=2, max_size=5)
HELD = st.dictionaries(st.sampled_from(SYMBOLS[:9]), st.integers(1, 300), min_size=1, max_size=4)
ACCOUNTS = st.one_of(
    st.fixed_dictionaries({"margin": st.just(True)}),
    st.fixed_dictionaries({"margin": st.just(True), "other_cash": st.just({"EUR": 20_000})}),
    st.fixed_dictionaries({"margin": st.just(False)}),
    st.fixed_dictionaries({"margin": st.just(False), "settled_cash_only": st.just(True), "type": st.just("IRA")}),
)
LAGS = st.fixed_dictionaries({f"{what}_lag_ms": MILLISECONDS for what in ("positions", "values", "funds")})
APART: Mapping[str, dict[str, Any]] = {
    "nothing": {},
    "another listing": {"con_id": 388, "symbol": "GLD", "exchange": "LSEETF"},
    "no definition": {"con_id": 777, "symbol": "ABC.CNT", "defined": False},
    "an option": {"con_id": 888, "symbol": "SPY", "security_type": "OPT", "multiplier": 100, "price": 3},
}
GATEWAYS = st.fixed_dictionaries(
    {
        "ledger_prefix": st.booleans(),
        "not_ready_ms": MILLISECONDS,
        "completed_order_omits": st.sets(st.sampled_from(["account", "order_ref", "quantity", "filled"])).map(sorted),
        "zone_name": st.sampled_from([None, "JST", "China Standard Time", "GMT-05:00", "EDT"]),
        "time_zone": st.sampled_from(["US/Eastern", "Asia/Tokyo", "UTC"]),
        "execution_time": st.sampled_from(["zone", "local", "utc"]),
    }
)
FILLS = st.sampled_from(
    [
        {},
        {"mode": "delayed", "delay_ms": 150},
        {"mode": "partial", "slices": 3, "delay_ms": 30, "interval_ms": 30},
    ]
)
CODE = {"code": 201, "text": "no thanks", "times": 1}
FAULTS: tuple[dict[str, Any], ...] = (
    {"executions": "empty"},
    {"executions": "partial"},
    {"order_reset": {"when": "after", "times": 1}},
    {"order_reset": {"when": "before", "times": 1}},
    {"dropped_messages": [3]},
    {"duplicated_messages": [3, 5, 11, 59]},
    {"delayed_ms": {11: 150}},
    {"delayed_ms": {3: 150, 59: 300}},
    {"commission": "-1"},
    {"rejections": {"*": CODE}},
    {"cancel_refusals": {"*": {"code": 161, "times": 1}}},
    {"inactive": {"*": {"for_ms": 150}}},
    {"swallowed_orders": {"*": {"times": 1}}},
    {"swallowed_orders": {"*": {"times": 1, "click_ms": 250}}},
    {"swallowed_orders": {"*": {"times": 1, "click_ms": 900, "drops_others": True}}},
    {"hidden_values": ["CashBalance"]},
    {"hidden_values": ["SettledCash", "SettledCashByDate"]},
    {"account_not_ready": True},
    {"split_frames": 7},
    {"fills": {"*": {"mode": "partial", "fraction": "0.5", "slices": 2, "delay_ms": 20, "interval_ms": 20}}},
    {"fills": {"SPY": {"mode": "never"}}},
)


@dataclass(frozen=True, slots=True)
class World:
    """What was drawn.

    Attributes:
        hides: the rows of the largest position are not sent.
    """

    account: dict[str, Any]
    held: dict[str, int]
    cash: int
    targets: dict[str, int]
    apart: str
    gateway: dict[str, Any]
    life: str
    fills: dict[str, Any]
    faults: tuple[dict[str, Any], ...]
    hides: bool

    @property
    def weights(self) -> dict[str, float]:
        total = sum(self.targets.values())
        return {symbol: round(0.995 * share / total, 4) for symbol, share in self.targets.items()}

    @property
    def equity(self) -> Decimal:
        """What may be invested, USD."""
        return self.cash + sum(self.held.values()) * PRICE

    @property
    def funds_may_bind(self) -> bool:
        """Beside holdings that are never traded nobody can tell funds that lag from funds held back."""
        lags = self.account.get("funds_lag_ms") or self.account.get("values_lag_ms")
        return self.apart != "nothing" and bool(lags)

    @property
    def may_go_unheard(self) -> bool:
        """What becomes of a swallowed order may be told to a connection that has ended."""
        names = {name for fault in self.faults for name in fault}
        return {"swallowed_orders", "order_reset"} <= names

    def scenario(self) -> dict[str, Any]:
        instruments, positions = dict(SETUP["instruments"]), {**self.held}
        if APART[self.apart]:
            instruments["APART"] = {"name": "apart", "price": 100, **APART[self.apart]}
            positions["APART"] = 5
        return {
            "instruments": instruments,
            "accounts": {ACCOUNT: {**self.account, "cash": self.cash, "positions": positions}, OTHER: {"cash": 1}},
            "gateway": {**SETUP["gateway"], **self.gateway},
            "orders": {"life": self.life},
            "fills": self.fills,
            "currencies": {"EUR": str(DOLLARS_A_EURO)},
        }

    def merged_faults(self) -> dict[str, Any]:
        merged: dict[str, Any] = {}
        for fault in self.faults:
            merged |= fault
        if self.hidden:
            merged["hidden_positions"] = [self.hidden]
        return merged

    @property
    def hidden(self) -> str | None:
        """The largest position, unless stocks of unknown value or the tolerance could explain that it is missing."""
        largest = max(self.held, key=lambda symbol: self.held[symbol])
        euros = Decimal(self.account.get("other_cash", {}).get("EUR", 0))
        noticed = self.held[largest] * PRICE > LOOSE * (self.equity + euros * DOLLARS_A_EURO)
        return largest if self.hides and noticed and self.apart in ("nothing", "an option") else None


WORLDS = st.builds(
    World,
    account=st.tuples(ACCOUNTS, LAGS).map(lambda both: both[0] | both[1]),
    held=HELD,
    cash=st.sampled_from([500, 5_000, 40_000]),
    targets=TARGETS,
    apart=st.sampled_from(sorted(APART)),
    gateway=GATEWAYS,
    life=st.sampled_from(["orderly", "captured", "filled_first"]),
    fills=FILLS,
    faults=st.lists(st.sampled_from(FAULTS), max_size=3).map(tuple),
    hides=st.sampled_from([False, False, False, True]),
)

CLICKED_AND_REFUSED = World(
    account={"margin": True},
    held={"SPY": 100},
    cash=5_000,
    targets={"SPY": 1, "VXX": 2},
    apart="nothing",
    gateway={},
    life="captured",
    fills={},
    faults=(
        {"swallowed_orders": {"*": {"times": 1, "click_ms": 900, "drops_others": True}}},
        {"rejections": {"*": CODE}},
    ),
    hides=False,
)
"""The order is clicked when the account is halted for it already, and refused: then it is in no list."""


@pytest.mark.timeout(600)
@example(world=CLICKED_AND_REFUSED)
@settings(
    max_examples=EXAMPLES,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # a failing world is told as it is: shrinking takes minutes
)
@given(world=WORLDS)
def test_whatever_comes_together_no_order_is_unjustified_and_success_is_the_target(
    world: World, tmp_path: Path, ledger: Ledger, allocations: AllocationsServer
) -> None:
    empty(ledger)
    with bench(tmp_path, ledger, allocations, **world.scenario()) as here, here.targets(world.weights):
        note(str(world))
        here.settings["order_timeout_s"] = 0.6
        here.fault(**world.merged_faults())
        event_id = here.request()
        for _ in range(3):
            judge(here, world, again(here, event_id))
            if here.state(event_id) is EventState.SUCCEEDED:
                break
        if world.hidden:
            assert here.refs == [], "a list that is short justifies no order"
        heal(here)
        if not world.may_go_unheard:
            until(lambda: not refused_unheard(here))
        for _ in range(6):
            if here.state(event_id) is EventState.SUCCEEDED:
                break
            judge(here, world, again(here, event_id))
            if world.may_go_unheard:
                look(here)
        finished(here, world, event_id)


def again(here: Bench, event_id: UUID) -> str:
    """One attempt, whatever the event waited for; its error."""
    if here.state(event_id) is EventState.SUCCEEDED:
        return ""
    with here.ledger.begin() as session:
        session.execute(update(Event).where(Event.id == event_id).values(due_at=func.now() - timedelta(seconds=1)))
    outcome = here.attempt(event_id)
    note(f"{outcome.state} {outcome.error}")
    return outcome.error


def heal(here: Bench) -> None:
    """The faults are over, and somebody answers what waits on the gateway's screen."""
    here.fault()
    here.served.do(lambda gateway: gateway.exchange.windows.answer(send=True))


def refused_unheard(here: Bench) -> set[str]:
    """Orders that the gateway has refused after a click, and that wait for one on record: the word is on its way."""
    with here.ledger.begin() as session:
        waiting = {order.order_ref for order in unacknowledged_orders.waiting(session, [ACCOUNT])}
    return waiting & here.served.do(
        lambda gateway: {one.ticket.order_ref for one in gateway.orders if one.rejected and not one.open}
    )


def look(here: Bench) -> None:
    """Somebody sees that no window is open at the gateway, and resumes the account if it is halted for one."""
    assert not here.served.do(lambda gateway: gateway.exchange.windows.waiting)
    with here.ledger.begin() as session:
        if unacknowledged_orders.waiting(session, [ACCOUNT]):
            event("a person was needed")
            halts.resume(session, ACCOUNT, "ann")


def judge(here: Bench, world: World, error: str) -> None:
    """Along the way of all executions: nothing short, nothing borrowed, nothing beyond its drift."""
    cash, held, traded = Decimal(world.cash), {k: Decimal(v) for k, v in world.held.items()}, dict[str, Decimal]()
    executions = here.served.do(lambda gateway: [one for one in gateway.executions if one.order.account == ACCOUNT])
    for one in executions:
        signed = one.quantity if one.order.side == "BUY" else -one.quantity
        cash -= signed * one.price + one.commission
        held[one.order.symbol] = held.get(one.order.symbol, Decimal(0)) + signed
        traded[one.order.symbol] = traded.get(one.order.symbol, Decimal(0)) + abs(signed)
        assert held[one.order.symbol] >= 0, f"{one.order.symbol} is short"
        assert cash >= 0, f"{cash} USD are borrowed"
    assert held.get("APART", 0) == 0, "what is set apart is never traded"
    for symbol, shares in traded.items():
        target = Decimal(str(world.weights.get(symbol, 0))) * world.equity / PRICE
        loose = LOOSE * world.equity / PRICE + 2
        assert shares <= abs(target - world.held.get(symbol, 0)) + loose, f"{shares} {symbol} traded; {error}"


def worth(here: Bench, refs: list[str]) -> Decimal:
    """USD that these orders have traded."""
    executions = here.served.do(lambda gateway: list(gateway.executions))
    return sum((one.quantity * one.price for one in executions if one.order.ticket.order_ref in refs), Decimal(0))


def finished(here: Bench, world: World, event_id: UUID) -> None:
    """Success only on target, with nothing more to do; anything else has a reason that is still true."""
    state = here.state(event_id)
    if state is EventState.SUCCEEDED:
        before = here.refs
        judge(here, world, here.rebalance().error)
        again = [ref for ref in here.refs if ref not in before]
        assert not again or world.funds_may_bind, "a run after a success trades again"
        assert worth(here, again) <= OFF_TARGET * world.equity
    here.prove_books()
    event(f"{'margin' if world.account['margin'] else 'cash'}: {state}")
    if state is not EventState.SUCCEEDED:
        assert state is EventState.HELD
        assert not world.account["margin"], "only settlement may keep a healthy account from its targets"
        return
    off = Decimal(0)
    for symbol in world.targets.keys() | world.held.keys():
        target = Decimal(str(world.weights.get(symbol, 0))) * world.equity / PRICE
        off += max(Decimal(0), abs(here.positions.get(symbol, Decimal(0)) - target) - 1) * PRICE
    assert off <= 2 * LOOSE * world.equity, f"{off} USD off target: {here.positions}"
