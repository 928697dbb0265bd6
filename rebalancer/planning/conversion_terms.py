"""All that decides on a plan's conversions, as one value: given again with the planner's inputs, it gives the same
plan, in a run and in a replay of it; pure.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from rebalancer.domain.money import cents
from rebalancer.domain.portfolio import Plan
from rebalancer.domain.units import Usd
from rebalancer.planning.conversion import ConvertedPlan, Exchange, conversion_note, plan_converted
from rebalancer.planning.conversion_back import plan_back
from rebalancer.planning.inputs import PlanInputs, plan_of


@dataclass(frozen=True, slots=True)
class BackTerms:
    """What decides on idle dollars, where their owner wants them converted back.

    Attributes:
        dollars: those that may be given away today, USD, without what is owed for shorts.
        proceeds_pay: what the plan sells is among them at once.
        waits: why they stay for now, in words; nothing where they need not.
        waits_untraded: likewise for a plan without orders, which replaces nobody's open ones.
    """

    dollars: Usd
    proceeds_pay: bool
    waits: tuple[str, ...] = ()
    waits_untraded: tuple[str, ...] = ()

    def why_not(self, made: Plan) -> tuple[str, ...]:
        """Why the dollars that a plan leaves idle stay for now."""
        return self.waits if made.orders else self.waits_untraded


@dataclass(frozen=True, slots=True)
class ConversionTerms:
    """What a plan's conversions are decided by.

    Attributes:
        dollars: of the cash of the planner's inputs those that are there already, USD, without what is owed for shorts.
        back: ``None`` where dollars stay dollars.
    """

    exchange: Exchange
    dollars: Usd
    back: BackTerms | None = None


def plan_with_conversions(inputs: PlanInputs, terms: ConversionTerms | None) -> ConvertedPlan:
    """The plan with what it converts: for its buys, or else of what it leaves idle.

    Args:
        terms: ``None`` for an account that converts nothing.

    Raises:
        Refused, QuoteUnavailable: as :func:`~rebalancer.planning.inputs.plan_of`.
    """
    if terms is None:
        return ConvertedPlan(plan_of(inputs), None)
    made = plan_converted(inputs, exchange=terms.exchange, dollars=terms.dollars)
    made = replace(made, notes=(conversion_note(terms.exchange, made.conversion),))
    return made if made.conversion or terms.back is None else _back(inputs, made, terms.exchange, terms.back)


def _back(inputs: PlanInputs, made: ConvertedPlan, exchange: Exchange, back: BackTerms) -> ConvertedPlan:
    paid, order = plan_back(inputs, made.parked, exchange, dollars=back.dollars, proceeds_pay=back.proceeds_pay)
    if order is None:
        return made
    usd = cents(exchange.dollars(order))
    if why := "; ".join(back.why_not(made.plan)):
        return replace(made, notes=(*made.notes, f"{usd} USD that lie idle are not converted back: {why}"))
    note = f"{usd} USD are converted back into {exchange.base.currency}: {order.reason}"
    return ConvertedPlan(paid, None, order, (*made.notes, note))
