"""Twenty years of daily prices of real shares, rebalanced monthly through the planner and the simulated gateway's book.

    pip install -e .[bench] && python bench/history.py

The prices are those that skfolio ships (20 large shares of the S&P 500, BSD-3 licence). Each month the account is to
hold the ten that did best in the twelve months before, in equal parts. Proven after each run: every name's weight is
within one share of its target, the reserve is untouched, and an account kept apart from the product, in fractions, from
prices and executed quantities alone, has the same cash to the cent and the same shares.

One share means one of the dearest target. Where rounding to whole shares needs more cash than there is, the plan leaves
out what costs least deviation in USD: at times two shares of a cheap name in place of one of a dear one.
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from decimal import Decimal
from fractions import Fraction
from importlib.metadata import distribution
from pathlib import Path

from rebalancer.domain.portfolio import (
    AccountSnapshot,
    FeeSchedule,
    OrderType,
    Plan,
    Position,
    ProposedOrder,
    Quote,
    TargetWeight,
)
from rebalancer.planning import PlanningRules, plan, size_buys
from sandbox.gateway.exchange_accounts import AccountState
from sandbox.gateway.exchange_books import Book
from sandbox.gateway.memory import Memory
from sandbox.gateway.tickets import ContractQuery, Ticket

ACCOUNT = "DU1"
START = Decimal(1_000_000)
RULES = PlanningRules(reserve_fraction=Decimal("0.01"))
LOOK_BACK = 12
CHOSEN = 10

Prices = dict[str, Decimal]


@dataclass(frozen=True, slots=True)
class Month:
    """Closing prices of a month's last trading day."""

    day: date
    prices: Prices


@dataclass(slots=True)
class Independent:
    """The account as a person would keep it with pencil and paper."""

    cash: Fraction
    shares: dict[str, Fraction] = field(default_factory=dict)

    def trade(self, symbol: str, signed: int, price: Decimal, fees: FeeSchedule) -> None:
        """One order: IBKR's fixed pricing, to a hundredth of a cent."""
        count = Fraction(abs(signed))
        fee = max(Fraction(fees.per_share) * count, Fraction(fees.minimum))
        fee = min(fee, Fraction(fees.maximum_rate) * count * Fraction(price))
        self.cash -= signed * Fraction(price) + Fraction(round(fee * 10_000), 10_000)
        self.shares[symbol] = self.shares.get(symbol, Fraction(0)) + signed


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it.

    Attributes:
        furthest: largest distance from target of any name after any run, in shares of the dearest target.
        own: how many of all targets were further off than one share of their own, and how many there were.
    """

    runs: int
    orders: int
    furthest: Decimal
    own: tuple[int, int]
    fees: Decimal
    equity: Decimal


def shipped() -> list[Month]:
    """Month ends of the prices in skfolio's package."""
    packed = Path(str(distribution("skfolio").locate_file("skfolio/datasets/data/sp500_dataset.csv.gz")))
    return month_ends(gzip.decompress(packed.read_bytes()).decode().splitlines())


def month_ends(lines: Iterable[str]) -> list[Month]:
    """The last row of each month of a CSV with a date and a column per symbol."""
    found: dict[tuple[int, int], Month] = {}
    for row in csv.DictReader(lines):
        day = date.fromisoformat(row.pop("Date"))
        found[day.year, day.month] = Month(day, {symbol: Decimal(text) for symbol, text in row.items()})
    return list(found.values())


def best(before: Month, now: Month) -> tuple[TargetWeight, ...]:
    """Equal parts of those that rose most."""
    rises = sorted(now.prices, key=lambda symbol: (-now.prices[symbol] / before.prices[symbol], symbol))
    return tuple(TargetWeight(symbol, Decimal(1) / CHOSEN) for symbol in rises[:CHOSEN])


