"""What is on record of a run gives its plan again; by other rules it gives what those would have given."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rebalancer.domain.errors import QuoteUnavailable, Refused
from rebalancer.domain.money import ZERO
from rebalancer.domain.portfolio import Position
from rebalancer.domain.units import Usd
from rebalancer.planning import PlanningRules
from rebalancer.planning.changed_rules import RuleChanges
from rebalancer.planning.inputs import PlanInputs, plan_of
from rebalancer.planning.recorded import differences, plan_record, recorded_inputs
from rebalancer.replay.figures import Figures
from rebalancer.replay.runs import replay
from tests.property.effort import examples
from tests.property.planning_worlds import World, worlds
from tests.property.test_parked_reserve import FUND, parked, raised
from tests.recorded_history import History, on_record

RULES = PlanningRules(Decimal("0.02"))
CHANGES = {
    "band": RuleChanges(drift_band=Decimal("0.03")),
    "relative band": RuleChanges(relative_band=Decimal("0.25")),
    "threshold": RuleChanges(share_threshold=Decimal(5)),
    "fees": RuleChanges(fee_per_share=Decimal("0.02"), fee_minimum=Usd(Decimal(7)), fee_maximum_rate=Decimal("0.05")),
    "margin": RuleChanges(price_margin=Decimal("0.01")),
    "reserve": RuleChanges(reserve_fraction=Decimal("0.1")),
    "fixed reserve": RuleChanges(reserve_usd=Usd(Decimal(12_345))),
}


def changed(rules: PlanningRules, changes: RuleChanges) -> PlanningRules:
    """As an owner would have set them."""
    names = ("drift_band", "relative_band", "share_threshold", "price_margin")
    values = {name: getattr(changes, name) for name in names}
    fees = {"per_share": changes.fee_per_share, "minimum": changes.fee_minimum}
    fees["maximum_rate"] = changes.fee_maximum_rate
    rules = replace(rules, **{name: value for name, value in values.items() if value is not None})
    rules = replace(rules, fees=replace(rules.fees, **{name: one for name, one in fees.items() if one is not None}))
    if changes.reserve_fraction is not None:
        return replace(rules, reserve_fraction=changes.reserve_fraction)
    if changes.reserve_usd is not None:
        return replace(rules, reserve_fraction=ZERO, reserve_amount=changes.reserve_usd)
    return rules


def check_reproduced(inputs: PlanInputs) -> None:
    kept = recorded_inputs(on_record(inputs), inputs.snapshot.account_id)
    assert kept is not None
    try:
        made = plan_of(inputs).plan
    except (Refused, QuoteUnavailable) as refusal:
        with pytest.raises(type(refusal)):
            plan_of(kept)
        return
    assert list(differences(plan_of(kept).plan, json.loads(json.dumps(plan_record(made))))) == []


@given(worlds())
@examples(200)
def test_a_recorded_plan_is_reproduced_exactly(world: World) -> None:
    bond = Position("US912810", Decimal(3), security_type="BOND")
    snapshot = replace(world.snapshot, positions=(*world.snapshot.positions, bond))
    check_reproduced(PlanInputs(snapshot, world.weights, world.quotes, world.rules, world.lots))


@given(parked(), st.booleans())
@examples(60)
def test_so_is_one_with_a_reserve_in_a_fund(world: World, left_alone: bool) -> None:
    quotes = {symbol: one for symbol, one in world.quotes.items() if symbol != FUND or not left_alone}
    positions = tuple(one for one in world.snapshot.positions if one.symbol in quotes)
    snapshot = replace(world.snapshot, positions=positions)
    check_reproduced(PlanInputs(snapshot, world.weights, quotes, world.rules, world.lots, FUND, raised(world)))


@pytest.mark.parametrize("fund", [None, "SGOV"])
@pytest.mark.parametrize("seed", range(5))
def test_without_a_change_years_of_runs_come_out_as_they_were(seed: int, fund: str | None) -> None:
    found = replay(History(RULES, seed, months=60, reserve_symbol=fund).runs(), RuleChanges())
    assert found.skipped() == {}
    assert [step for step in found.steps if step.differs] == []
    assert found.was.orders > 100
    assert found.worth == 0


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", CHANGES)
def test_by_other_rules_it_is_what_an_account_with_those_rules_would_have_done(name: str, seed: int) -> None:
    """Two accounts that never met, one by each rule: a replay of the first is the second, to the cent."""
    changes = CHANGES[name]
    was, would = History(RULES, seed), History(changed(RULES, changes), seed)
    found = replay(was.runs(), changes)
    quotes = [run.inputs.quotes for run in would.runs() if run.inputs]
    assert [step.would for step in found.steps] == [*map(Figures.of, would.plans, quotes)]
    assert found.would != found.was
    assert found.worth == would.equity - was.equity


@pytest.mark.parametrize("seed", range(3))
def test_the_figures_of_plans_are_what_plain_arithmetic_makes_of_their_records(seed: int) -> None:
    """From nothing but what the ledger has of each plan, and without rounding: orders, lines and quotes."""
    runs = list(History(RULES, seed).runs())
    found = replay(runs, RuleChanges()).was
    turnover, spread, commission, drift, left = (Fraction(0) for _ in range(5))
    for run in runs:
        assert run.inputs is not None
        mids = {name: Fraction(one.bid + one.ask) / 2 for name, one in run.inputs.quotes.items()}
        for order in run.plan["orders"]:
            worth = Fraction(order["price"]) * order["quantity"]
            middle = mids[order["symbol"]] * order["quantity"]
            turnover += worth
            spread += worth - middle if order["side"] == "BUY" else middle - worth
            commission += Fraction(order["fee"])
        investable = Fraction(run.plan["investable"])
        for line in run.plan["lines"]:
            wanted, price = Fraction(line["target_weight"]), mids[line["symbol"]]
            drift += abs(Fraction(line["held"]) * price / investable - wanted) / 2
            left += abs(Fraction(line["planned_shares"]) * price / investable - wanted) / 2
    assert found.orders == sum(len(run.plan["orders"]) for run in runs)
    assert (Fraction(found.turnover), Fraction(found.spread)) == (turnover, spread)
    assert Fraction(found.commission) == commission
    for mean, plainly in ((found.mean_drift_found, drift), (found.mean_drift_left, left)):
        assert mean is not None
        assert abs(Fraction(mean) - plainly / len(runs)) < Fraction(1, 10**9)
