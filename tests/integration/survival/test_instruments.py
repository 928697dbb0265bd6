"""What a symbol stands for: one ticker of several contracts, contracts that change, classes of shares, price steps."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from rebalancer.ledger.states import EventState
from tests.integration.survival.conftest import MakeBench
from tests.integration.survival.harness import ACCOUNT, SETUP, Bench, fails_without_an_order

LONDON = {"zone": "GB-Eire", "opens": "08:00", "closes": "16:30"}


def listing(con_id: int, symbol: str = "", exchange: str = "ARCA", **more: Any) -> dict[str, Any]:
    return {"con_id": con_id, "name": symbol or "x", "price": 100, "symbol": symbol, "exchange": exchange, **more}


def instruments(**more: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The usual ones, and others under names of their own."""
    return {**SETUP["instruments"], **more}


def traded(here: Bench) -> list[tuple[str, str, int]]:
    """Side, symbol and contract id of every order of the account, oldest first."""
    return here.served.do(
        lambda gateway: [
            (str(one.side), one.symbol, one.ticket.contract.contract_id)
            for one in gateway.orders
            if one.account == ACCOUNT
        ]
    )


@pytest.mark.parametrize("exchange", ["LSEETF", "SGX", "EBS"])
def test_f29_of_two_listings_the_american_one_is_bought(benches: MakeBench, exchange: str) -> None:
    elsewhere = {"GLD elsewhere": listing(51529211, "GLD", exchange, hours=LONDON, price=30)}
    with benches(instruments=instruments(**elsewhere)) as here:
        assert here.rebalance().state is EventState.SUCCEEDED
        assert ("BUY", "GLD", 1002) in traded(here)
        assert "GLD elsewhere" not in here.positions
        here.prove_books()


@pytest.mark.parametrize("written", ["BRK.B", "BRK/B", "BRK-B", "BRK B", " brk.b "])
def test_f29_a_class_of_shares_may_be_written_with_a_dot(benches: MakeBench, written: str) -> None:
    accounts = {ACCOUNT: {"cash": 20_000, "margin": True, "positions": {"BRK B": 10, "SPY": 400}}}
    berkshire = {"BRK B": listing(3000, exchange="NYSE", price=500)}
    with benches(instruments=instruments(**berkshire), accounts=accounts) as here:
        with here.targets({"SPY": 0.6, written: 0.39}):
            assert here.rebalance().state is EventState.SUCCEEDED
        assert here.positions["BRK B"] == 50
        assert [order for order in traded(here) if order[1] == "BRK B"] == [("BUY", "BRK B", 3000)]
        here.prove_books()


def test_f29_a_contract_id_that_changes_costs_one_try_at_most(benches: MakeBench) -> None:
    with benches() as here:
        assert here.rebalance().state is EventState.SUCCEEDED
        here.served.do(lambda gateway: gateway.exchange.market.renumber("DBC", 5002))
        here.served.do(lambda gateway: gateway.exchange.market.renumber("GLD", 5003))
        with here.targets({"SPY": 0.5, "DBC": 0.29, "GLD": 0.2}):
            here.finish(here.request(), attempts=3)
        assert ("BUY", "DBC", 5002) in traded(here)
        assert here.positions["DBC"] > 200
        here.prove_books()


@pytest.mark.parametrize(("price", "spread"), [("11.055", 2), ("0.5055", 2), ("0.99995", 2), ("250.005", 0)])
def test_f29_limit_prices_have_the_step_of_their_price(benches: MakeBench, price: str, spread: int) -> None:
    steps = {"min_tick": "0.0001"}
    vxx = {**SETUP["instruments"]["VXX"], "price": price, "spread_bps": spread, **steps}
    with benches(instruments=instruments(VXX=vxx)) as here:
        here.settings["order_type"] = "LMT"
        outcome = here.rebalance()
        assert 110 not in here.codes()
        assert outcome.state is EventState.SUCCEEDED, outcome.error
        assert here.positions["VXX"] > 0
        here.prove_books()


def test_f29_without_a_market_rule_limits_keep_to_cents(benches: MakeBench) -> None:
    steps = {"min_tick": "0.0001"}
    vxx = {**SETUP["instruments"]["VXX"], "price": "11.055", **steps}
    with benches(instruments=instruments(VXX=vxx), faults={"ignored_requests": [91]}) as here:
        here.settings["order_type"] = "LMT"
        assert here.rebalance().state is EventState.SUCCEEDED
        assert here.positions["VXX"] > 0
        here.prove_books()


def test_f15_a_halted_symbol_stops_everything_before_the_first_order(benches: MakeBench) -> None:
    with benches(faults={"halted": ["GLD"]}) as here:
        here.patience(quote_timeout_s=0.3)
        fails_without_an_order(here, "QuoteUnavailable", "GLD")


def test_f29_two_american_listings_are_named_and_nothing_is_traded(benches: MakeBench) -> None:
    other = {"GLD again": listing(4711, "GLD", "NYSE")}
    with benches(instruments=instruments(**other)) as here:
        fails_without_an_order(here, "Refused", "GLD is ambiguous: 1002 at ARCA, 4711 at NYSE")


def test_f29_a_target_that_is_listed_elsewhere_only_is_refused(benches: MakeBench) -> None:
    with benches(instruments=instruments(VWRA=listing(388, exchange="LSEETF"))) as here:
        with here.targets({"SPY": 0.5, "VWRA": 0.49}):
            outcome = here.rebalance()
        assert "VWRA is not listed in the US: 388 at LSEETF" in outcome.error
        assert traded(here) == []
        assert here.positions["SPY"] == Decimal(400)
