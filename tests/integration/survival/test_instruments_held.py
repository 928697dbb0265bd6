"""What is held and what is wanted: contracts that differ, listings elsewhere, cash among the targets."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from rebalancer.domain.portfolio import Replacement
from rebalancer.domain.symbols import Pin
from rebalancer.ibkr import IbkrBroker
from rebalancer.ledger.states import EventState
from sandbox.gateway.behaviour import Behaviour, Delivery
from sandbox.gateway.messages import POSITION_MULTI
from sandbox.gateway.wire import Message
from tests.integration.survival.conftest import MakeBench
from tests.integration.survival.harness import ACCOUNT, Bench, fails_without_an_order
from tests.integration.survival.test_instruments import LONDON, instruments, listing, traded

CASH_STOCKS = {"CASH": listing(4711, exchange="NASDAQ", price=75), "USD": listing(4712, price=90)}


class OldName(Behaviour):
    """Position rows name META as it was called before."""

    def outgoing(self, client_id: int, message: Message) -> Iterable[Delivery]:
        del client_id
        if message[0] == POSITION_MULTI:
            message = tuple("FB" if value == "META" else value for value in message)
        return (Delivery(message),)


def rules(here: Bench, **changes: Any) -> None:
    """Other wishes of the account's owner."""
    account = here._accounts[ACCOUNT]
    here._accounts = {**here._accounts, ACCOUNT: replace(account, rules=replace(account.rules, **changes))}


def pin(here: Bench, **pins: Pin) -> None:
    """What the accounts file says under ``instruments``."""
    here.broker = IbkrBroker(here.link, here.options, lambda: pins)
    rules(here, pinned=frozenset(pins))


def held(here: Bench, name: str) -> Decimal:
    return here.positions.get(name, Decimal(0))


# -- what is held -------------------------------------------------------------------------------------------------


def test_f29_a_holding_without_definition_is_not_sold_as_another_contract(benches: MakeBench) -> None:
    """300 shares of a contract without definition are held; the IWM that has one is not."""
    old = {"IWM before": listing(229726316, "IWM", defined=False)}
    accounts = {ACCOUNT: {"cash": 20_000, "margin": True, "positions": {"IWM before": 300, "SPY": 400}}}
    with benches(instruments=instruments(**old), accounts=accounts) as here:
        outcome = here.rebalance()
        assert [order for order in traded(here) if order[1].startswith("IWM")] == []
        assert held(here, "IWM before") == 300
        assert {symbol for _, symbol, _ in traded(here)} >= {"GLD", "TLT"}, "the rest goes on"
        said = f"{outcome.error} {outcome.result}"
        assert "229726316" in said
        assert "1005" in said


def test_f29_a_target_whose_held_contract_differs_is_left_alone(benches: MakeBench) -> None:
    old = {"GLD before": listing(77, "GLD", defined=False)}
    accounts = {ACCOUNT: {"cash": 20_000, "margin": True, "positions": {"GLD before": 50, "IWM": 300, "SPY": 350}}}
    with benches(instruments=instruments(**old), accounts=accounts) as here:
        here.rebalance()
        assert [order for order in traded(here) if order[1].startswith("GLD")] == []
        assert held(here, "TLT") > 0


@pytest.mark.parametrize("symbol", ["VWRA", "XLE", "IWM"])
def test_f29_a_holding_listed_elsewhere_is_never_sold(benches: MakeBench, symbol: str) -> None:
    """Alone of its ticker (VWRA), or beside an American one that is not held (XLE) or is held too (IWM)."""
    name = f"{symbol} in London"
    positions = {name: 100, "IWM": 300, "SPY": 300}
    with benches(
        instruments=instruments(**{name: listing(388, symbol, "LSEETF", hours=LONDON)}),
        accounts={ACCOUNT: {"cash": 20_000, "margin": True, "positions": positions}},
    ) as here:
        outcome = here.rebalance()
        assert outcome.state is EventState.SUCCEEDED, outcome.error
        assert held(here, name) == 100
        assert held(here, "IWM") == 0, "the American one has left the strategy"
        assert {contract_id for _, _, contract_id in traded(here)}.isdisjoint({388})
        assert "listed at LSEETF" in str(outcome.result)
        here.prove_books()


@pytest.mark.parametrize("also", [0, 60])
def test_f29_a_target_held_in_london_is_bought_in_new_york(benches: MakeBench, also: int) -> None:
    """The London shares are neither counted nor sold, whether or not American ones are held too."""
    positions = {"GLD in London": 500, "SPY": 400, "IWM": 300, **({"GLD": also} if also else {})}
    with benches(
        instruments=instruments(**{"GLD in London": listing(388, "GLD", "LSEETF", hours=LONDON, price=30)}),
        accounts={ACCOUNT: {"cash": 20_000, "margin": True, "positions": positions}},
    ) as here:
        outcome = here.rebalance()
        assert outcome.state is EventState.SUCCEEDED, outcome.error
        assert held(here, "GLD in London") == 500
        equity = 20_000 + 100 * (700 + also)
        assert abs(held(here, "GLD") * 100 - Decimal("0.202") * equity) < 500
        here.prove_books()


