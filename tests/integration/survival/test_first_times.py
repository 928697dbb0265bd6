"""With TRADING_MODE live a person is asked once about what is new; a plan that waits for it sends nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import update

from rebalancer.domain.accounts import TradingMode
from rebalancer.domain.commands import Command
from rebalancer.domain.errors import Refused
from rebalancer.ledger import approvals
from rebalancer.ledger.models import Event
from rebalancer.ledger.session import Session
from rebalancer.ledger.states import EventState
from rebalancer.usecases import print_rebalance
from tests.integration.ibkr.serving import connected, serving
from tests.integration.survival.conftest import MakeBench
from tests.integration.survival.harness import HOLDINGS, Bench, Outcome

LIVE = "U1000001"
ACCOUNTS: dict[str, Any] = {LIVE: {"margin": True, "cash": 20_000, "positions": HOLDINGS}}


@pytest.fixture
def live(benches: MakeBench) -> Iterator[Bench]:
    """A live account of which nothing is known."""
    with benches(accounts=ACCOUNTS) as made:
        made.account = LIVE
        made.settings |= {"trading_mode": "live", "ib_port": 14001, "what_if": "off"}
        yield made


def approved(here: Bench, *words: str) -> Outcome:
    """The next rebalance waits for those reasons and nothing is sent; a person approves."""
    before, event_id = len(here.refs), here.request()
    asked = here.attempt(event_id)
    assert asked.state is EventState.HELD, asked
    assert asked.error.startswith("needs approval: ")
    assert all(word in asked.error for word in words), asked.error
    assert len(here.refs) == before
    with here.ledger.begin() as session:
        assert approvals.approve(session, event_id, "ann")
        due(session)
    return here.attempt(event_id)


def due(session: Session) -> None:
    session.execute(update(Event).where(Event.state == EventState.HELD).values(due_at=Event.created_at))


def test_an_accounts_first_trades_wait_and_later_ones_do_not(live: Bench) -> None:
    assert approved(live, "has never traded before").state is EventState.SUCCEEDED
    with live.targets({"SPY": 0.1, "VXX": 0.2, "GLD": 0.3, "TLT": 0.2, "QQQ": 0.19}):
        assert live.rebalance().state is EventState.SUCCEEDED


def test_another_strategy_waits(live: Bench) -> None:
    approved(live)
    live._accounts = {LIVE: replace(live._accounts[LIVE], strategy="other")}
    live._allocations.publish("other", {"SPY": 0.5, "GLD": 0.49})
    assert approved(live, "the strategy is other, it was survival").state is EventState.SUCCEEDED
    assert live.rebalance().state is EventState.SUCCEEDED


def test_another_gateway_waits(live: Bench) -> None:
    approved(live)
    live.settings |= {"ib_port": 14003}
    with live.targets({"SPY": 0.1, "VXX": 0.2, "GLD": 0.3, "TLT": 0.2, "QQQ": 0.19}):
        assert approved(live, "the gateway is 127.0.0.1:14003, it was 127.0.0.1:14001").state is EventState.SUCCEEDED


@pytest.mark.parametrize(
    ("weights", "words"),
    [
        ({"SPY": 0.3, "XLU": 0.3, "XLE": 0.3, "TLT": 0.09}, "60.0 % of the targets are new to the account: XLE, XLU"),
        ({"SPY": 0.5, "GLD": 0.49}, "there are 2 targets, there were 5"),
    ],
)
def test_a_jump_in_the_targets_waits(live: Bench, weights: dict[str, float], words: str) -> None:
    approved(live)
    with live.targets(weights):
        assert approved(live, words).state is EventState.SUCCEEDED
    assert live.rebalance().state is EventState.SUCCEEDED or len(weights) == 2


def test_a_dry_run_says_it_and_waits_for_nothing(live: Bench) -> None:
    outcome = live.attempt(live.request(Command.PRINT_REBALANCE), print_rebalance)
    assert outcome.result is not None
    rules = [one for one in outcome.result["rules"] if one["rule"] == "first_time"]
    assert rules == [{"rule": "first_time", "reason": "the account has never traded before"}]


@pytest.mark.parametrize("asked", ["off", "strategy,gateway,targets"])
def test_each_can_be_switched_off(live: Bench, asked: str) -> None:
    live.settings |= {"ask_first_times": asked}
    assert live.rebalance().state is EventState.SUCCEEDED


def test_the_paper_world_asks_nothing(here: Bench) -> None:
    assert here.rebalance().state is EventState.SUCCEEDED


@pytest.mark.parametrize(("account", "mode"), [("DU1", TradingMode.LIVE), ("U1", TradingMode.PAPER)])
def test_a_port_that_leads_to_the_other_world_is_refused(account: str, mode: TradingMode) -> None:
    with serving(accounts={account: {"cash": 1000}}) as served, connected(served, mode=mode) as broker:
        with pytest.raises(Refused, match=r"gateway_world: .* TRADING_MODE is"):
            broker.snapshot(account)
        trouble = broker._connection.status().trouble
        assert trouble is not None
        assert account in trouble
