"""The rules applied to a run: before it looks at the account, and before its first order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from rebalancer.domain.account_history import Traded
from rebalancer.domain.errors import Refused
from rebalancer.domain.orders import Instrument
from rebalancer.domain.rule_names import Rule
from rebalancer.domain.trading_sessions import day_start, trading_day
from rebalancer.risk import Blocked, clock_skew
from rebalancer.risk.conversions import too_much
from rebalancer.risk.cooldown import too_soon
from rebalancer.risk.input_checks import check_account
from rebalancer.risk.limits import beyond
from rebalancer.risk.market_hours import Calendars, calendars, closed
from rebalancer.usecases.approval import require_consent
from rebalancer.usecases.closing_auction import before_the_close
from rebalancer.usecases.context import NotNow, RunContext
from rebalancer.usecases.decision import Decision
from rebalancer.usecases.exclusivity import strangers
from rebalancer.usecases.first_times import first_times
from rebalancer.usecases.observation import View
from rebalancer.usecases.what_if import check_margin


def before_looking(context: RunContext) -> None:
    """Stop where no plan could be traded at all.

    Raises:
        Refused: the account is switched off, or belongs to the other world.
        NotNow: the clocks are apart, or all of the account's strategy is held.
    """
    check_account(context.account.account_id, context.safeguards.mode, enabled=context.account.enabled)
    _stop(_clocks_apart(context))
    _stop(_strategy_held(context))


def before_planning(context: RunContext, view: View) -> None:
    """Stop where no plan could be traded now.

    Raises:
        NotNow: the market is closed, or the account has traded too recently.
    """
    known = _calendars(context, view, view.wanted)
    _stop(closed(known, context.clock(), context.safeguards.hours))
    _stop(_too_soon(context, known))


def before_trading(context: RunContext, decision: Decision) -> None:
    """Stop where this plan may not be traded now.

    Raises:
        NotNow: a symbol's market is closed, or a person has to approve.
        Refused: the broker would not take the orders.
    """
    if not decision.every_order:
        return
    known = _calendars(context, decision.view, {order.symbol for order in decision.plan.orders}, _pairs(decision))
    _stop(closed(known, context.clock(), context.safeguards.hours))
    require_consent(context, decision, (*first_times(context, decision), *_beyond(context, decision)))
    check_margin(context, decision)


def acting_rules(context: RunContext, decision: Decision) -> list[dict[str, str]]:
    """The rules that would hold or stop a live run of this plan now, for a person."""
    return [{"rule": rule, "reason": reason} for rule, reason in _acting(context, decision)]


def _acting(context: RunContext, decision: Decision) -> Iterator[tuple[Rule, str]]:
    for halt in context.run.halts():
        yield halt.rule, halt.reason
    if others := strangers(context):
        yield Rule.OTHER_INSTALLATION, f"orders of another installation at the broker: {', '.join(others)}"
    if apart := _clocks_apart(context):
        yield apart.rule, apart.reason
    if held := _strategy_held(context):
        yield held.rule, held.reason
    try:
        check_account(context.account.account_id, context.safeguards.mode, enabled=context.account.enabled)
        known = _calendars(
            context,
            decision.view,
            {*(order.symbol for order in decision.plan.orders), *decision.view.wanted},
            _pairs(decision),
        )
    except Refused as refusal:
        yield refusal.rule, refusal.reason
        return
    if shut := closed(known, context.clock(), context.safeguards.hours):
        yield shut.rule, shut.reason
    if soon := _too_soon(context, known):
        yield soon.rule, soon.reason
    for reason in first_times(context, decision) if decision.every_order else ():
        yield Rule.FIRST_TIME, reason
    for reason in _beyond(context, decision):
        yield Rule.LIMITS, reason
    if context.safeguards.approval != "auto" and decision.every_order:
        yield Rule.APPROVAL, f"the account's approval mode is {context.safeguards.approval}"
    yield from _not_yet(context, decision)
    yield from _not_traded(decision)


def _not_yet(context: RunContext, decision: Decision) -> Iterator[tuple[Rule, str]]:
    if decision.must_wait:
        yield Rule.SETTLEMENT, decision.settlement
    if early := before_the_close(decision, decision.plan.orders, context.clock()):
        yield early.rule, early.reason


def _not_traded(decision: Decision) -> Iterator[tuple[Rule, str]]:
    for line in decision.plan.lines:
        if line.odd:
            yield Rule.ORDER_SIZE, f"{line.symbol}: {line.note}"
    for one in decision.wash_sales:
        yield Rule.WASH_SALE, f"{one.symbol}: {one.why}"
    for words in decision.attention:
        yield Rule.LEFT_ALONE, words


def _calendars(context: RunContext, view: View, symbols: Iterable[str], more: Sequence[Instrument] = ()) -> Calendars:
    return calendars([*(view.instruments[symbol] for symbol in sorted(symbols)), *more], context.safeguards.hours)


def _pairs(decision: Decision) -> tuple[Instrument, ...]:
    """What a plan trades beside stocks."""
    return (decision.exchange.instrument,) if decision.exchange and decision.exchanged else ()


def _too_soon(context: RunContext, known: Calendars) -> Blocked | None:
    pace = context.safeguards.pace
    if not pace.once_a_day and not pace.cooldown:
        return None
    return too_soon(pace, context.run.last_rebalance(), context.clock(), known, context.safeguards.hours)


def _clocks_apart(context: RunContext) -> Blocked | None:
    return clock_skew.apart(context.broker.clock_ahead(), context.clock(), context.safeguards.clock_tolerance)


def _strategy_held(context: RunContext) -> Blocked | None:
    return context.run.strategy_hold() if context.safeguards.guarded else None


def _beyond(context: RunContext, decision: Decision) -> tuple[str, ...]:
    morning, guards = day_start(trading_day(context.clock())), context.safeguards
    today, everywhere = context.run.traded_since(morning), context.run.traded_everywhere_since(morning)
    needs = beyond(
        decision.plan, decision.quotes, guards.limits, today=today, everywhere=everywhere, collar=guards.collar
    )
    return (*(needs.reasons if needs else ()), *_converted_too_much(context, decision, today))


def _converted_too_much(context: RunContext, decision: Decision, today: Traded) -> tuple[str, ...]:
    if not decision.exchanged:
        return ()
    return too_much(decision.exchanged, today.converted, context.safeguards.day_fx_usd)


def _stop(blocked: Blocked | None) -> None:
    if blocked is not None:
        raise NotNow(blocked)
