"""Compare what is held with what is wanted and propose the orders between."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from rebalancer.domain.money import ONE, ZERO
from rebalancer.domain.portfolio import (
    AccountSnapshot,
    Plan,
    PlanLine,
    ProposedOrder,
    Quote,
    Side,
    TargetWeight,
)
from rebalancer.domain.rebalance_kinds import RebalanceMode
from rebalancer.domain.units import NO_RATIO, NO_USD, Ratio, Shares, Usd
from rebalancer.planning.checks import (
    check_account,
    check_quotes,
    check_reserve,
    check_rules,
    check_weights,
    exact_arithmetic,
    holdings,
)
from rebalancer.planning.holdings import Stock, stocks_of
from rebalancer.planning.investable_base import SizingInputs, solve_investable_base
from rebalancer.planning.proceeds import just_enough
from rebalancer.planning.purchases import Buys, purchase, short_cover, trading_costs
from rebalancer.planning.rules import PlanningRules
from rebalancer.planning.wording import line_note, odd_note, order_reason, plan_notes

SINGLE_SHARES: Mapping[str, int] = MappingProxyType({})


def plan(
    snapshot: AccountSnapshot,
    weights: Sequence[TargetWeight],
    quotes: Mapping[str, Quote],
    rules: PlanningRules,
    lots: Mapping[str, int] = SINGLE_SHARES,
) -> Plan:
    """Propose the orders that bring an account to its target weights.

    Only stocks in USD are counted and traded. A symbol that is held but not targeted has the target 0. A short position
    is left alone, and the cash that would buy it back is not spent. Fractions of shares and of lots are never sold. No
    order moves a name away from its target, and planning again after all orders filled at their prices and fees
    proposes nothing; :mod:`rebalancer.planning.investable_base` says why.

    Args:
        quotes: of every symbol that is held or has a weight above 0; others are ignored.
        lots: shares by symbol, of which every order is a multiple; one share where a symbol is missing.

    Raises:
        Refused: ``allocations_*``, ``equity_not_positive``, ``cash_missing``, ``position_invalid``,
            ``positions_ambiguous``, ``reserve_range``, ``reserve_exceeds_equity``, ``planning_rules``,
            ``costs_exceed_equity``, ``numbers_out_of_range``.
        QuoteUnavailable: naming every symbol without a usable quote.
    """
    with exact_arithmetic():
        check_rules(rules)
        check_weights(weights, rules.minimum_weight_sum)
        check_account(snapshot)
        check_reserve(snapshot.net_liquidation, rules)
        held = holdings(snapshot)
        check_quotes(held.keys() | {entry.symbol for entry in weights if entry.weight > 0}, quotes)
        stocks = stocks_of(held, weights, quotes, rules, lots)
        draft = _with_sells(stocks, snapshot, rules)
        buys = purchase(draft, _after_sells(snapshot, draft), quotes, rules)
        final = _with_buys(draft, buys, stocks, snapshot, rules)
        return replace(final, notes=plan_notes(snapshot, weights, final.reserve, buys.gap))


def _with_sells(stocks: Sequence[Stock], snapshot: AccountSnapshot, rules: PlanningRules) -> Plan:
    """A plan without buys: lines, sells, and the base of the targets."""
    equity = snapshot.net_liquidation
    cover = sum((-stock.value for stock in stocks if stock.held < 0), ZERO)
    inputs = SizingInputs(stocks, equity, Usd(snapshot.cash - cover - rules.reserve(equity)), rules)
    investable = inputs.investable(solve_investable_base(inputs))
    trades = ((stock, stock.wanted_trade(investable, rules)) for stock in stocks)
    sells = [_sell(stock, -trade, investable, rules) for stock, trade in trades if trade < 0]
    sells.sort(key=lambda order: (-order.notional, order.symbol))
    lines = tuple(_line(stock, investable) for stock in stocks)
    draft = Plan(
        equity=equity,
        reserve=NO_USD,
        investable=investable,
        spendable_cash=NO_USD,
        lines=lines,
        sells=tuple(sells),
        buys=(),
    )
    return just_enough(draft, snapshot.cash, rules) if rules.kind is RebalanceMode.RAISE_CASH else draft


def _sell(stock: Stock, quantity: int, investable: Usd, rules: PlanningRules) -> ProposedOrder:
    reason = order_reason(Side.SELL, quantity, quantity, _weight(stock.value, investable), stock.weight)
    fee = rules.fees.estimate(quantity, stock.sell_price)
    return ProposedOrder(
        symbol=stock.symbol, side=Side.SELL, quantity=quantity, price=stock.sell_price, fee=fee, reason=reason
    )


def _line(stock: Stock, investable: Usd) -> PlanLine:
    weight = _weight(stock.value, investable)
    target = stock.target_shares(investable)
    return PlanLine(
        symbol=stock.symbol,
        held=stock.held,
        price=stock.mid,
        target_weight=stock.weight,
        current_weight=weight,
        target_shares=target,
        planned_shares=stock.held,
        planned_weight=weight,
        lot=stock.lot,
    )


def _weight(value: Usd, investable: Usd) -> Ratio:
    """Fraction of investable equity; where nothing is investable, any holding is all of it."""
    if investable == 0:
        return Ratio(ONE) if value else NO_RATIO
    return Ratio(value / investable)


def _after_sells(snapshot: AccountSnapshot, draft: Plan) -> AccountSnapshot:
    """The snapshot with the cash that the sells will have brought. What is sold is no name to buy, so that its position
    may stay.
    """
    cash = Usd(sum((order.notional - order.fee for order in draft.sells), snapshot.cash))
    return replace(snapshot, cash=cash)


def _with_buys(
    draft: Plan, buys: Buys, stocks: Sequence[Stock], snapshot: AccountSnapshot, rules: PlanningRules
) -> Plan:
    costs = trading_costs(draft, draft.sells + buys.orders)
    reserve = rules.reserve(Usd(draft.equity - costs))
    proceeds = sum((order.notional for order in draft.sells), ZERO)
    fees = sum((order.fee for order in draft.sells + buys.orders), ZERO)
    spendable = Usd(snapshot.cash + proceeds - fees - reserve - short_cover(draft.lines))
    traded = {order.symbol: -order.quantity for order in draft.sells}
    traded |= {order.symbol: order.quantity for order in buys.orders}
    lines = zip(draft.lines, stocks, strict=True)
    return replace(
        draft,
        reserve=reserve,
        spendable_cash=max(NO_USD, spendable),
        lines=tuple(_after(line, stock, traded.get(line.symbol, 0), draft.investable, rules) for line, stock in lines),
        buys=buys.orders,
    )


def _after(line: PlanLine, stock: Stock, trade: int, investable: Usd, rules: PlanningRules) -> PlanLine:
    planned = Shares(line.held + trade)
    odd = odd_note(stock, planned, investable, rules)
    return replace(
        line,
        planned_shares=planned,
        planned_weight=_weight(Usd(planned * line.price), investable),
        note=odd or line_note(stock, investable, rules, trade),
        odd=odd is not None,
    )
