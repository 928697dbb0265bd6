"""A year of 250 trading days of an account in euros: ledger and statement are the same each night, to the share, the
cent of a dollar and the cent of a euro.
"""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from decimal import Decimal

from rebalancer.ledger.models import FillRow
from rebalancer.statements.content import Kind
from sandbox.flex.knobs import Knobs
from tests.integration.statements.conftest import EUROS, START, Desk

SYMBOLS = ("SPY", "QQQ", "TLT")
FEW, MANY = Knobs(per_minute=None, days=5), Knobs(per_minute=None, days=30)
"""Days of a statement: more than a weekend, and in every tenth night a month, of which most is known."""


class PlainBooks:
    """The same year by plain arithmetic: nothing of the program, and nothing of the sandbox."""

    def __init__(self) -> None:
        self.cash, self.euros = START, EUROS
        self.shares: dict[str, Decimal] = defaultdict(Decimal)

    def trade(self, symbol: str, quantity: int, price: str, commission: Decimal) -> None:
        self.shares[symbol] += quantity
        self.cash -= quantity * Decimal(price) + commission

    def convert(self, euros: int, price: str, commission: Decimal) -> None:
        self.euros += euros - commission
        self.cash -= euros * Decimal(price)

    def held(self) -> dict[str, Decimal]:
        return {symbol: quantity for symbol, quantity in self.shares.items() if quantity}


def a_day(desk: Desk, plain: PlainBooks, day: int, chance: random.Random) -> Counter[Kind]:
    """What happens on one day; gives the differences that the night has to find."""
    expected: Counter[Kind] = Counter()
    symbol, price = chance.choice(SYMBOLS), f"{chance.uniform(80, 120):.2f}"
    quantity = chance.choice([q for q in (-20, -7, 5, 25) if plain.shares[symbol] + q >= 0])
    told, paid = day % 19 != 7, day % 13 != 5
    done = desk.ours(symbol, quantity, price, told=told, paid=paid)
    plain.trade(symbol, quantity, price, done.commission)
    expected[Kind.LOST_FILL] += not told
    expected[Kind.LATE_COMMISSION] += told and not paid
    if day % 11 == 3:
        by_hand = desk.trade("QQQ", 3, "101.37")
        plain.trade("QQQ", 3, "101.37", by_hand.commission)
        expected[Kind.HAND_TRADE] += 1
    if day % 17 == 4:
        told, paid = day % 4 != 0, day % 3 != 0
        changed = desk.ours("EUR.USD", -1_000, "1.2345", told=told, paid=paid)
        plain.convert(-1_000, "1.2345", changed.commission)
        expected[Kind.LOST_FILL] += 2 * (not told)  # of two currencies
        expected[Kind.LATE_COMMISSION] += told and not paid
    if day % 90 == 33:
        changed = desk.trade("EUR.USD", 2_500, "1.2401")
        plain.convert(2_500, "1.2401", changed.commission)
        expected[Kind.CONVERSION] += 2
    for every, word, amount, currency, kind in (
        (21, "Dividends", "87.31", "USD", Kind.DIVIDEND),
        (21, "Withholding Tax", "-13.10", "USD", Kind.TAX),
        (22, "Broker Interest Received", "3.07", "USD", Kind.INTEREST),
        (22, "Broker Interest Paid", "-1.93", "EUR", Kind.INTEREST),
        (30, "Other Fees", "-4.50", "EUR", Kind.FEE),
        (40, "Deposits/Withdrawals", "1000.00", "EUR", Kind.DEPOSIT),
        (50, "Deposits/Withdrawals", "700.01", "USD", Kind.DEPOSIT),
        (60, "Deposits/Withdrawals", "-333.33", "USD", Kind.WITHDRAWAL),
    ):
        if day % every == every - 1:
            desk.pay(word, amount, "SPY", currency)
            plain.cash += Decimal(amount) if currency == "USD" else 0
            plain.euros += Decimal(amount) if currency == "EUR" else 0
            expected[kind] += 1
    if day in (100, 200) and plain.shares["TLT"]:
        desk.split("TLT", "2")
        plain.shares["TLT"] *= 2
        expected[Kind.SPLIT] += 1
    return +expected


def test_ledger_and_statement_are_the_same_over_a_year(euros: Desk) -> None:
    desk = euros
    plain, chance, seen = PlainBooks(), random.Random(5), Counter[Kind]()
    explained: dict[str, Decimal] = defaultdict(Decimal)
    for day in range(250):
        expected = a_day(desk, plain, day, chance)
        desk.service.knobs = FEW if day % 10 else MANY
        found = desk.night(halting=True)
        if day == 0:
            continue  # the first statement is where shares and cash begin to count
        assert Counter(one.kind for one in found.differences) == expected, f"day {day}"
        assert (found.positions, found.cash, found.other_cash) == (plain.held(), plain.cash, {"EUR": plain.euros})
        seen += expected
        for one in found.differences:
            if one.kind not in (Kind.LOST_FILL, Kind.LATE_COMMISSION):
                explained[one.currency] += one.cash
    assert set(seen) >= {
        *(Kind.DIVIDEND, Kind.TAX, Kind.INTEREST, Kind.FEE, Kind.DEPOSIT, Kind.WITHDRAWAL),
        *(Kind.HAND_TRADE, Kind.SPLIT, Kind.LATE_COMMISSION, Kind.LOST_FILL, Kind.CONVERSION),
    }
    assert (desk.halts(), desk.notices()) == ([], [])
    fills = desk.fills()
    assert START + sum(map(dollars_of, fills)) + explained["USD"] == plain.cash, "nothing else moved dollars"
    assert EUROS + sum(map(euros_of, fills)) + explained["EUR"] == plain.euros, "nor euros"
    assert (
        sum(one.stated for one in fills) + sum(one.stated and one.symbol == "EUR.USD" for one in fills)
        == (seen[Kind.LOST_FILL])
    ), "a conversion is lost in two currencies"


def dollars_of(fill: FillRow) -> Decimal:
    """By plain arithmetic; an account in euros pays for conversions in euros."""
    gross = (-fill.quantity if fill.side == "BUY" else fill.quantity) * fill.price
    return gross - ((fill.commission or 0) if fill.currency == "USD" else 0)


def euros_of(fill: FillRow) -> Decimal:
    moved = fill.quantity if fill.side == "BUY" else -fill.quantity
    charged = (fill.commission or 0) if fill.currency == "EUR" else 0
    return (moved if fill.symbol == "EUR.USD" else Decimal(0)) - charged
