"""The order book: orders, fills and the accounts that they change. Pure: clock and prices are arguments.

Every change returns the events that clients hear, in the order in which IBKR sends them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from itertools import count

from rebalancer.domain.money import ONE, ZERO
from rebalancer.domain.order_states import OrderStatus, advance
from rebalancer.domain.portfolio import FeeSchedule, Side
from sandbox.gateway.exchange_accounts import USD, AccountFill, AccountState, Payment, Valuation
from sandbox.gateway.exchange_events import (
    AccountChanged,
    Commissioned,
    Event,
    Executed,
    Execution,
    Movement,
    Order,
    OrderChanged,
    Split,
)
from sandbox.gateway.hours import trading_day
from sandbox.gateway.memory import Memory
from sandbox.gateway.tickets import Ticket

_FIRST_PERM_ID = 1_800_000_001
_EXCHANGE_RATE, _EXCHANGE_MINIMUM = Decimal("0.00002"), Decimal(2)
"""Commission of a conversion, of its USD, and at least (IBKR: Spot Currencies, commissions)."""
_AUTOMATIC_SPREAD = Decimal("0.0003")
"""What an automatic conversion costs (practitioners' figure)."""
SPLIT = "Split"
_FEE_STEP = Decimal("0.0001")


class Book:
    """All orders of the login, and its accounts.

    Attributes:
        rates: USD for one unit of each other currency.
        changes: how often anything in it has changed.
        splits / movements: oldest first.
    """

    def __init__(
        self, start: Memory, fees: FeeSchedule, rates: Mapping[str, Decimal] | None = None, numbers_from: int = 0
    ) -> None:
        self.rates = dict(rates or {})
        self.changes = 0
        self.accounts = {account.account_id: account for account in start.accounts}
        self.orders = {order.perm_id: order for order in start.orders}
        self._open = {order.perm_id: order for order in start.orders if order.open}
        self.executions = list(start.executions)
        self._executions_of = defaultdict[str, list[Execution]](list)
        for execution in self.executions:
            self._executions_of[execution.order.account].append(execution)
        self.splits = list(start.splits)
        self.movements = list(start.movements)
        self._fees = fees
        self._by_client: dict[tuple[int, int], int] = {}
        self._highest: dict[int, int] = {}
        for order in self.orders.values():
            if order.order_id:
                self._number(order)
        bound = min((order.order_id for order in self.orders.values()), default=0)
        self._perm_ids = count(max(self.orders, default=_FIRST_PERM_ID + numbers_from - 1) + 1)
        self._execution_ids = count(numbers_from + len(self.executions) + 1)
        self._bound_ids = count(min(bound, 0) - 1, -1)

    def memory(self) -> Memory:
        """Everything, as it is now."""
        books = tuple(self.accounts.values()), tuple(self.orders.values()), tuple(self.executions)
        return Memory(*books, tuple(self.splits), tuple(self.movements))

    def executions_of(self, account: str) -> Sequence[Execution]:
        """Those of one account, or of all if none is named, oldest first."""
        return self._executions_of.get(account, ()) if account else self.executions

    def find(self, client_id: int, order_id: int) -> Order | None:
        """A client's order by the client's own number."""
        perm_id = self._by_client.get((client_id, order_id))
        return self.orders[perm_id] if perm_id is not None else None

    def next_order_id(self, client_id: int) -> int:
        """Lowest order id that the client has not used."""
        return self._highest.get(client_id, 0) + 1

    def forget_ids(self, count: int) -> None:
        """Let every client's next order id fall back, as a restarted gateway sometimes does."""
        self._highest = {client_id: max(highest - count, 0) for client_id, highest in self._highest.items()}

    def open_orders(self, account: str | None = None) -> list[Order]:
        """Every order that may still fill, oldest first."""
        return [order for order in self._open.values() if account in (None, order.account)]

    def add(self, owner: tuple[int, int], ticket: Ticket, symbol: str, reserve_price: Decimal, now: datetime) -> Order:
        """Give an order its perm id and its place in the book; ``owner`` is client id and order id."""
        client_id, order_id = owner
        order = Order(
            client_id=client_id,
            order_id=order_id,
            perm_id=next(self._perm_ids),
            ticket=ticket,
            symbol=symbol,
            side=Side(ticket.action),
            status=OrderStatus.API_PENDING,
            placed_at=now,
            reserve_price=reserve_price,
        )
        if not order.by_hand:
            self._number(order)
        return self._put(order)

    def liquidate(self, ticket: Ticket, symbol: str, price: Decimal, now: datetime) -> list[Event]:
        """Sell at IBKR's own wish."""
        order = self.add((0, -1), ticket, symbol, price, now)
        self._put(replace(order, liquidation=True))
        return self.fill(order.perm_id, ticket.quantity, price, now)

    @staticmethod
    def preview(owner: tuple[int, int], ticket: Ticket, symbol: str, price: Decimal, now: datetime) -> Order:
        """The order that ``add`` would make, without a trace in the book."""
        return Order(
            client_id=owner[0],
            order_id=owner[1],
            perm_id=0,
            ticket=ticket,
            symbol=symbol,
            side=Side(ticket.action),
            status=OrderStatus.PRE_SUBMITTED,
            placed_at=now,
            reserve_price=price,
        )

    def bind(self, perm_id: int) -> Order:
        """Give an order entered by hand a number by which client 0 can manage it."""
        order = self.orders[perm_id]
        if order.order_id:
            return order
        bound = self._put(replace(order, order_id=next(self._bound_ids)))
        self._number(bound)
        return bound

    def amend(self, perm_id: int, ticket: Ticket, reserve_price: Decimal) -> list[Event]:
        """Replace what an open order asks for."""
        return [OrderChanged(self._put(replace(self.orders[perm_id], ticket=ticket, reserve_price=reserve_price)))]

    def report(self, perm_id: int, status: OrderStatus, *, rejected: bool = False) -> list[Event]:
        """Move an order to a status that is not an end; nothing happens where the life of an order forbids it."""
        order = self.orders[perm_id]
        if advance(order.status, status) is order.status:
            return []
        return [OrderChanged(self._put(replace(order, status=status, rejected=rejected)))]

    def end(
        self, perm_id: int, status: OrderStatus, now: datetime, text: str, *, rejected: bool = False
    ) -> list[Event]:
        """Cancel or reject an order; nothing happens when it has already ended."""
        order = self.orders[perm_id]
        if not order.open:
            return []
        ended = replace(order, status=status, ended_at=now, end_text=text, rejected=rejected)
        return [OrderChanged(self._put(ended), with_order=False)]

    def fill(self, perm_id: int, quantity: Decimal, price: Decimal, now: datetime) -> list[Event]:
        """Execute part of an order: never more than what remains, never after its end."""
        order = self.orders[perm_id]
        quantity = min(quantity, order.remaining)
        if not order.open or quantity <= 0:
            return []
        fee = self._fee(order, quantity, price)
        order = self._put(_after_fill(order, quantity, price, fee, now))
        trade = AccountFill(order.symbol, order.side, quantity, price, fee, trading_day(now))
        account, pair = self.accounts[order.account], order.pair
        realized = trade.realized_in(account.holdings.get(order.symbol))
        changed = account.after_exchange(pair, trade) if pair else self._paid(account.after_fill(trade))
        self._change(changed)
        execution = self._record(order, trade, now, realized)
        return [
            Executed(execution),
            OrderChanged(order),
            Commissioned(execution),
            AccountChanged(order.account, order.symbol),
        ]

    def correct(self, wrong: Execution, price: Decimal) -> list[Event]:
        """Another price of an execution: it has the same id but for the last part, and takes the place of the first.
        Cash changes by what the difference comes to; the commission stays.
        """
        base, _, revision = wrong.execution_id.rpartition(".")
        order = self.orders[wrong.order.perm_id]
        change = wrong.quantity * (price - wrong.price)
        order = self._put(replace(order, notional=order.notional + change, last_price=price))
        right = replace(
            wrong,
            execution_id=f"{base}.{int(revision) + 1:02d}",
            order=order,
            price=price,
            average_price=order.average_price,
            realized=wrong.realized if wrong.realized is None else wrong.realized + change,
        )
        for several in (self.executions, self._executions_of[order.account]):
            several[several.index(wrong)] = right
        account = self.accounts[order.account]
        trade = AccountFill(order.symbol, order.side, wrong.quantity, price, ZERO, trading_day(wrong.at))
        if order.pair:
            self._change(account.with_cash({order.pair.second: change if order.side is Side.SELL else -change}))
        else:
            self._change(account.after_correction(trade, change))
        return [Executed(right), AccountChanged(order.account, order.symbol)]

    def pay(self, account: str, payment: Payment, now: datetime) -> list[Event]:
        """Cash or accruals change without a trade."""
        for currency, amount in payment.amounts.items():
            self.movements.append(
                Movement(now, account, payment.kind, payment.symbol, amount=amount, currency=currency)
            )
        self._change(self.accounts[account].after_payment(payment))
        return [AccountChanged(account)]

    def announce(self, split: Split) -> None:
        """A stock is split; holdings follow."""
        self.splits.append(split)
        self.changes += 1

    def book_split(self, split: Split, price: Decimal, now: datetime) -> list[Event]:
        """Let every account that holds the symbol follow an announced split; ``price``: USD per new share."""
        self.splits[self.splits.index(split)] = replace(split, booked_at=now)
        holders = [account for account in self.accounts.values() if account.held(split.symbol)]
        for account in holders:
            booked = account.after_split(split.symbol, split.ratio, price, self._bought_since(account, split))
            self._change(booked)
            more, paid = booked.held(split.symbol) - account.held(split.symbol), booked.cash - account.cash
            self.movements.append(Movement(now, account.account_id, SPLIT, split.symbol, more, paid))
        return [AccountChanged(account.account_id, split.symbol) for account in holders]

    def _bought_since(self, account: AccountState, split: Split) -> Decimal:
        """Shares that are new ones already: they were bought at the new price."""
        bought = (
            one.quantity
            for one in self.executions
            if (one.order.account, one.order.symbol, one.order.side) == (account.account_id, split.symbol, Side.BUY)
            and one.at >= split.announced_at
        )
        return sum(bought, ZERO)

    def tell_close(self, symbol: str, now: datetime) -> None:
        """The last close follows those booked splits of a stock of which it does at all."""
        for number, split in enumerate(self.splits):
            if split.symbol == symbol and split.close_follows and split.booked_at and not split.close_at:
                self.splits[number] = replace(split, close_at=now)
                self.changes += 1

    def valuation(self, account: str, marks: Mapping[str, Decimal]) -> Valuation:
        """An account at market prices, its open buys taken into account."""
        return Valuation(self.accounts[account], marks, self._committed(account), rates=self.rates)

    def sellable(self, account: str, symbol: str) -> Decimal:
        """Shares that no open sell order has claimed."""
        claimed = (
            order.remaining
            for order in self.open_orders(account)
            if order.symbol == symbol and order.side is Side.SELL and not order.rejected
        )
        return self.accounts[account].held(symbol) - sum(claimed, ZERO)

    def buying_cost(self, order: Order) -> Decimal:
        """What a buy's remaining quantity will cost, commission included."""
        return order.remaining * order.reserve_price + self.fee(order.remaining, order.reserve_price)

    def fee(self, quantity: Decimal, price: Decimal) -> Decimal:
        """Commission of one order of ``quantity`` whole shares."""
        return self._fees.estimate(int(quantity), price).quantize(_FEE_STEP)

    def fee_currency(self, order: Order) -> str:
        """In which an order's commission is charged."""
        return self.accounts[order.account].base_currency if order.pair else USD

    def settle(self, now: datetime) -> None:
        """Let the sales of earlier days settle."""
        today = trading_day(now)
        for account in self.accounts.values():
            settled = account.settle(today)
            if settled is not account:
                self._change(settled)

    def _committed(self, account: str) -> Decimal:
        buys = (
            order
            for order in self.open_orders(account)
            if order.side is Side.BUY and not order.rejected and not order.pair
        )
        return sum((self.buying_cost(order) for order in buys), ZERO)

    def _fee(self, order: Order, quantity: Decimal, price: Decimal) -> Decimal:
        """The minimum is charged per order: each fill adds what the order now costs in all."""
        filled, notional = order.filled + quantity, order.notional + quantity * price
        if order.pair:
            dollars = order.pair.dollars(filled, notional / filled)
            usd = max(_EXCHANGE_MINIMUM, _EXCHANGE_RATE * dollars)
            return max((usd / self._rate(order.account)).quantize(_FEE_STEP) - order.commission, ZERO)
        return max(self.fee(filled, notional / filled) - order.commission, ZERO)

    def _rate(self, account: str) -> Decimal:
        """USD for one unit of an account's base currency."""
        return self.rates.get(self.accounts[account].base_currency, ONE)

    def _paid(self, account: AccountState) -> AccountState:
        """Where IBKR converts by itself, dollars that an account owes are bought with its other currencies."""
        owed = -account.cash
        if not account.auto_convert or account.margin or owed <= 0:
            return account
        taken: dict[str, Decimal] = {}
        for currency, amount in account.other_cash.items():
            price = self.rates[currency] * (ONE - _AUTOMATIC_SPREAD)
            part = min(owed, amount * price)
            taken[currency] = -part / price
            owed -= part
        return account.with_cash({**taken, USD: -account.cash - owed})

    def _record(self, order: Order, trade: AccountFill, now: datetime, realized: Decimal | None) -> Execution:
        execution = Execution(
            execution_id=f"{int(now.timestamp()):08x}.{next(self._execution_ids):08x}.01.01",
            order=order,
            at=now,
            quantity=trade.quantity,
            price=trade.price,
            cumulative=order.filled,
            average_price=order.average_price,
            commission=trade.commission,
            realized=realized,
            commission_currency=self.fee_currency(order),
        )
        self.executions.append(execution)
        self._executions_of[order.account].append(execution)
        return execution

    def _number(self, order: Order) -> None:
        """Let the order be found by its client's number."""
        self._by_client[order.client_id, order.order_id] = order.perm_id
        self._highest[order.client_id] = max(self._highest.get(order.client_id, 0), order.order_id)

    def _put(self, order: Order) -> Order:
        self.orders[order.perm_id] = order
        if order.open:
            self._open[order.perm_id] = order
        else:
            self._open.pop(order.perm_id, None)
        self.changes += 1
        return order

    def _change(self, account: AccountState) -> None:
        self.accounts[account.account_id] = account
        self.changes += 1


def _after_fill(order: Order, quantity: Decimal, price: Decimal, fee: Decimal, now: datetime) -> Order:
    done = quantity == order.remaining
    working = order.status if order.status is OrderStatus.PENDING_CANCEL else OrderStatus.SUBMITTED
    return replace(
        order,
        filled=order.filled + quantity,
        notional=order.notional + quantity * price,
        last_price=price,
        commission=order.commission + fee,
        status=OrderStatus.FILLED if done else working,
        ended_at=now if done else None,
        end_text=f"Filled Size: {order.filled + quantity}" if done else "",
    )