def simulate(months: Sequence[Month]) -> Outcome:
    """Rebalance at each month end after the first twelve.

    Raises:
        AssertionError: a promise was broken; says when.
    """
    fees = RULES.fees
    book = Book(Memory((AccountState(ACCOUNT, "INDIVIDUAL", margin=False, settled=START),)), fees)
    other = Independent(Fraction(START))
    furthest, off, seen = Decimal(0), 0, 0
    for before, month in zip(months, months[LOOK_BACK:], strict=False):
        made = _rebalance(book, other, month, best(before, month))
        held = _held(book)
        _agree(book, other, month)
        dearest = max(line.price for line in made.lines if line.target_weight)
        for line in made.lines:
            distance = abs(held.get(line.symbol, Decimal(0)) - line.target_shares)
            furthest = max(furthest, distance * line.price / dearest)
            off, seen = off + (distance > 1), seen + (line.target_weight > 0)
        assert furthest <= 1, f"{month.day}: a name is {furthest} shares from its target"
        equity = _equity(book, month)
        spare = book.accounts[ACCOUNT].cash - RULES.reserve_fraction * equity
        assert spare >= Decimal("-0.01"), f"{month.day}: the reserve was touched by {-spare} USD"
    paid = sum((one.commission for one in book.executions), Decimal(0))
    return Outcome(len(months) - LOOK_BACK, len(book.orders), furthest, (off, seen), paid, _equity(book, months[-1]))


def _rebalance(book: Book, other: Independent, month: Month, weights: tuple[TargetWeight, ...]) -> Plan:
    now = datetime.combine(month.day, time(20), UTC)
    quotes = {symbol: Quote(symbol, price, price, now, close=price) for symbol, price in month.prices.items()}
    made = plan(_snapshot(book, month, now), weights, quotes, RULES)
    _fill(book, other, made.sells, now)
    _fill(book, other, size_buys(made, _snapshot(book, month, now), quotes, RULES), now)
    return made


def _fill(book: Book, other: Independent, orders: Iterable[ProposedOrder], now: datetime) -> None:
    for number, proposed in enumerate(orders, book.next_order_id(1)):
        order = book.add((1, number), _ticket(proposed), proposed.symbol, proposed.price, now)
        book.fill(order.perm_id, Decimal(proposed.quantity), proposed.price, now)
        signed = proposed.quantity if proposed.side == "BUY" else -proposed.quantity
        other.trade(proposed.symbol, signed, proposed.price, RULES.fees)


def _agree(book: Book, other: Independent, month: Month) -> None:
    cash = book.accounts[ACCOUNT].cash
    assert Fraction(cash) == other.cash, f"{month.day}: cash is {cash}, reckoned apart {float(other.cash)}"
    held = {symbol: Fraction(shares) for symbol, shares in _held(book).items()}
    assert held == {symbol: shares for symbol, shares in other.shares.items() if shares}, f"{month.day}: shares differ"


def _held(book: Book) -> dict[str, Decimal]:
    holdings = book.accounts[ACCOUNT].holdings
    return {symbol: holding.quantity for symbol, holding in holdings.items() if holding.quantity}


def _equity(book: Book, month: Month) -> Decimal:
    value = sum((shares * month.prices[symbol] for symbol, shares in _held(book).items()), Decimal(0))
    return book.accounts[ACCOUNT].cash + value


def _snapshot(book: Book, month: Month, now: datetime) -> AccountSnapshot:
    positions = tuple(Position(symbol, shares) for symbol, shares in _held(book).items())
    return AccountSnapshot(ACCOUNT, now, _equity(book, month), book.accounts[ACCOUNT].cash, None, None, positions)


def _ticket(order: ProposedOrder) -> Ticket:
    return Ticket(
        contract=ContractQuery(0, order.symbol, "STK", "SMART", "", "USD"),
        action=order.side,
        quantity=Decimal(order.quantity),
        order_type=OrderType.MARKET,
        limit_price=None,
        aux_price=None,
        time_in_force="DAY",
        account=ACCOUNT,
        order_ref="",
        transmit=True,
        outside_hours=False,
        what_if=False,
    )


def main() -> None:
    """Run it over the last twenty years and print the figures."""
    months = shipped()[-(20 * 12 + LOOK_BACK) :]
    outcome = simulate(months)
    print(
        f"{outcome.runs} monthly runs from {months[LOOK_BACK].day} to {months[-1].day}, {outcome.orders} orders, "
        f"{outcome.fees:.2f} USD in fees: {START} USD became {outcome.equity:.2f} USD"
    )
    print(f"furthest from target after a run: {outcome.furthest:.4f} of the dearest target's share")
    print(f"further off than one share of their own: {outcome.own[0]} of {outcome.own[1]} targets")
    print("cash to the cent and shares: equal to the reckoning apart after every run")


if __name__ == "__main__":
    main()
