"""Everything that a plan is made from, as one value: given again, it gives the same plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from rebalancer.domain.portfolio import AccountSnapshot, Quote, TargetWeight
from rebalancer.domain.units import NO_RATIO, NO_USD, Usd
from rebalancer.planning.parked_reserve import ParkedPlan, cash_part, plan_parked
from rebalancer.planning.planner import plan
from rebalancer.planning.rules import PlanningRules


@dataclass(frozen=True, slots=True)
class PlanInputs:
    """What the planner is told.

    Attributes:
        snapshot: the account without what is set apart, with the cash that the plan may count with.
        weights: after replacements, without what is set apart.
        lots: shares by symbol, of which every order is a multiple; one share where a symbol is missing.
        reserve_symbol: what holds the reserve, if that is not cash.
        raised: the part of ``rules.reserve_amount`` that is to be there in cash, USD; of raise-cash.
    """

    snapshot: AccountSnapshot
    weights: tuple[TargetWeight, ...]
    quotes: Mapping[str, Quote]
    rules: PlanningRules
    lots: Mapping[str, int] = field(default_factory=dict)
    reserve_symbol: str | None = None
    raised: Usd = NO_USD


def plan_of(inputs: PlanInputs, elsewhere: Usd = NO_USD) -> ParkedPlan:
    """The plan, with the reserve where the account keeps it: while its fund is left alone, and so of unknown value, the
    fund is taken for what it is to be.

    Args:
        elsewhere: as :func:`~rebalancer.planning.parked_reserve.plan_parked` has it.

    Raises:
        Refused, QuoteUnavailable: as :func:`~rebalancer.planning.plan` and
            :func:`~rebalancer.planning.parked_reserve.plan_parked`.
    """
    given, rules = inputs, inputs.rules
    if given.reserve_symbol is not None and given.reserve_symbol in given.quotes:
        return plan_parked(
            given.snapshot,
            given.weights,
            given.quotes,
            rules,
            given.lots,
            symbol=given.reserve_symbol,
            raised=given.raised,
            elsewhere=elsewhere,
        )
    if given.reserve_symbol is not None:
        equity = given.snapshot.net_liquidation
        part = cash_part(Usd(rules.reserve(equity) - given.raised), equity)
        rules = replace(rules, reserve_fraction=NO_RATIO, reserve_amount=Usd(part + given.raised))
    return ParkedPlan(plan(given.snapshot, given.weights, given.quotes, rules, given.lots), rules)
