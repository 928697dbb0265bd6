"""A plan's orders: the sells, a conversion of currencies where the buys need one, then the buys from the dollars that
are really there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from rebalancer.domain.money import ZERO, cents
from rebalancer.domain.portfolio import AccountSnapshot, ProposedOrder
from rebalancer.domain.rule_names import Rule
from rebalancer.domain.trading_sessions import next_morning
from rebalancer.domain.units import NO_RATIO, NO_USD, Usd
from rebalancer.planning.buying_power import Terms, has_margin, next_wave, spendable_now, ticket
from rebalancer.risk.limits import far_prices
from rebalancer.usecases.approval import require_consent
from rebalancer.usecases.closing_auction import before_the_close, for_the_close
from rebalancer.usecases.context import Blocked, NotNow, RunContext
from rebalancer.usecases.conversion import convert
from rebalancer.usecases.decision import Decision, cash_of_plan, cost, sizing_quotes
from rebalancer.usecases.exclusivity import require_alone
from rebalancer.usecases.order_batch import Batch, Trading
from rebalancer.usecases.order_styles import in_turn, styled
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
    batches = [*sold, converted, *bought]
    if not any(batch.unfilled for batch in batches):
        rejected = any(batch.rejections for batch in batches)
        batches.append(_at_the_close(context, trading, decision, buying, rejected=rejected))
    rejections = [rejection for batch in batches for rejection in batch.rejections]
    if rejections:
        raise rejections[0]
    unfilled = [words for batch in batches for words in batch.unfilled]
    return (*unfilled, *buying.unpaid(ended=not unfilled))


def _sell(context: RunContext, trading: Trading, decision: Decision) -> list[Batch]:
    """The sells; those that do not end in time are cancelled, and what they filled is on record."""
    instruments = decision.view.instruments
    sells = [order for order in decision.plan.sells if not for_the_close(decision, order)]
    terms = styled(context.policy.terms, decision.styles, sells, decision.quotes, context.clock())
    return [
        trading.see_out([ticket(order, terms, instruments[order.symbol]) for order in group], instruments, patience_s)
        for group, patience_s in in_turn(sells, terms)
    ]


def _at_the_close(
    context: RunContext, trading: Trading, decision: Decision, buying: _Buying, *, rejected: bool
) -> Batch:
    """What waits for the closing auction, all of it together: none of these buys needs what these sells bring.

    Args:
        rejected: others were refused, which is told before anything waits.

    Raises:
        NotNow: it is too early.
    """
    sells = [order for order in decision.plan.sells if for_the_close(decision, order)]
    orders, now = [*sells, *buying.for_the_close], context.clock()
    if not orders:
        return Batch()
    if too_early := before_the_close(decision, orders, now):
        if rejected:
            return Batch()
        raise NotNow(too_early)
    instruments = decision.view.instruments
    terms = styled(buying.terms, decision.styles, orders, buying.quotes, now)
    wave, _ = next_wave(buying.for_the_close, buying.left, terms, instruments, context.rules.fees)
    tickets = [*(ticket(order, terms, instruments[order.symbol]) for order in sells), *wave]
    patience_s = max(styling.patience_s or 0 for styling in terms.styles.values())
    return trading.see_out(tickets, instruments, patience_s)


class _Buying:
    """The buys of one round.

    Attributes:
        quotes: that they were sized from.
        for_the_close: those that wait for the closing auction.
        left: USD that the others have left of today's funds.
    """

    def __init__(self, context: RunContext, trading: Trading, decision: Decision) -> None:
        self._context = context
        self._trading = trading
        self._decision = decision
        self._lends = has_margin(decision.snapshot)
        self._waiting = NO_USD
        self.quotes = decision.quotes
        self.for_the_close: list[ProposedOrder] = []
        self.left = NO_USD

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
        quotes = self.quotes = sizing_quotes(self._context, self._decision.view, self._decision.quotes)
        return self._decision.sized(self._decision.traded(now), cash, quotes)

    def _require_prices(self, buys: tuple[ProposedOrder, ...]) -> None:
        """Fresh prices answer to the same limit as those of the plan.

        Raises:
            NotNow: a person has to approve them.
        """
        guards, plan = self._context.safeguards, replace(self._decision.plan, sells=(), buys=buys)
        reasons = tuple(far_prices(plan, self.quotes, guards.limits, guards.collar))
        if reasons:
            require_consent(self._context, replace(self._decision, plan=plan), reasons)

    def _waves(self, orders: tuple[ProposedOrder, ...], now: AccountSnapshot) -> list[Batch]:
        self.for_the_close = [order for order in orders if for_the_close(self._decision, order)]
        at_once = [order for order in orders if order not in self.for_the_close]
        terms = styled(self.terms, self._decision.styles, at_once, self.quotes, self._context.clock())
        self.left = self._funds(now)
        batches: list[Batch] = []
        for group, patience_s in in_turn(at_once, terms):
            batches += self._in_waves(group, terms, patience_s)
            if batches and batches[-1].unfilled:
                break
        return batches

    def _in_waves(self, orders: Sequence[ProposedOrder], terms: Terms, patience_s: float | None) -> Iterator[Batch]:
        instruments = self._decision.view.instruments
        while orders:
            wave, orders = next_wave(orders, self.left, terms, instruments, self._context.rules.fees)
            if patience_s is None:
                batch = self._trading.send(wave, instruments)
            else:
                batch = self._trading.see_out(wave, instruments, patience_s)
            yield batch
            self.left = Usd(self.left - self._spent(batch))
            if batch.unfilled:
                return

    @property
    def terms(self) -> Terms:
        """Without a cushion where the broker lends."""
        terms = self._context.policy.terms
        return replace(terms, cushion=NO_RATIO) if self._lends else terms

    def _spent(self, batch: Batch) -> Usd:
        unknown = self._context.rules.fees.minimum
        fees = sum((batch.commissions.get(fill.execution_id, unknown) for fill in batch.fills), ZERO)
        return Usd(sum((fill.quantity * fill.price for fill in batch.fills), fees))
