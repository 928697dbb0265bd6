"""What a symbol stands for: one ticker of several contracts, contracts that change, classes of shares, price steps."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from rebalancer.domain.commands import Command
from rebalancer.ledger.states import EventState
from rebalancer.usecases import print_rebalance
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


def fills_by_limit(here: Bench) -> None:
    """VXX is bought at a limit whose price nobody objects to."""
    here.settings["order_type"] = "LMT"
    outcome = here.rebalance()
    assert 110 not in here.codes()
    assert outcome.state is EventState.SUCCEEDED, outcome.error
    assert here.positions["VXX"] > 0
    here.prove_books()


@pytest.mark.parametrize(("price", "spread"), [("11.055", 2), ("0.5055", 2), ("0.99995", 2), ("250.005", 0)])
def test_f29_limit_prices_have_the_step_of_their_price(benches: MakeBench, price: str, spread: int) -> None:
    steps = {"min_tick": "0.0001"}
    vxx = {**SETUP["instruments"]["VXX"], "price": price, "spread_bps": spread, **steps}
    with benches(instruments=instruments(VXX=vxx)) as here:
        fills_by_limit(here)


def test_f29_without_a_market_rule_limits_keep_to_cents(benches: MakeBench) -> None:
    steps = {"min_tick": "0.0001"}
    vxx = {**SETUP["instruments"]["VXX"], "price": "11.055", **steps}
    with benches(instruments=instruments(VXX=vxx), faults={"ignored_requests": [91]}) as here:
        fills_by_limit(here)


@pytest.mark.parametrize("price", ["0.4321", "1.005", "99.99", "250.005"])
def test_f29_a_market_rule_may_have_several_steps(benches: MakeBench, price: str) -> None:
    steps = {"min_tick": "0.0001", "price_steps": {0: "0.0001", 1: "0.01", 100: "0.05"}}
    with benches(instruments=instruments(VXX=listing(1001, price=price, **steps))) as here:
        fills_by_limit(here)


# -- sizes of orders ------------------------------------------------------------------------------------------------


def lots(symbol: str, **sizes: Any) -> dict[str, dict[str, Any]]:
    return instruments(**{symbol: {**SETUP["instruments"][symbol], **sizes}})


@pytest.mark.parametrize("sizes", [{"size_increment": 25}, {"min_size": 50}, {"min_size": 30, "size_increment": 20}])
def test_f29_a_target_that_trades_in_lots_is_bought_in_lots(benches: MakeBench, sizes: dict[str, int]) -> None:
    with benches(instruments=lots("VXX", **sizes)) as here:
        outcome = here.rebalance()
        assert outcome.state is EventState.SUCCEEDED, outcome.error
        assert here.codes().isdisjoint({355, 388})
        assert here.positions["VXX"] in {125, 150, 120}
        assert here.positions["VXX"] % sizes.get("size_increment", 50) == 0
        here.prove_books()
        again = here.rebalance()
        assert (again.state, len(here.refs)) == (EventState.SUCCEEDED, len(here.refs))


def test_f29_an_odd_remainder_is_left_alone_by_name_and_the_rest_goes_on(benches: MakeBench) -> None:
    """IBKR's own pages name no way to sell it over the API: the gateway would refuse the order (355)."""
    accounts = {ACCOUNT: {"cash": 20_000, "margin": True, "positions": {"IWM": 305, "SPY": 400}}}
    with benches(instruments=lots("IWM", size_increment=10), accounts=accounts) as here:
        preview = here.attempt(here.request(Command.PRINT_REBALANCE), print_rebalance)
        assert preview.result is not None
        why = "IWM: 5 shares cannot be sold: orders are for multiples of 10 shares"
        assert {"rule": "order_size", "reason": why} in preview.result["rules"]
        outcome = here.rebalance()
        assert outcome.state is EventState.SUCCEEDED, outcome.error
        assert outcome.result is not None
        assert outcome.result["attention"] == [why]
        assert here.positions["IWM"] == 5
        assert ("SELL", "IWM", 1005) in traded(here)
        assert here.positions["GLD"] > 100
        here.prove_books()
        sent = len(here.refs)
        assert here.rebalance().state is EventState.SUCCEEDED
        assert len(here.refs) == sent, "nothing is tried that would be refused"


def test_f29_a_target_of_less_than_half_a_lot_is_not_bought_and_named(benches: MakeBench) -> None:
    with benches(instruments=lots("VXX", size_increment=1000)) as here:
        preview = here.attempt(here.request(Command.PRINT_REBALANCE), print_rebalance)
        assert preview.result is not None
        [said] = [rule["reason"] for rule in preview.result["rules"] if rule["rule"] == "order_size"]
        assert said.startswith("VXX: 132.7")
        assert said.endswith("below its target: orders are for multiples of 1000 shares")
        assert here.rebalance().state is EventState.SUCCEEDED
        assert "VXX" not in here.positions
        here.prove_books()


def test_f29_a_size_that_changes_after_it_was_read_costs_one_try(benches: MakeBench) -> None:
    with benches() as here:
        here.aim()
        here.served.do(lambda gateway: gateway.exchange.market.redefine("VXX", size_increment=Decimal(25)))
        first = here.attempt(event := here.request())
        assert (first.state, 355 in here.codes()) == (EventState.RETRYING, True)
        assert "355" in first.error
        here.finish(event, attempts=1)
        assert here.positions["VXX"] == 125
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
