"""From what a run sees to a plan that heeds the taxes of its household, and how its orders are worked: the one path for
preview and live.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace

from rebalancer.domain.household import WashSales
from rebalancer.domain.portfolio import Side
from rebalancer.domain.trading_sessions import day_start, trading_day
from rebalancer.domain.units import NO_RATIO, Ratio
from rebalancer.planning.substitutes import substituted
from rebalancer.risk.wash_sales import WINDOW, WashSale, bound, opposite_trades, wash_sales
from rebalancer.usecases.context import RunContext
from rebalancer.usecases.decision import Decision, decision_on
from rebalancer.usecases.observation import View, look
from rebalancer.usecases.order_styles import StyleProgress, with_styles


def decide(context: RunContext, view: View | None = None, progress: StyleProgress | None = None) -> Decision:
    """Read the world and plan; nothing is sent.

    Args:
        view: what was read a moment ago.
        progress: of the run that is under way.

    Raises:
        Refused, QuoteUnavailable, AllocationsUnavailable, GatewayUnavailable: before any order.
    """
    decision = decision_on(context, view or look(context))
    if context.safeguards.wash_sales is not WashSales.OFF:
        decision = _heeding_taxes(context, decision)
    return with_styles(context, decision, progress or StyleProgress()) if context.styles.rules.any else decision


def _heeding_taxes(context: RunContext, decision: Decision) -> Decision:
    """What the plan's orders mean for taxes in its notes; or the plan without such orders, which may call for others
    that are such, and is made again until it has none.
    """
    first, withheld, instead = decision, dict[str, str](), _still_in_place(context, decision)
    if instead:
        withheld = _kept(context, first, instead)
        decision = decision_on(context, _substituted(context, first, instead), withheld)
    while True:
        found, notes = _taxed(context, decision)
        new = {one.symbol: one for one in found if one.symbol not in withheld}
        if not new or context.safeguards.wash_sales is WashSales.WARN:
            said = *(f"{one.symbol}: {one.why}" for one in found), *_words(context, instead), *notes
            plan = replace(decision.plan, notes=(*decision.plan.notes, *said))
            return replace(decision, plan=plan, wash_sales=found)
        replaced = _replaced(context, first.view, new.values(), withheld.keys() | instead.keys())
        if replaced:
            instead |= replaced
            withheld |= _kept(context, first, replaced)
        else:
            withheld |= {symbol: f"wash_sale: {one.why}" for symbol, one in new.items()}
        decision = decision_on(context, _substituted(context, first, instead), withheld)


def _still_in_place(context: RunContext, first: Decision) -> dict[str, str]:
    """Targets that may not be bought yet, of which the account holds the substitute and none too many of themselves:
    whether this plan would buy them or not, the substitute stays. With the reason.
    """
    if not context.substitutes:
        return {}
    held = {line.symbol for line in first.plan.lines if line.held}
    wanted = {entry.symbol: entry.weight for entry in first.view.weights if entry.weight}
    asked = {
        symbol
        for symbol, weight in wanted.items()
        if _has_substitute(context, first.view, symbol, ())
        and context.substitutes[symbol].target in held - wanted.keys()
        and _weight(first, symbol) < weight
    }
    if not asked:
        return {}
    now = context.clock()
    return bound(context.run.household(asked, day_start(trading_day(now) - WINDOW)).trades, now)


def _replaced(context: RunContext, view: View, found: Iterable[WashSale], may_not: Collection[str]) -> dict[str, str]:
    """Those in whose place something else is bought, with the reason: of a sale nothing else makes the loss count."""
    bought = {one.symbol: one.why for one in found if one.side is Side.BUY}
    return {symbol: why for symbol, why in bought.items() if _has_substitute(context, view, symbol, may_not)}


def _has_substitute(context: RunContext, view: View, symbol: str, may_not: Collection[str]) -> bool:
    """Whether a symbol is a target in whose place something else may be held.

    Args:
        may_not: symbols that this run may not buy.
    """
    if symbol not in context.substitutes:
        return False
    target = context.substitutes[symbol].target
    apart = {*context.account.rules.hold, *view.left_alone, *may_not, view.reserve_symbol}
    wanted = {entry.symbol for entry in view.weights if entry.weight}
    return symbol in wanted and target in view.instruments and not {symbol, target} & apart


def _in_place(context: RunContext, symbol: str) -> str:
    return f"{context.substitutes[symbol].target} is held in its place"


def _words(context: RunContext, instead: Mapping[str, str]) -> Iterator[str]:
    return (f"{symbol}: {_in_place(context, symbol)}: {why}" for symbol, why in instead.items())


def _kept(context: RunContext, first: Decision, symbols: Collection[str]) -> dict[str, str]:
    """Of those that are replaced what is held and left alone, with the reason."""
    held = {line.symbol for line in first.plan.lines if line.held}
    return {symbol: f"wash_sale: {_in_place(context, symbol)}" for symbol in symbols if symbol in held}


def _weight(decision: Decision, symbol: str) -> Ratio:
    """What is held, as a fraction of investable equity."""
    return next((one.current_weight for one in decision.plan.lines if one.symbol == symbol), NO_RATIO)


def _substituted(context: RunContext, first: Decision, instead: Collection[str]) -> View:
    """What was read, with other targets in place of those that may not be bought.

    Args:
        first: what would be done otherwise.
    """
    rules = [context.substitutes[symbol] for symbol in instead]
    weights = substituted(first.view.weights, rules, {symbol: _weight(first, symbol) for symbol in instead})
    return replace(first.view, weights=weights) if rules else first.view


def _taxed(context: RunContext, decision: Decision) -> tuple[tuple[WashSale, ...], tuple[str, ...]]:
    orders, now, account_id = decision.plan.orders, context.clock(), context.account.account_id
    if not orders:
        return (), ()
    household = context.run.household({one.symbol for one in orders}, day_start(trading_day(now) - WINDOW))
    found = wash_sales(account_id, orders, decision.snapshot.positions, household, now)
    return found, opposite_trades(account_id, orders, household.trades, now)
