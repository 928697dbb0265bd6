"""The targets of an account, held against the gate: of the strategy that it follows, or of its blend of several."""

from __future__ import annotations

from collections.abc import Collection

import structlog

from rebalancer.domain.accounts import Member, StaleMember
from rebalancer.domain.errors import AllocationsUnavailable, Refused
from rebalancer.domain.portfolio import StrategyPart, Targets
from rebalancer.domain.trading_sessions import trading_day
from rebalancer.planning.blends import blend, moves
from rebalancer.risk.input_checks import check_targets, check_unchanged
from rebalancer.usecases.context import RunContext

log = structlog.get_logger()


def read_targets(context: RunContext) -> Targets:
    """Newest targets.

    Raises:
        AllocationsUnavailable, Refused: they cannot be had, or justify no order; in a blend those of a member that may
            not be frozen, or is in no earlier rebalance.
    """
    if not context.account.members:
        return _checked(context, context.account.strategy)
    before = context.run.last_targets()
    members = tuple(_part(context, member, before) for member in context.account.members)
    days = [member.as_of for member in members]
    known = [day for day in days if day is not None]
    return Targets(
        context.account.strategy,
        blend(members),
        as_of=min(known) if len(known) == len(days) else None,
        members=members,
        moved=moves(members, before) if before else {},
    )


def require_unchanged(context: RunContext, targets: Targets) -> None:
    """Stop between sells and buys if a strategy has changed its mind: the next try buys what it wants now. What cannot
    be asked is minutes old at most, and stands, as does what is frozen.

    Raises:
        Refused: ``allocations_changed``.
    """
    for part in targets.parts:
        if part.frozen is not None:
            continue
        try:
            newest = context.targets.fetch(part.strategy)
        except AllocationsUnavailable as silence:
            log.warning("targets_not_confirmed", error=str(silence))
            continue
        check_unchanged(part.weights, newest.weights)


def frozen(targets: Targets) -> tuple[str, ...]:
    """Which members are taken as they were, and why, in words."""
    return tuple(
        f"{part.strategy} is taken as at the last rebalance (as of {part.as_of or 'an unknown day'}): {part.frozen}"
        for part in targets.members
        if part.frozen is not None
    )


def _checked(context: RunContext, strategy: str) -> Targets:
    targets = context.targets.fetch(strategy)
    check_targets(
        targets,
        trading_day(context.clock()),
        context.safeguards.targets_max_age,
        allow_cash_share=context.account.rules.allow_cash_share,
    )
    return targets


def _part(context: RunContext, member: Member, before: Collection[StrategyPart]) -> StrategyPart:
    try:
        found = _checked(context, member.strategy)
    except Refused as refusal:
        why = Refused(refusal.rule, f"{member.strategy}: {refusal.reason}", refusal.numbers)
        return _frozen(context, member, before, why)
    except AllocationsUnavailable as silence:
        return _frozen(context, member, before, type(silence)(f"{member.strategy}: {silence}"))
    return StrategyPart(member.strategy, member.share, found.weights, found.as_of, found.last_rebalance_on)


def _frozen(
    context: RunContext, member: Member, before: Collection[StrategyPart], why: Refused | AllocationsUnavailable
) -> StrategyPart:
    """The member as it was.

    Raises:
        Refused, AllocationsUnavailable: ``why``, where that may not be, or it never was.
    """
    known = next((part for part in before if part.strategy == member.strategy), None)
    if context.account.rules.stale_member is not StaleMember.FREEZE or known is None:
        raise why
    return StrategyPart(
        member.strategy, member.share, known.weights, known.as_of, known.last_rebalance_on, frozen=str(why)
    )
