"""What the broker says beforehand of orders that deserve a second look."""

from __future__ import annotations

import structlog

from rebalancer.domain.errors import Refused
from rebalancer.domain.money import ZERO, cents
from rebalancer.domain.rule_names import Rule
from rebalancer.planning.buying_power import available_cash, ticket
from rebalancer.usecases.context import RunContext
from rebalancer.usecases.decision import Decision
from rebalancer.usecases.order_batch import request_of

log = structlog.get_logger()


def check_margin(context: RunContext, decision: Decision) -> None:
    """Ask what the first orders would do to the margin: an account's first ones, and those that use up its funds.

    Buys that follow sells or a conversion are not asked about, since the broker answers for the account as it is. A
    missing answer is on record and stops nothing: the broker itself refuses what it does not want.

    Raises:
        Refused: ``what_if_refused``, ``what_if_margin``.
    """
    plan = decision.plan
    if not context.safeguards.what_if or not _flagged(context, decision):
        return
    instruments = decision.view.instruments
    orders = plan.sells or (() if decision.conversion else decision.buys_now)
    needed = ZERO
    for number, order in enumerate(orders):
        instrument = instruments[order.symbol]
        priced = ticket(order, context.policy.terms, instrument)
        asked = request_of(context, priced, instrument, f"{context.run.claim.event_id.hex[:12]}-what-if-{number}")
        answer = context.broker.what_if(asked, context.safeguards.what_if_timeout_s)
        if answer is None:
            log.warning("what_if_unanswered", symbol=order.symbol)
            return
        needed += answer.initial
    funds = available_cash(decision.snapshot)
    if not plan.sells and needed > funds:
        reason = f"the buys would raise the initial margin by {cents(needed)} USD, available are {cents(funds)}"
        raise Refused(Rule.WHAT_IF_MARGIN, reason, {"needed": str(needed), "available": str(funds)})


def _flagged(context: RunContext, decision: Decision) -> bool:
    plan = decision.plan
    spent = sum((order.notional + order.fee for order in plan.buys), ZERO)
    tight = not plan.sells and not decision.conversion and 10 * spent > 9 * available_cash(decision.snapshot)
    return tight or not context.run.ever_traded()
