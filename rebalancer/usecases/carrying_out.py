"""A plan's orders: the sells, then the buys from what the sells really brought."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

from rebalancer.bookkeeping import after_fills, books_after
from rebalancer.funds import Terms, available_cash, has_margin, must_settle, next_wave, settled_cash, ticket
from rebalancer.model import AccountSnapshot, ProposedOrder
from rebalancer.money import ZERO
from rebalancer.orders import Instrument
from rebalancer.planning import size_buys
from rebalancer.sessions import next_morning
from rebalancer.usecases.books import snapshot_showing
from rebalancer.usecases.deciding import Decision
from rebalancer.usecases.desk import Blocked, Desk, NotNow
from rebalancer.usecases.guarding import require_same_targets
from rebalancer.usecases.trading import Batch, Trading


def carry_out(desk: Desk, trading: Trading, decision: Decision) -> tuple[str, ...]:
    """Send the plan's orders and see them through.

    Returns:
        The orders that ended unfilled without being refused, in words: worth another round.

    Raises:
        Refused: the strategy has other targets than when the sells were planned; nothing was bought.
        OrderRejected: some were refused for good; all others have ended.
        NotNow: the rest has to wait.
        OutcomeUnknown, GatewayUnavailable: interrupted; see :meth:`Trading.send`.
    """
    made = decision.plan
    if not made.orders:
        return ()
    instruments = desk.broker.instruments(sorted({line.symbol for line in made.lines}))
    tickets = [ticket(order, desk.policy.terms, instruments[order.symbol]) for order in made.sells]
    sold = trading.send(tickets, instruments)
    if sold.unfilled and not sold.rejections:
        return sold.unfilled
    if made.sells:
        require_same_targets(desk, decision)
    bought = _Buying(desk, trading, decision, instruments).buy(sold)
    rejections = (*sold.rejections, *(rejection for batch in bought for rejection in batch.rejections))
    if rejections:
        raise rejections[0]
    return tuple(words for batch in bought for words in batch.unfilled)


class _Buying:
    """The buys of one round."""

    def __init__(self, desk: Desk, trading: Trading, decision: Decision, instruments: Mapping[str, Instrument]) -> None:
        self._desk = desk
        self._trading = trading
        self._decision = decision
        self._instruments = instruments

    def buy(self, sold: Batch) -> list[Batch]:
        """Buy in as many waves as the funds demand.

        Raises:
            NotNow: what could be bought has been; the rest waits for proceeds to settle.
        """
        now = self._after(sold)
        funds = available_cash(now)
        orders = self._sized(now, funds) if self._decision.plan.sells else self._decision.plan.buys
        settling = must_settle(now, self._desk.policy.settled_cash_only)
        if settling:
            funds = settled_cash(now)
            wanted, orders = orders, self._sized(now, funds)
        batches = self._waves(orders, funds, now)
        if settling and _shares(orders) < _shares(wanted) and not any(batch.rejections for batch in batches):
            raise NotNow(Blocked("sale proceeds have to settle before they buy", next_morning(self._desk.clock())))
        return batches

    def _after(self, sold: Batch) -> AccountSnapshot:
        """The account after the sells, as the broker has it."""
        if not sold.fills:
            return self._decision.snapshot
        fee = self._desk.rules.fees.minimum
        before = self._decision.snapshot
        fresh = snapshot_showing(self._desk, books_after(before, sold.fills, sold.commissions, fee))
        reckoned = after_fills(before, sold.fills, sold.commissions, fee)
        return replace(fresh, cash=min(fresh.cash, reckoned.cash))

    def _sized(self, now: AccountSnapshot, funds: Decimal) -> tuple[ProposedOrder, ...]:
        """Buys at fresh quotes within the funds."""
        quotes = self._desk.broker.quotes(sorted(self._decision.quotes))
        return size_buys(self._decision.plan, replace(now, cash=funds), quotes, self._desk.rules)

    def _waves(self, orders: tuple[ProposedOrder, ...], funds: Decimal, now: AccountSnapshot) -> list[Batch]:
        terms = self._terms(now)
        batches: list[Batch] = []
        while orders:
            wave, orders = next_wave(orders, funds, terms, self._instruments, self._desk.rules.fees)
            batch = self._trading.send(wave, self._instruments)
            batches.append(batch)
            funds -= self._spent(batch)
            if batch.unfilled:
                break
        return batches

    def _terms(self, now: AccountSnapshot) -> Terms:
        terms = self._desk.policy.terms
        return replace(terms, cushion=ZERO) if has_margin(now) else terms

    def _spent(self, batch: Batch) -> Decimal:
        unknown = self._desk.rules.fees.minimum
        fees = sum((batch.commissions.get(fill.execution_id, unknown) for fill in batch.fills), ZERO)
        return sum((fill.quantity * fill.price for fill in batch.fills), fees)


def _shares(orders: tuple[ProposedOrder, ...]) -> int:
    return sum(order.quantity for order in orders)
