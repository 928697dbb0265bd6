"""A plan's orders: the sells, a conversion of currencies where the buys need one, then the buys from the dollars that
are really there.
"""

from __future__ import annotations

from dataclasses import replace

from rebalancer.domain.errors import OutcomeUnknown
from rebalancer.domain.money import ZERO, cents
from rebalancer.domain.portfolio import AccountSnapshot, ProposedOrder
from rebalancer.domain.rule_names import Rule
from rebalancer.domain.trading_sessions import next_morning
from rebalancer.domain.units import NO_RATIO, NO_USD, Usd
from rebalancer.planning.buying_power import Terms, has_margin, next_wave, spendable_now, ticket
from rebalancer.risk.limits import far_prices
from rebalancer.usecases.approval import require_consent
from rebalancer.usecases.context import Blocked, NotNow, RunContext
from rebalancer.usecases.conversion import convert
from rebalancer.usecases.decision import Decision, cash_of_plan, cost, sizing_quotes
from rebalancer.usecases.exclusivity import require_alone
from rebalancer.usecases.order_batch import Batch, Trading
from rebalancer.usecases.reconciliation import recover
from rebalancer.usecases.snapshots import known_books, snapshot_showing
from rebalancer.usecases.targets import require_unchanged


def execute_plan(context: RunContext, trading: Trading, decision: Decision) -> tuple[str, ...]:
    """Send the plan's orders and see them through. A sell that does not fill keeps no buy from being sent that the
    others pay for.

    Returns:
        What is left to do, in words: worth another round.

    Raises:
        Refused: the strategy has other targets than when the sells were planned, or prices have left what orders may be
            sized from; nothing was bought.
        OrderRejected: some were refused for good; all others have ended.
        NotNow: the rest has to wait; or another installation trades the account.
        OutcomeUnknown, GatewayUnavailable: interrupted; see :meth:`Trading.send`.
    """
    sold = _sell(context, trading, decision)
    if decision.plan.sells:
        context.broker.look_ahead(context.account_id)
        require_unchanged(context, decision.view.targets)
        require_alone(context)
    converted = convert(context, trading, decision)
    buying = _Buying(context, trading, decision)
    bought = buying.buy()
    batches = (sold, converted, *bought)
    rejections = [rejection for batch in batches for rejection in batch.rejections]
    if rejections:
        raise rejections[0]
    unfilled = [words for batch in batches for words in batch.unfilled]
    return (*unfilled, *buying.unpaid(ended=not unfilled))


def _sell(context: RunContext, trading: Trading, decision: Decision) -> Batch:
    """The sells; those that do not end in time are cancelled, and what they filled is on record."""
    terms, instruments = context.policy.terms, decision.view.instruments
    tickets = [ticket(order, terms, instruments[order.symbol]) for order in decision.plan.sells]
    try:
        return trading.send(tickets, instruments)
    except OutcomeUnknown as late:
        recover(context, late)
        return Batch(unfilled=(str(late),))


class _Buying:
    """The buys of one round."""

    def __init__(self, context: RunContext, trading: Trading, decision: Decision) -> None:
        self._context = context
        self._trading = trading
        self._decision = decision
        self._lends = has_margin(decision.snapshot)
        self._waiting = NO_USD

    def buy(self) -> list[Batch]:
        """Buy in as many waves as the funds demand, as far as today's funds reach."""
        decision = self._decision
        if not decision.plan.sells and not decision.conversion and not decision.must_wait:
            return self._waves(decision.plan.buys, decision.snapshot)
        now = self._now(cost(decision.plan.buys))
        wanted = payable = self._sized(now, cash_of_plan(decision.view, now, decision.left.cover))
        if cost(wanted) > self._funds(now):
            payable = self._sized(now, self._funds(now))
            self._waiting = Usd(cost(wanted) - cost(payable))
        self._require_prices(payable)
        return self._waves(payable, now)

    def unpaid(self, *, ended: bool) -> tuple[str, ...]:
        """What today's funds did not pay for, in words, if it is worth another round.

        Args:
            ended: everything that was sent has filled.

        Raises:
            NotNow: it waits for proceeds to settle.
        """
        if self._waiting <= self._context.policy.off_target * self._decision.plan.equity:
            return ()
        waiting = f"buys of {cents(self._waiting)} USD wait for funds that the broker does not make available yet"
        if ended and not self._lends:
            reason = f"sale proceeds have to settle: {waiting}"
            raise NotNow(Blocked(Rule.SETTLEMENT, reason, next_morning(self._context.clock())))
        return (waiting,)

    def _now(self, needed: Usd) -> AccountSnapshot:
        """The account once it shows the sells, with no more cash than they brought. Where the broker lends, proceeds
        are funds at once: values that do not show it yet are waited for.
        """
        waits = self._lends and not self._decision.view.bound
        books = known_books(self._context)
        most = needed if books is None else min(needed, Usd(books.cash - self._decision.left.cover))
        fresh = snapshot_showing(self._context, books, lambda seen: not waits or self._funds(seen) >= most)
        seen = self._decision.view.marked(fresh)
        return seen if books is None else replace(seen, cash=min(seen.cash, books.cash))

    def _funds(self, now: AccountSnapshot) -> Usd:
        """USD that the broker takes orders for today."""
        return Usd(spendable_now(now, self._context.policy.settled_cash_only) - self._decision.left.cover)

    def _sized(self, now: AccountSnapshot, cash: Usd) -> tuple[ProposedOrder, ...]:
        """Buys at fresh quotes within ``cash``."""
        quotes = self._quotes = sizing_quotes(self._context, self._decision.view, self._decision.quotes)
        return self._decision.sized(self._decision.traded(now), cash, quotes)

    def _require_prices(self, buys: tuple[ProposedOrder, ...]) -> None:
        """Fresh prices answer to the same limit as those of the plan.

        Raises:
            NotNow: a person has to approve them.
        """
        guards, plan = self._context.safeguards, replace(self._decision.plan, sells=(), buys=buys)
        reasons = tuple(far_prices(plan, self._quotes, guards.limits, guards.collar))
        if reasons:
            require_consent(self._context, replace(self._decision, plan=plan), reasons)

    def _waves(self, orders: tuple[ProposedOrder, ...], now: AccountSnapshot) -> list[Batch]:
        terms, instruments = self._terms(), self._decision.view.instruments
        funds = self._funds(now)
        batches: list[Batch] = []
        while orders:
            wave, orders = next_wave(orders, funds, terms, instruments, self._context.rules.fees)
            batch = self._trading.send(wave, instruments)
            batches.append(batch)
            funds = Usd(funds - self._spent(batch))
            if batch.unfilled:
                break
        return batches

    def _terms(self) -> Terms:
        terms = self._context.policy.terms
        return replace(terms, cushion=NO_RATIO) if self._lends else terms

    def _spent(self, batch: Batch) -> Usd:
        unknown = self._context.rules.fees.minimum
        fees = sum((batch.commissions.get(fill.execution_id, unknown) for fill in batch.fills), ZERO)
        return Usd(sum((fill.quantity * fill.price for fill in batch.fills), fees))
