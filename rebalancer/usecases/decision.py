"""From what a run sees and the quotes to a plan."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta

from rebalancer.domain.account_history import Seen
from rebalancer.domain.errors import Refused
from rebalancer.domain.money import CENT, ZERO, cents
from rebalancer.domain.order_styles import StyleChoice
from rebalancer.domain.portfolio import AccountSnapshot, Plan, ProposedOrder, Quote
from rebalancer.domain.units import NO_USD, Usd
from rebalancer.planning import PlanningRules, size_buys
from rebalancer.planning.buying_power import available_cash, has_margin, spendable_now
from rebalancer.planning.conversion import Exchange, cash_for_buys, counting
from rebalancer.planning.conversion_terms import ConversionTerms, plan_with_conversions
from rebalancer.planning.inputs import PlanInputs
from rebalancer.planning.parked_reserve import Parking, check_no_target, with_fund
from rebalancer.planning.purchases import short_cover
from rebalancer.planning.style_choice import StyleChooser
from rebalancer.risk.corporate_actions import corporate_actions
from rebalancer.risk.exclusions import NOTHING_LEFT, Remainder, check_agreement, check_marks, set_apart
from rebalancer.risk.kept_shares import check_kept, without_kept
from rebalancer.risk.missing_positions import check_missing
from rebalancer.risk.splits import check_splits
from rebalancer.risk.wash_sales import WashSale
from rebalancer.usecases.context import RunContext
from rebalancer.usecases.exchange import read_exchange
from rebalancer.usecases.idle_dollars import back_terms
from rebalancer.usecases.observation import View
from rebalancer.usecases.quote_gate import judge
from rebalancer.usecases.targets import frozen

KEPT_SINCE = timedelta(days=400)
"""Back to then a split of shares that are kept apart is seen, and what became of holdings: longer than any strategy
rests.
"""


@dataclass(frozen=True, slots=True)
class Decision:
    """A plan and everything that it was made from.

    Attributes:
        inputs: what the planner was told.
        left: what of the account the plan may trade.
        rules: by which the plan was made, and its buys are sized again.
        buys_now: the part of the plan's buys that may be sent today.
        attention: holdings and targets that nobody asked to leave alone and that were, with the reason.
        parking: of an account that keeps its reserve in a fund.
        wash_sales: its orders that would make one.
        terms: of what it converts; ``None`` for an account that converts nothing.
        conversion: what the plan converts, between its sells and its buys.
        back: what it converts back, after them.
        corporate_actions: holdings that have changed though nobody here has traded them.
        styles: of its orders; ``None`` where none may have one.
    """

    view: View
    inputs: PlanInputs
    left: Remainder
    plan: Plan
    rules: PlanningRules
    buys_now: tuple[ProposedOrder, ...]
    attention: tuple[str, ...] = ()
    parking: Parking | None = None
    wash_sales: tuple[WashSale, ...] = ()
    terms: ConversionTerms | None = None
    conversion: ProposedOrder | None = None
    back: ProposedOrder | None = None
    corporate_actions: tuple[str, ...] = ()
    styles: StyleChooser | None = None

    @property
    def snapshot(self) -> AccountSnapshot:
        """The account as the broker reported it."""
        return self.view.snapshot

    @property
    def exchange(self) -> Exchange | None:
        """Of an account that converts its base currency for buys."""
        return None if self.terms is None else self.terms.exchange

    @property
    def quotes(self) -> Mapping[str, Quote]:
        """Of everything that is held or wanted and may be traded."""
        return self.inputs.quotes

    def traded(self, now: AccountSnapshot) -> AccountSnapshot:
        """A later snapshot without the shares that are kept apart, which the plan has never seen."""
        return without_kept(now, self.left.kept)

    def counting(self, now: AccountSnapshot) -> AccountSnapshot:
        """A later snapshot with what may still be converted as dollars, as the plan counted it."""
        if self.exchange is None or now.base is None:
            return now
        return counting(now, replace(self.exchange, base=now.base))

    def sized(self, now: AccountSnapshot, dollars: Usd, quotes: Mapping[str, Quote]) -> tuple[ProposedOrder, ...]:
        """Its buys anew, see :func:`~rebalancer.planning.size_buys`.

        Args:
            now: the account without what is kept apart.
            dollars: that may be spent, reserve included, USD.
        """
        account = replace(now, cash=self.cash_for_buys(now, dollars))
        buys = size_buys(self.plan, account, quotes, self.rules)
        if self.parking is None:
            return buys
        cash = self.cash_for_buys(now, dollars, self.parking.cash_part)
        return with_fund(buys, self.parking, Usd(cash - short_cover(self.plan.lines)), quotes, self.rules)

    def cash_for_buys(self, now: AccountSnapshot, dollars: Usd, cash_part: Usd | None = None) -> Usd:
        """USD to size the buys from: what of the reserve is in the base currency counts."""
        if self.exchange is None:
            return dollars
        return cash_for_buys(self.plan, dollars, now.base, self.exchange, cash_part)

    @property
    def every_order(self) -> tuple[ProposedOrder, ...]:
        """In the order of sending, conversions too."""
        between = () if self.conversion is None else (self.conversion,)
        last = () if self.back is None else (self.back,)
        return (*self.plan.sells, *between, *self.plan.buys, *last)

    @property
    def exchanged(self) -> Usd:
        """USD that it converts, in either direction."""
        order = self.conversion or self.back
        return self.exchange.dollars(order) if self.exchange and order else NO_USD

    def style(self, order: ProposedOrder) -> StyleChoice | None:
        """How an order of the plan is worked; ``None`` for one without a style, as conversions are."""
        return None if self.styles is None or order in (self.conversion, self.back) else self.styles.choice(order)

    @property
    def reserve(self) -> Usd:
        """USD that the account keeps in all, in cash or in a fund."""
        return self.parking.reserve if self.parking else self.plan.reserve

    @property
    def must_wait(self) -> Usd:
        """USD of the plan's buys that today's funds do not pay for."""
        return max(NO_USD, Usd(cost(self.plan.buys) - cost(self.buys_now)))

    @property
    def remainders(self) -> tuple[str, ...]:
        """What is left of holdings that are no target and is less than a lot, in words."""
        left = (line for line in self.plan.lines if line.odd and not line.target_weight)
        return tuple(f"{line.symbol}: {line.note}" for line in left)

    @property
    def settlement(self) -> str:
        """The same in words."""
        today, later = cents(cost(self.buys_now)), cents(self.must_wait)
        return f"of the buys {today} USD are paid for today, {later} USD wait until sale proceeds have settled"


def cost(buys: tuple[ProposedOrder, ...]) -> Usd:
    """USD, fees included."""
    return Usd(sum((order.notional + order.fee for order in buys), ZERO))


def decision_on(context: RunContext, view: View, withheld: Mapping[str, str] = NOTHING_LEFT) -> Decision:
    """The plan for what was read; nothing is sent, and taxes and styles are not looked at.

    Args:
        withheld: symbols that it leaves alone besides, with the reason.

    Raises:
        Refused, QuoteUnavailable, GatewayUnavailable: before any order.
    """
    quotes, unquoted = _quotes(context, view)
    if view.reserve_symbol in withheld:  # with a quote its fund would be bought and sold
        quotes = {symbol: quote for symbol, quote in quotes.items() if symbol != view.reserve_symbol}
    last = context.run.seen(KEPT_SINCE)
    seen = _compared(context, last)
    if seen is not None:
        check_splits(seen, view.snapshot, quotes)
    left_alone = {**view.left_alone, **unquoted, **withheld}
    rules = context.account.rules
    kept = {symbol: count for symbol, count in rules.kept.items() if symbol not in left_alone}
    if kept:
        check_kept(kept, last, view.snapshot, quotes)
    exchange = read_exchange(context, view.snapshot)
    counted = counting(view.snapshot, exchange) if exchange else view.snapshot
    left = set_apart(counted, view.weights, quotes, rules.hold, left_alone, kept=kept)
    equity, tolerance = view.snapshot.net_liquidation, context.safeguards.equity_tolerance
    check_agreement(left, equity, tolerance)
    if seen is not None:
        check_missing(seen, view.snapshot, quotes)
    if left.unquoted:
        check_marks(left, context.broker.marks(context.account.account_id), equity, tolerance)
    cash = cash_of_plan(view, counted, left.cover)
    inputs = PlanInputs(
        snapshot=replace(left.snapshot, cash=cash),
        weights=left.weights,
        quotes=quotes,
        rules=context.rules,
        lots={symbol: one.lot for symbol, one in view.instruments.items()},
        reserve_symbol=view.reserve_symbol,
        raised=_raised(context),
    )
    if view.reserve_symbol is not None:  # of all targets: one that is left alone is none of the planner's inputs
        check_no_target(view.reserve_symbol, view.weights)
    terms = _terms(context, view, exchange, left.cover, left_alone)
    converted = plan_with_conversions(inputs, terms)
    made = converted.parked
    ours = {position.symbol for position in view.snapshot.positions if position.quantity}
    ours |= {entry.symbol for entry in view.weights if entry.weight}
    attention = tuple(f"{symbol}: {why}" for symbol, why in sorted(left_alone.items()) if symbol in ours)
    decision = Decision(
        view=view,
        inputs=inputs,
        left=left,
        plan=made.plan,
        rules=made.rules,
        parking=made.parking,
        buys_now=made.plan.buys,
        attention=attention,
        terms=terms,
        conversion=converted.conversion,
        back=converted.back,
        corporate_actions=() if last is None else corporate_actions(last, view.snapshot, quotes),
    )
    decision = replace(decision, buys_now=_buys_now(context, decision))
    notes = (
        *made.plan.notes,
        *_kept_cash(context),
        *frozen(view.targets),
        *decision.corporate_actions,
        *left.notes,
        *converted.notes,
        *view.foreign,
        *([decision.settlement] if decision.must_wait else []),
    )
    return replace(decision, plan=replace(made.plan, notes=notes))


def _terms(
    context: RunContext, view: View, exchange: Exchange | None, cover: Usd, left_alone: Mapping[str, str]
) -> ConversionTerms | None:
    """What decides on conversions, where there may be one."""
    if exchange is None:
        return None
    back = back_terms(context, view, cover=cover, left_alone=left_alone)
    return ConversionTerms(exchange, Usd(view.snapshot.cash - cover), back)


def _raised(context: RunContext) -> Usd:
    """USD that are to be there in cash besides the reserve: what this run raises, and what earlier ones have."""
    return Usd(context.run.claim.kind.amount + context.run.claim.kept_cash)


def _kept_cash(context: RunContext) -> list[str]:
    kept = context.run.claim.kept_cash
    return [f"{cents(kept)} USD were raised for a day to come, and are kept"] if kept else []


def sizing_quotes(context: RunContext, view: View, symbols: Collection[str]) -> Mapping[str, Quote]:
    """Fresh quotes that orders in ``symbols`` may be sized from.

    Raises:
        QuoteUnavailable, Refused: one of them may not be.
    """
    quotes = context.broker.quotes({symbol: view.instruments[symbol] for symbol in sorted(symbols)})
    judge(context, quotes)
    return quotes


def _quotes(context: RunContext, view: View) -> tuple[Mapping[str, Quote], Mapping[str, str]]:
    """Quotes that orders may be sized from; and holdings that are no target and have none, with the reason.

    Raises:
        QuoteUnavailable, Refused: a target has none.
    """
    spare = view.held - view.wanted
    asked = {symbol: view.instruments[symbol] for symbol in sorted(view.wanted | view.held)}
    found = context.broker.quotes(asked, spare)
    judge(context, {symbol: quote for symbol, quote in found.items() if symbol not in spare})
    unusable = dict.fromkeys(spare - found.keys(), "no usable two-sided quote")
    for symbol in sorted(spare & found.keys()):
        try:
            judge(context, {symbol: found[symbol]})
        except Refused as refusal:
            unusable[symbol] = refusal.reason
    return {symbol: quote for symbol, quote in found.items() if symbol not in unusable}, unusable


def _compared(context: RunContext, last: Seen | None) -> Seen | None:
    """What the account is compared with: the newest record, if it is new enough."""
    reach = context.safeguards.split_guard
    if last is None or last.at is None or not reach:
        return None
    return last if context.clock() - last.at < reach else None


def cash_of_plan(view: View, now: AccountSnapshot, cover: Usd) -> Usd:
    """Cash that a plan counts with, payable today or not, USD. Of an account with margin that has nothing but stocks,
    funds below the cash are values that lag; where something else binds funds, they are what the broker allows.

    Args:
        cover: what would buy back shorts that were set apart, USD.
    """
    return Usd((available_cash(now) if view.bound and has_margin(now) else now.cash) - cover)


def _buys_now(context: RunContext, decision: Decision) -> tuple[ProposedOrder, ...]:
    """Where the broker lends, proceeds pay at once; elsewhere they have to settle first."""
    made, funds = decision.plan, _funds_now(context, decision)
    proceeds_pay = (made.sells or decision.conversion) and has_margin(decision.snapshot)
    if proceeds_pay or _paid_for(made, funds):
        return made.buys
    return decision.sized(decision.left.snapshot, _spendable_now(context, decision), decision.quotes)


def need_proceeds(context: RunContext, decision: Decision) -> bool:
    """Whether the buys wait for what sells or a conversion bring."""
    first = decision.plan.sells or decision.conversion
    return bool(first) and not _paid_for(decision.plan, _funds_now(context, decision))


def _funds_now(context: RunContext, decision: Decision) -> Usd:
    """USD that buys may be sized from before anything is sold or converted, reserve included."""
    return decision.cash_for_buys(decision.snapshot, _spendable_now(context, decision))


def _spendable_now(context: RunContext, decision: Decision) -> Usd:
    """Dollars that buys may spend before anything is sold or converted, reserve included."""
    return Usd(spendable_now(decision.snapshot, context.policy.settled_cash_only) - decision.left.cover)


def _paid_for(made: Plan, funds: Usd) -> bool:
    return not made.buys or cost(made.buys) + made.reserve <= funds + CENT
