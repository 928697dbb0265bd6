"""What the broker announces that costs money: heard, told, and nothing is bought until a person has looked."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from rebalancer.domain.notices import NoticeKind
from rebalancer.ledger import gateways, halts
from rebalancer.ledger.halts import Halt
from rebalancer.ledger.models import NoticeRow
from rebalancer.ledger.states import EventState
from sandbox.gateway.server import Gateway
from tests.integration.ibkr.serving import until
from tests.integration.survival.conftest import MakeBench
from tests.integration.survival.harness import ACCOUNT, OTHER, Bench, ends_on_target, soon, when_orders_arrive

# Texts as logged in QuantConnect's Lean #1033 and Lean.Brokerages.InteractiveBrokers #156.
URGENT = (
    "URGENT: Please note that the qualifying equity within your account (i.e., Equity with Loan Value) is insufficient "
    "to satisfy the margin requirement and, to restore margin compliance, liquidation of positions may commence "
    "without further notice. Account: {}"
)


def in_force(here: Bench) -> dict[str, Halt]:
    with here.ledger.begin() as session:
        return {one.scope: one for one in halts.in_force(session)}


def losses(here: Bench) -> list[str | None]:
    """Accounts that people were told of."""
    with here.ledger.begin() as session:
        chosen = select(NoticeRow.account_id).where(NoticeRow.kind == NoticeKind.LOSS).order_by(NoticeRow.account_id)
        return list(session.scalars(chosen))


def announce(here: Bench, code: int, text: str) -> None:
    here.served.do(lambda gateway: gateway.announce(code, text))


def liquidate(gateway: Gateway, quantity: int = 50) -> None:
    gateway.exchange.liquidate(ACCOUNT, "SPY", quantity)


@pytest.fixture
def watched(here: Bench) -> Bench:
    """A bench whose worker is connected."""
    here.broker.managed_accounts()
    return here


def test_the_end_of_the_gateways_build_is_told_once_and_halts_nothing(watched: Bench) -> None:
    """As logged in QuantConnect's Lean.Brokerages.InteractiveBrokers #143; the code is not told there."""
    for _ in range(2):
        announce(
            watched,
            2107,
            "The version of the application you are running, 1019.2, needs to be upgraded, as it will be desupported "
            "on 20991231. The minimum supported version at that time will be 1030.1.",
        )

    def told() -> list[str]:
        with watched.ledger.begin() as session:
            chosen = select(NoticeRow.detail["on"].astext).where(NoticeRow.kind == NoticeKind.DESUPPORTED)
            return list(session.scalars(chosen))

    until(lambda: bool(told()))
    ends_on_target(watched)
    assert (told(), in_force(watched)) == (["2099-12-31"], {})
    with watched.ledger.begin() as session:
        assert gateways.end_of_life(session) == "2099-12-31"


def test_a_margin_warning_halts_the_account_that_it_names_and_no_other(watched: Bench) -> None:
    announce(watched, 2148, URGENT.format(ACCOUNT))
    until(lambda: bool(in_force(watched)))
    assert list(in_force(watched)) == [ACCOUNT]
    assert losses(watched) == [ACCOUNT]
    outcome = watched.rebalance()
    assert outcome.state is EventState.HELD
    assert "code 2148" in outcome.error
    assert watched.refs == []
    with watched.ledger.begin() as session:
        halts.resume(session, ACCOUNT, "ann")
    ends_on_target(watched, 1)


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (2148, "ALERT: Your account maintains equity at a level only 5% above that which is required."),
        (2199, "Positions will be liquidated at the close."),
        (99999, "Margin call: deposit funds."),
    ],
)
def test_a_warning_that_names_nobody_halts_every_account_of_the_login(watched: Bench, code: int, text: str) -> None:
    announce(watched, code, text)
    until(lambda: len(in_force(watched)) == 2)
    assert sorted(in_force(watched)) == [ACCOUNT, OTHER]
    assert losses(watched) == [ACCOUNT, OTHER]


def test_the_same_warning_is_told_once_by_however_many_workers(watched: Bench) -> None:
    other = watched.beside(OTHER, 8)
    try:
        other.broker.managed_accounts()
        for _ in range(3):
            announce(watched, 2148, URGENT.format(ACCOUNT))
        announce(watched, 2148, "another text. Account: " + ACCOUNT)
        until(lambda: "another text" in in_force(watched)[ACCOUNT].reason if in_force(watched) else False)
        assert in_force(watched)[ACCOUNT].reason.count("URGENT") == 1
        assert losses(watched) == [ACCOUNT, ACCOUNT]
    finally:
        other.close()


@pytest.mark.parametrize("code", [2150, 2104, 399])
def test_other_remarks_halt_nothing(watched: Bench, code: int) -> None:
    announce(watched, code, "Invalid position trade derived value")
    ends_on_target(watched, 1)
    assert in_force(watched) == {}


def test_an_order_that_would_sell_short_halts_its_account_and_is_accounted_for(here: Bench) -> None:
    here.fault(
        order_notices=[{"code": 2137, "text": "The closing order quantity is greater than your current position"}]
    )
    outcome = here.rebalance()
    assert outcome.state is EventState.HELD
    assert list(in_force(here)) == [ACCOUNT]
    here.prove_books()


def test_a_warning_in_the_midst_of_a_run_stops_the_buys(benches: MakeBench) -> None:
    with benches(fills={"mode": "delayed", "delay_ms": 300}) as here:
        when_orders_arrive(here, 2, lambda gateway: gateway.announce(2148, URGENT.format(ACCOUNT)))
        outcome = here.rebalance()
        assert outcome.state is EventState.HELD, outcome
        sides = here.served.do(lambda gateway: {order.side.value for order in gateway.orders})
        assert sides == {"SELL"}
        here.prove_books()


def test_a_forced_liquidation_in_the_midst_of_a_run_is_no_fill_of_ours(benches: MakeBench) -> None:
    with benches(fills={"mode": "delayed", "delay_ms": 300}) as here:
        when_orders_arrive(here, 2, lambda gateway: soon(0.05, lambda: liquidate(gateway)))
        outcome = here.rebalance()
        assert outcome.state is not EventState.SUCCEEDED
        until(lambda: bool(in_force(here)))
        assert "IBKR liquidated SELL 50 SPY" in in_force(here)[ACCOUNT].reason
        assert losses(here) == [ACCOUNT]
        here.prove_books(foreign={""})


def test_a_forced_liquidation_that_was_missed_is_found_in_the_list_and_told_once(here: Bench) -> None:
    here.served.do(liquidate)
    here.broker.order_refs(ACCOUNT)
    until(lambda: losses(here) == [ACCOUNT])
    with here.ledger.begin() as session:
        halts.resume(session, ACCOUNT, "ann")
    here.reconnect()
    here.broker.order_refs(ACCOUNT)
    here.aim()
    ends_on_target_beside(here)
    assert losses(here) == [ACCOUNT]
    assert in_force(here) == {}


def ends_on_target_beside(here: Bench) -> None:
    here.finish(here.request(), 2)
    assert here.positions == here.wanted
    here.prove_books(foreign={""})
