"""A run of an account of whose shares some are kept apart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

import pytest

from rebalancer.domain.errors import Refused
from rebalancer.domain.rule_names import Rule
from rebalancer.domain.units import Shares
from rebalancer.planning.weights import held_weights
from rebalancer.usecases import RunContext, print_rebalance, rebalance
from tests.integration.ibkr.serving import until
from tests.integration.usecases.conftest import Desk
from tests.memory_record import MemoryRun, claim


def kept(here: Desk, run: MemoryRun, **shares: int) -> RunContext:
    context = here.context(run)
    wanted: Mapping[str, Shares] = {symbol: Shares(Decimal(count)) for symbol, count in shares.items()}
    rules = replace(context.account.rules, kept=wanted)
    return replace(context, account=replace(context.account, rules=rules))


def refusal(here: Desk, **shares: int) -> str:
    """Why a run is refused, as a split: by half at first, since its price comes after it."""
    with pytest.raises(Refused) as refused:
        rebalance(kept(here, here.claim(), **shares))
    assert refused.value.rule is Rule.SPLIT_SUSPECTED
    return refused.value.reason


def test_the_rest_is_brought_to_its_targets_and_the_kept_shares_stay(here: Desk) -> None:
    """400 SPY, 300 IWM and 20,000 USD, of which 100 SPY and 300 IWM are the owner's: 50,000 USD are left."""
    preview = print_rebalance(kept(here, claim(here.ledger), SPY=100, IWM=300))
    assert Decimal(preview["equity_info"]["total_equity"]) == pytest.approx(50_000, rel=Decimal("0.01"))
    run = here.claim()
    result = rebalance(kept(here, run, SPY=100, IWM=300))
    assert isinstance(result, dict)
    assert [(one["symbol"], one["quantity"]) for one in result["orders"]] == [
        (one["symbol"], one["quantity"]) for one in preview["orders"]
    ]
    assert here.positions["IWM"] == 300
    assert here.positions["SPY"] == pytest.approx(100 + 124, abs=2)
    assert "SPY: 100 of 400 shares are kept apart, neither counted nor traded" in result["notes"]
    plan, snapshot = here.ledger.plans[run.claim.event_id, 1], here.ledger.snapshots[-1]
    weights = held_weights(plan, snapshot.positions)
    assert weights["SPY"] == pytest.approx(Decimal("0.251"), abs=Decimal("0.005"))
    assert weights["IWM"] is None
    again = rebalance(kept(here, here.claim(), SPY=100, IWM=300))
    assert isinstance(again, dict)
    assert again["orders"] == []


def test_what_is_no_target_is_sold_down_to_the_kept_shares(here: Desk) -> None:
    here.targets.weights = {"GLD": "1"}
    rebalance(kept(here, here.claim(), SPY=150))
    assert here.positions["SPY"] == 150
    assert here.positions.get("IWM", 0) == 0


def test_fewer_shares_than_are_kept_are_refused_before_the_first_order(here: Desk) -> None:
    with pytest.raises(Refused, match="SPY 400 of 401") as refused:
        rebalance(kept(here, here.claim(), SPY=401))
    assert refused.value.rule is Rule.KEPT_SHARES_MISSING
    assert here.refs == []


def test_a_split_of_kept_shares_is_refused_until_their_number_is_another(here: Desk) -> None:
    print_rebalance(kept(here, claim(here.ledger), SPY=100))
    here.served.do(lambda gateway: gateway.exchange.split("SPY", Decimal(2), 0, close_follows=True))
    until(lambda: here.positions["SPY"] == 800, 10)
    until(lambda: "100 are kept, 200 would be as many" in refusal(here, SPY=100), 10)
    assert here.refs == []
    here.targets.weights = {"GLD": "1"}
    rebalance(kept(here, here.claim(), SPY=200))
    assert here.positions["SPY"] == 200
