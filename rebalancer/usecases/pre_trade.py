"""The rules applied to a run: before it looks at the account, and before its first order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import structlog

from rebalancer.domain.errors import AllocationsUnavailable, Refused
from rebalancer.domain.rule_names import Rule
from rebalancer.domain.trading_sessions import day_start, trading_day
from rebalancer.risk import Blocked, clock_skew
from rebalancer.risk.cooldown import too_soon
from rebalancer.risk.input_checks import check_account, check_unchanged
from rebalancer.risk.limits import beyond
from rebalancer.risk.market_hours import Calendars, calendars, closed
from rebalancer.usecases.approval import require_consent
from rebalancer.usecases.context import NotNow, RunContext
from rebalancer.usecases.decision import Decision
from rebalancer.usecases.exclusivity import strangers
from rebalancer.usecases.first_times import first_times
from rebalancer.usecases.observation import View
from rebalancer.usecases.what_if import check_margin

log = structlog.get_logger()


def before_looking(desk: RunContext) -> None:
    """Stop where no plan could be traded at all.

    Raises:
        Refused: the account is switched off, or belongs to the other world.
        NotNow: the clocks are apart.
    """
    check_account(desk.account.account_id, desk.safeguards.mode, enabled=desk.account.enabled)
    _stop(_clocks_apart(desk))


def before_planning(desk: RunContext, view: View) -> None:
    """Stop where no plan could be traded now.

    Raises:
        NotNow: the market is closed, or the account has traded too recently.
    """
    known = _calendars(desk, view, view.wanted)
    _stop(closed(known, desk.clock(), desk.safeguards.hours))
    _stop(_too_soon(desk, known))


def before_trading(desk: RunContext, decision: Decision) -> None:
    """Stop where this plan may not be traded now.

    Raises:
        NotNow: a symbol's market is closed, or a person has to approve.
        Refused: the broker would not take the orders.
    """
    if not decision.plan.orders:
        return
    known = _calendars(desk, decision.view, {order.symbol for order in decision.plan.orders})
    _stop(closed(known, desk.clock(), desk.safeguards.hours))
    require_consent(desk, decision, (*first_times(desk, decision), *_beyond(desk, decision)))
    check_margin(desk, decision)


def require_same_targets(desk: RunContext, decision: Decision) -> None:
    """Stop between sells and buys if the strategy has changed its mind: the next try buys what it wants now. Without
    an answer the plan stands, which is minutes old at most.

    Raises:
        Refused: ``allocations_changed``.
    """
    try:
        newest = desk.targets.fetch(desk.account.strategy)
    except AllocationsUnavailable as silence:
        log.warning("targets_not_confirmed", error=str(silence))
        return
    check_unchanged(decision.view.targets.weights, newest.weights)


def acting_rules(desk: RunContext, decision: Decision) -> list[dict[str, str]]:
    """The rules that would hold or stop a live run of this plan now, for a person."""
    return [{"rule": rule, "reason": reason} for rule, reason in _acting(desk, decision)]


def _acting(desk: RunContext, decision: Decision) -> Iterator[tuple[Rule, str]]:
    for halt in desk.facts.halts():
        yield Rule.HALT, halt.blocks.reason
    if others := strangers(desk):
        yield Rule.OTHER_INSTALLATION, f"orders of another installation at the broker: {', '.join(others)}"
    if apart := _clocks_apart(desk):
        yield apart.rule, apart.reason
    try:
        check_account(desk.account.account_id, desk.safeguards.mode, enabled=desk.account.enabled)
        known = _calendars(
            desk, decision.view, {*(order.symbol for order in decision.plan.orders), *decision.view.wanted}
        )
    except Refused as refusal:
        yield refusal.rule, refusal.reason
        return
    if shut := closed(known, desk.clock(), desk.safeguards.hours):
        yield shut.rule, shut.reason
    if soon := _too_soon(desk, known):
        yield soon.rule, soon.reason
    for reason in first_times(desk, decision) if decision.plan.orders else ():
        yield Rule.FIRST_TIME, reason
    for reason in _beyond(desk, decision):
        yield Rule.LIMITS, reason
    if desk.safeguards.approval != "auto" and decision.plan.orders:
        yield Rule.APPROVAL, f"the account's approval mode is {desk.safeguards.approval}"
    if decision.must_wait:
        yield Rule.SETTLEMENT, decision.settlement
    yield from _not_traded(decision)


def _not_traded(decision: Decision) -> Iterator[tuple[Rule, str]]:
    for line in decision.plan.lines:
        if line.odd:
            yield Rule.ORDER_SIZE, f"{line.symbol}: {line.note}"
    for words in decision.attention:
        yield Rule.LEFT_ALONE, words


def _calendars(desk: RunContext, view: View, symbols: Iterable[str]) -> Calendars:
    return calendars([view.instruments[symbol] for symbol in sorted(symbols)], desk.safeguards.hours)


def _too_soon(desk: RunContext, known: Calendars) -> Blocked | None:
    pace = desk.safeguards.pace
    if not pace.once_a_day and not pace.cooldown:
        return None
    return too_soon(pace, desk.facts.last_rebalance(), desk.clock(), known, desk.safeguards.hours)


def _clocks_apart(desk: RunContext) -> Blocked | None:
    return clock_skew.apart(desk.broker.clock_ahead(), desk.clock(), desk.safeguards.clock_tolerance)


def _beyond(desk: RunContext, decision: Decision) -> tuple[str, ...]:
    morning, guards = day_start(trading_day(desk.clock())), desk.safeguards
    today, everywhere = desk.facts.traded_since(morning), desk.facts.traded_everywhere_since(morning)
    needs = beyond(
        decision.plan, decision.quotes, guards.limits, today=today, everywhere=everywhere, collar=guards.collar
    )
    return needs.reasons if needs else ()


def _stop(blocked: Blocked | None) -> None:
    if blocked is not None:
        raise NotNow(blocked)
