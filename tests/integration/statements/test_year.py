"""A year of 250 trading days: ledger and statement are the same each night, to the share and the cent."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from decimal import Decimal

from rebalancer.statements.content import Kind
from tests.integration.statements.conftest import START, Desk

SYMBOLS = ("SPY", "QQQ", "TLT")


class PlainBooks:
    """The same year by plain arithmetic: nothing of the program, and nothing of the sandbox."""

    def __init__(self) -> None:
        self.cash = START
        self.shares: dict[str, Decimal] = defaultdict(Decimal)

    def trade(self, symbol: str, quantity: int, price: str, commission: Decimal) -> None:
        self.shares[symbol] += quantity
        self.cash -= quantity * Decimal(price) + commission

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
    for every, word, amount, kind in (
        (21, "Dividends", "87.31", Kind.DIVIDEND),
        (21, "Withholding Tax", "-13.10", Kind.TAX),
        (22, "Broker Interest Received", "3.07", Kind.INTEREST),
        (30, "Other Fees", "-4.50", Kind.FEE),
        (40, "Deposits/Withdrawals", "1000.00", Kind.DEPOSIT),
        (60, "Deposits/Withdrawals", "-333.33", Kind.WITHDRAWAL),
    ):
        if day % every == every - 1:
            desk.pay(word, amount, "SPY")
            plain.cash += Decimal(amount)
            expected[kind] += 1
    if day in (100, 200) and plain.shares["TLT"]:
        desk.split("TLT", "2")
        plain.shares["TLT"] *= 2
        expected[Kind.SPLIT] += 1
    return +expected


def test_ledger_and_statement_are_the_same_over_a_year(desk: Desk) -> None:
    plain, chance, seen = PlainBooks(), random.Random(5), Counter[Kind]()
    explained = Decimal(0)
    for day in range(250):
        expected = a_day(desk, plain, day, chance)
        found = desk.night(halting=True)
        if day == 0:
            continue  # the first statement is where shares and cash begin to count
        assert Counter(one.kind for one in found.differences) == expected, f"day {day}"
        assert (found.positions, found.cash) == (plain.held(), plain.cash)
        seen += expected
        explained += sum(
            (one.cash for one in found.differences if one.kind not in (Kind.LOST_FILL, Kind.LATE_COMMISSION)),
            Decimal(0),
        )
    assert set(seen) >= {
        *(Kind.DIVIDEND, Kind.TAX, Kind.INTEREST, Kind.FEE, Kind.DEPOSIT, Kind.WITHDRAWAL),
        *(Kind.HAND_TRADE, Kind.SPLIT, Kind.LATE_COMMISSION, Kind.LOST_FILL),
    }
    assert (desk.halts(), desk.notices()) == ([], [])
    traded = sum(
        (
            (-one.quantity if one.side == "BUY" else one.quantity) * one.price - (one.commission or 0)
            for one in desk.fills()
        ),
        Decimal(0),
    )
    assert START + traded + explained == plain.cash, "fills on record, and what was explained, are all there is"
    assert sum(one.stated for one in desk.fills()) == seen[Kind.LOST_FILL]