def test_f29_shares_in_london_are_not_those_in_new_york_split_by_half(benches: MakeBench) -> None:
    """The run before has left twice as many GLD in New York as are held in London under the same ticker."""
    positions = {"GLD": 60, "GLD in London": 97, "SPY": 400, "IWM": 300}
    with benches(
        instruments=instruments(**{"GLD in London": listing(388, "GLD", "LSEETF", hours=LONDON, price=30)}),
        accounts={ACCOUNT: {"cash": 20_000, "margin": True, "positions": positions}},
    ) as here:
        assert here.rebalance().state is EventState.SUCCEEDED
        assert abs(held(here, "GLD") - 2 * 97) < 4
        again = here.rebalance()
        assert again.state is EventState.SUCCEEDED, again.error


def test_f29_an_order_by_hand_for_a_listing_elsewhere_is_left_alone(benches: MakeBench) -> None:
    by_hand = [{"symbol": "GLD in London", "side": "SELL", "quantity": 5, "limit_price": 300}]
    account = {
        "cash": 20_000,
        "margin": True,
        "positions": {"GLD in London": 500, "SPY": 400, "IWM": 300},
        "open_orders": by_hand,
    }
    with benches(
        instruments=instruments(**{"GLD in London": listing(388, "GLD", "LSEETF", hours=LONDON, price=30)}),
        accounts={ACCOUNT: account},
    ) as here:
        assert here.rebalance().state is EventState.SUCCEEDED
        assert len(here.served.do(lambda gateway: gateway.exchange.book.open_orders(ACCOUNT))) == 1


def test_f29_a_renamed_holding_is_not_bought_again_under_its_new_name(benches: MakeBench) -> None:
    meta = {"META": listing(20, exchange="NASDAQ")}
    accounts = {ACCOUNT: {"cash": 20_000, "margin": True, "positions": {"META": 200, "SPY": 300}}}
    with benches(OldName(), instruments=instruments(**meta), accounts=accounts) as here:
        with here.targets({"SPY": 0.5, "META": 0.29, "GLD": 0.2}):
            here.rebalance()
        assert held(here, "META") == 200
        assert held(here, "GLD") > 0


def test_f29_of_two_american_listings_the_held_one_is_traded(benches: MakeBench) -> None:
    again = {"IWM again": listing(4711, "IWM", "NYSE")}
    with benches(instruments=instruments(**again)) as here:
        outcome = here.rebalance()
        assert outcome.state is EventState.SUCCEEDED, outcome.error
        assert ("SELL", "IWM", 1005) in traded(here)


def test_f29_a_pinned_listing_is_bought(benches: MakeBench) -> None:
    again = {"GLD again": listing(4711, "GLD", "NYSE")}
    with benches(instruments=instruments(**again)) as here:
        pin(here, GLD=Pin(contract_id=4711))
        assert here.rebalance().state is EventState.SUCCEEDED
        assert ("BUY", "GLD again", 4711) in traded(here)
        assert held(here, "GLD") == 0


# -- cash among the targets ---------------------------------------------------------------------------------------


def test_f29_cash_among_the_targets_is_no_stock(benches: MakeBench) -> None:
    weights = {"SPY": 0.5, "CASH": 0.3, "USD": 0.2}
    with benches(instruments=instruments(**CASH_STOCKS)) as here, here.targets(weights):
        fails_without_an_order(here, "Refused", "CASH 0.3, USD 0.2")


def test_f29_cash_among_the_targets_is_the_cash_share_where_there_may_be_one(benches: MakeBench) -> None:
    with benches(instruments=instruments(**CASH_STOCKS)) as here:
        rules(here, allow_cash_share=True)
        with here.targets({"SPY": 0.5, "CASH": 0.3, "USD": 0.2}):
            assert here.rebalance().state is EventState.SUCCEEDED
        assert {symbol for _, symbol, _ in traded(here)} <= {"SPY", "IWM"}
        assert 440 <= held(here, "SPY") <= 450
        here.prove_books()


def test_f29_a_stock_called_cash_is_traded_if_it_is_pinned(benches: MakeBench) -> None:
    with benches(instruments=instruments(**CASH_STOCKS)) as here:
        pin(here, CASH=Pin(exchange="NASDAQ"))
        with here.targets({"SPY": 0.69, "CASH": 0.3}):
            assert here.rebalance().state is EventState.SUCCEEDED
        assert ("BUY", "CASH", 4711) in traded(here)


def test_f29_a_stock_called_cash_that_is_held_is_left_alone(benches: MakeBench) -> None:
    accounts = {ACCOUNT: {"cash": 20_000, "margin": True, "positions": {"USD": 100, "SPY": 400}}}
    with benches(instruments=instruments(**CASH_STOCKS), accounts=accounts) as here:
        here.rebalance()
        assert held(here, "USD") == 100
        assert held(here, "GLD") > 0


def test_f29_cash_on_hold_stays_cash(benches: MakeBench) -> None:
    with benches() as here:
        rules(here, hold=("CASH",))
        with here.targets({"SPY": 0.6, "GLD": 0.19, "CASH": 0.2}):
            outcome = here.rebalance()
        assert outcome.state is EventState.SUCCEEDED, outcome.error
        assert held(here, "SPY") > 0


def test_f29_a_replacement_may_stand_for_cash(benches: MakeBench) -> None:
    with benches() as here:
        make = here.context
        rule = (Replacement("CASH", "AGG", Decimal(1)),)
        here.context = lambda run, broker=None: replace(make(run, broker), replacements=rule)  # type: ignore[method-assign]
        with here.targets({"SPY": 0.7, "CASH": 0.29}):
            assert here.rebalance().state is EventState.SUCCEEDED
        assert held(here, "AGG") > 0
