"""What is on record of a run that converts currencies gives its plan again, conversions and all; by other rules it
gives what those would have given.
"""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rebalancer.domain.errors import Refused
from rebalancer.domain.portfolio import Side
from rebalancer.domain.units import Ratio, Usd
from rebalancer.planning import PlanningRules
from rebalancer.planning.changed_rules import RuleChanges
from rebalancer.planning.conversion_terms import BackTerms, ConversionTerms, plan_with_conversions
from rebalancer.planning.recorded import differences, plan_record, recorded_inputs
from rebalancer.planning.recorded_conversions import conversion_record, recorded_terms
from rebalancer.replay.figures import Figures
from rebalancer.replay.runs import replay
from tests.property.effort import examples
from tests.property.test_conversion import Converting, converting
from tests.property.test_conversion_back import idle
from tests.property.test_replay import CHANGES, changed
from tests.recorded_euros import EuroHistory
from tests.recorded_history import on_record

RULES = PlanningRules(Ratio(Decimal("0.02")), minimum_weight_sum=Ratio(Decimal("0.1")))
PAIRS = ("EUR.USD", "USD.CHF")
BACK = st.none() | st.builds(
    BackTerms,
    st.decimals("-100", "50000", places=3).map(Usd),
    st.booleans(),
    st.sampled_from([(), ("cash is to be there by a day",)]),
    st.just(("SPY have open orders",)),
)


@given(st.one_of(converting(), converting(needing=True), converting(fund=True), idle()), BACK)
@examples(150)
def test_a_recorded_plan_is_reproduced_exactly_with_its_conversions(case: Converting, back: BackTerms | None) -> None:
    inputs, terms = case.inputs, ConversionTerms(case.exchange, case.dollars, back)
    record = on_record(inputs, terms)
    kept, read = recorded_inputs(record, inputs.snapshot.account_id), recorded_terms(record)
    assert kept is not None
    assert read is not None
    assert (read.dollars, read.back, read.exchange.base) == (terms.dollars, back, case.exchange.base)
    assert kept.quotes.keys() == inputs.quotes.keys(), "a pair is nothing to invest in"
    try:
        made = plan_with_conversions(inputs, terms)
    except Refused:
        with pytest.raises(Refused):
            plan_with_conversions(kept, read)
        return
    again = plan_with_conversions(kept, read)
    assert (again.conversion, again.back, again.notes) == (made.conversion, made.back, made.notes)
    assert list(differences(again.plan, json.loads(json.dumps(plan_record(made.plan))))) == []
    assert conversion_record(read.exchange, again.conversion, again.back) == conversion_record(
        case.exchange, made.conversion, made.back
    )


@pytest.mark.parametrize("fund", [None, "SGOV"])
@pytest.mark.parametrize("symbol", PAIRS)
@pytest.mark.parametrize("seed", range(2))
def test_without_a_change_years_of_conversions_come_out_as_they_were(seed: int, symbol: str, fund: str | None) -> None:
    history = EuroHistory(RULES, seed, months=48, symbol=symbol, reserve_symbol=fund)
    found = replay(history.runs(), RuleChanges())
    assert found.skipped() == {}
    assert [step for step in found.steps if step.differs] == []
    assert [step.was and rounded(step.was) for step in found.steps] == [*map(rounded, history.figures)]
    sides = [order.side for orders in history.exchanges for order in orders]
    assert min(sides.count(Side.BUY), sides.count(Side.SELL)) > 5, "there and back"
    assert found.worth == 0


@pytest.mark.parametrize("symbol", PAIRS)
@pytest.mark.parametrize("name", CHANGES)
def test_by_other_rules_it_is_what_an_account_with_those_rules_would_have_done(name: str, symbol: str) -> None:
    """Two accounts that never met, one by each rule: a replay of the first is the second, conversions and all. Amounts
    that are divided by a rate agree to the last digits.
    """
    was, would = (EuroHistory(rules, 1, 36, symbol=symbol) for rules in (RULES, changed(RULES, CHANGES[name])))
    found = replay(was.runs(), CHANGES[name])
    list(would.runs())
    assert found.skipped() == {}
    assert [step.would and rounded(step.would) for step in found.steps] == [*map(rounded, would.figures)]
    assert found.would != found.was
    assert found.worth == pytest.approx(would.equity - was.equity, abs=Decimal("1e-12"))
    amounts = [[order.quantity for orders in one.exchanges for order in orders] for one in (was, would)]
    assert amounts[0] != amounts[1], "other conversions"


def rounded(figures: Figures) -> Figures:
    names = ("spread", "commission", "drift_found", "drift_left")
    return replace(figures, **{name: round(getattr(figures, name), 15) for name in names})
