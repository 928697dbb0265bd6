"""Plans that a person has to see first."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import NoReturn

import structlog

from rebalancer.domain.accounts import ApprovalMode
from rebalancer.domain.approvals import Approval, ApprovalState, Question
from rebalancer.domain.portfolio import Plan
from rebalancer.domain.rule_names import Rule
from rebalancer.domain.units import Ratio, percent_text
from rebalancer.risk import Blocked
from rebalancer.risk.plan_change import exceeded, moved, signed_notionals
from rebalancer.usecases.context import NotNow, RunContext
from rebalancer.usecases.decision import Decision
from rebalancer.usecases.decision_records import plan_record

log = structlog.get_logger()

SILENCE = "nobody objected"


def require_consent(context: RunContext, decision: Decision, beyond: tuple[str, ...]) -> None:
    """Let a plan pass that needs no approval, or has it; put any other before a person.

    An approval is for the plan that the person saw: one that has moved too far since is asked for again. While an
    approved plan is being carried out, in however many attempts, what is left of it needs no other.

    Args:
        beyond: why the plan exceeds the limits, if it does; silence is then no consent.

    Raises:
        NotNow: until the person's answer.
    """
    reasons = beyond or _mode_reasons(context)
    if not reasons:
        return
    asked = context.run.approval()
    if asked is None or asked.state in (ApprovalState.REJECTED, ApprovalState.REPLACED):
        _ask(context, decision, reasons, beyond)
    now = context.clock()
    silent = asked.silent_at is not None and asked.silent_at <= now
    if asked.state is ApprovalState.PENDING and not silent:
        if asked.expires_at <= now:
            _ask(context, decision, reasons, beyond)
        raise NotNow(_waiting(asked.reasons, asked.silent_at or asked.expires_at))
    change = _change(asked, decision)
    if change > context.safeguards.max_move:
        allowed = percent_text(context.safeguards.max_move)
        news = f"the plan has moved by {percent_text(change)} of equity since it was shown, allowed are {allowed}"
        _ask(context, decision, (news, *reasons), beyond)
    context.run.use(asked, SILENCE if asked.state is ApprovalState.PENDING else None)


def _mode_reasons(context: RunContext) -> tuple[str, ...]:
    mode = context.safeguards.approval
    return () if mode is ApprovalMode.AUTO else (f"the account's approval mode is {mode}",)


def _change(asked: Approval, decision: Decision) -> Ratio:
    """How far the plan is from the one that was shown; once it is being carried out, how far beyond it."""
    compare = exceeded if asked.state is ApprovalState.USED else moved
    return compare(asked.orders, _shown(decision))


def _shown(decision: Decision) -> Plan:
    """The plan, and what is converted back as an order of so many USD; a conversion for buys is as large as they."""
    if decision.exchange is None or decision.back is None:
        return decision.plan
    usd = decision.exchange.dollars(decision.back)
    return replace(decision.plan, buys=(*decision.plan.buys, replace(decision.back, quantity=1, price=usd)))


def _ask(context: RunContext, decision: Decision, reasons: tuple[str, ...], beyond: tuple[str, ...]) -> NoReturn:
    """Put the plan on record for a person, and wait."""
    now = context.clock()
    silent_at = now + context.safeguards.approval_wait if _silence_counts(context, beyond) else None
    expires_at = now + context.safeguards.approval_expires
    orders = dict(signed_notionals(_shown(decision).orders))
    context.run.ask(
        Question(reasons=reasons, orders=orders, plan=plan_record(decision), silent_at=silent_at, expires_at=expires_at)
    )
    log.warning("approval_needed", reasons=list(reasons), silent_at=silent_at and silent_at.isoformat())
    raise NotNow(_waiting(reasons, silent_at or expires_at))


def _silence_counts(context: RunContext, beyond: tuple[str, ...]) -> bool:
    return context.safeguards.approval is ApprovalMode.NOTIFY and not beyond


def _waiting(reasons: tuple[str, ...], until: datetime) -> Blocked:
    return Blocked(Rule.APPROVAL, f"needs approval: {'; '.join(reasons)}", until)
