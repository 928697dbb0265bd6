"""Whatever ledger and statement say: the differences add up to exactly what lies between them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from rebalancer.domain.orders import Fill
from rebalancer.domain.portfolio import Side
from rebalancer.statements.content import (
    BookedFill,
    BookedOrder,
    Books,
    Entry,
    Holdings,
    Kind,
    Start,
    Statement,
    Trade,
)
from rebalancer.statements.proof import HALF_A_CENT, ledger_closing, prove

FIRST, LAST = date(2026, 11, 2), date(2026, 11, 6)
NOON = datetime(2026, 11, 2, 17, tzinfo=UTC)
ZERO = Decimal(0)
SYMBOLS = st.sampled_from(("AAA", "BBB", "CCC"))
PAIRS = st.sampled_from(("EUR.USD", "USD.CHF"))
AMOUNTS = st.decimals(-5000, 5000, places=4)
CURRENCIES = st.sampled_from(("USD", "USD", "EUR", "JPY"))
CASH = st.dictionaries(CURRENCIES, AMOUNTS)
SHARES = st.integers(-50, 50).filter(bool)
REFS = st.sampled_from(("", "mine", "0123456789ab-1-01-89abcdef", "lost"))
DAYS = st.integers(0, 4)


@st.composite
def trades(draw: st.DrawFn, number: int) -> Trade:
    quantity, price = draw(SHARES), draw(st.decimals(1, 500, places=2))
    commission, taxes = draw(st.decimals(0, 9, places=4)), draw(st.sampled_from((ZERO, Decimal("0.02"))))
    day = draw(DAYS)
    conversion = draw(st.booleans())
    symbol = draw(PAIRS if conversion else SYMBOLS)
    currency = symbol[4:] if conversion else draw(st.sampled_from(("USD", "USD", "EUR")))
    gross = {currency: -quantity * price} | ({symbol[:3]: Decimal(quantity)} if conversion else {})
    return Trade(
        execution=f"e{number}.01",
        symbol=symbol,
        at=NOON + timedelta(days=day),
        reported=FIRST + timedelta(days=day),
        quantity=Decimal(quantity),
        price=price,
        gross=gross,
        commission=commission,
        charged_in=draw(CURRENCIES),
        taxes=taxes,
        currency=currency,
        order_ref=draw(REFS),
        conversion=conversion,
    )


@st.composite
def corrections(draw: st.DrawFn, trade: Trade) -> tuple[Trade, ...]:
    """What the broker makes of a trade later: nothing, or it takes it back and perhaps books it anew."""
    if draw(st.integers(0, 3)):
        return ()
    reported = trade.reported + timedelta(days=draw(st.integers(0, 2)))
    back = replace(
        trade,
        reported=reported,
        quantity=-trade.quantity,
        gross={currency: -amount for currency, amount in trade.gross.items()},
        commission=-trade.commission,
        taxes=-trade.taxes,
        order_ref="",
        cancels=True,
    )
    charged = trade.commission + draw(st.sampled_from((ZERO, Decimal("0.5"))))
    anew = replace(trade, reported=reported, commission=charged, execution=trade.execution.replace(".01", ".02"))
    return (back, anew) if draw(st.booleans()) else (back,)


@st.composite
def booked(draw: st.DrawFn, trade: Trade) -> BookedFill:
    """The same trade as the ledger has it, right or wrong."""
    off = draw(st.sampled_from((ZERO, ZERO, Decimal("0.01"), Decimal(1))))
    charged = draw(st.sampled_from((None, trade.commission, trade.commission + Decimal("0.004"), Decimal(3))))
    fill = Fill(
        order_ref="mine",
        execution_id=trade.execution,
        at=trade.at,
        account_id="DU1",
        symbol=trade.symbol,
        side=trade.side,
        quantity=abs(trade.quantity) + draw(st.sampled_from((0, 0, 0, 1))),
        price=trade.price + off,
        cumulative_quantity=abs(trade.quantity),
        perm_id=1,
    )
    return BookedFill(fill, charged, draw(st.sampled_from((trade.charged_in, trade.charged_in, "USD"))))


@st.composite
def cases(draw: st.DrawFn) -> tuple[Statement, Books]:
    happened = [draw(trades(number)) for number in range(draw(st.integers(0, 6)))]
    known = [draw(booked(one)) for one in happened if draw(st.booleans())]
    told = [one for one in happened if draw(st.integers(0, 4))]
    told += [row for one in tuple(told) for row in draw(corrections(one))]
    entries = tuple(
        Entry(
            kind,
            FIRST + timedelta(days=draw(DAYS)),
            "text",
            draw(SYMBOLS),
            Decimal(draw(SHARES)),
            draw(AMOUNTS),
            draw(CURRENCIES),
        )
        for kind in draw(st.lists(st.sampled_from((Kind.DIVIDEND, Kind.SPLIT, Kind.UNKNOWN_ENTRY)), max_size=4))
    )
    held = st.dictionaries(SYMBOLS, st.integers(1, 99).map(Decimal))
    statement = Statement("DU1", FIRST, LAST, Holdings(draw(held), draw(CASH)), tuple(told), entries)
    start = Start(FIRST - timedelta(days=1), Holdings(draw(held), draw(CASH)))
    orders = {"lost": BookedOrder("lost", "AAA", Side.BUY, FIRST, Decimal(5))}
    return statement, Books(start, tuple(known), orders)


@given(cases())
def test_the_differences_are_what_lies_between_ledger_and_statement(case: tuple[Statement, Books]) -> None:
    statement, books = case
    assert books.start is not None
    ours, theirs = ledger_closing(books.start, books.fills), statement.closing
    found = prove(statement, books).differences
    for symbol in {*ours.shares, *theirs.shares, *(one.symbol for one in found)} - {""}:
        between = theirs.shares.get(symbol, ZERO) - ours.shares.get(symbol, ZERO)
        assert sum((one.quantity for one in found if one.symbol == symbol), ZERO) == between
    for currency in {*ours.cash, *theirs.cash, *(one.currency for one in found)}:
        between = theirs.cash.get(currency, ZERO) - ours.cash.get(currency, ZERO)
        named = sum((one.cash for one in found if one.currency == currency), ZERO)
        assert abs(between - named) < 2 * HALF_A_CENT


@given(cases())
def test_the_order_of_a_statement_says_nothing(case: tuple[Statement, Books]) -> None:
    statement, books = case
    turned = Statement(
        "DU1", FIRST, LAST, statement.closing, tuple(reversed(statement.trades)), tuple(reversed(statement.entries))
    )
    one, other = (sorted(map(repr, prove(each, books).differences)) for each in (statement, turned))
    assert one == other


@given(cases())
def test_nothing_is_filled_in_but_trades_of_our_orders_that_the_ledger_lacks(case: tuple[Statement, Books]) -> None:
    statement, books = case
    had = {one.fill.execution_id for one in books.fills}
    proof = prove(statement, books)
    assert {one.order_ref for one in proof.lost} <= {"lost"}
    assert not {one.execution.partition(".")[0] for one in proof.lost} & {one.partition(".")[0] for one in had}
    assert {one.execution.partition(".")[0] for one in proof.charged} <= {
        one.fill.execution_id.partition(".")[0] for one in books.fills if one.commission is None
    }


@given(cases(), st.sets(CURRENCIES))
def test_a_currency_that_the_start_does_not_know_is_never_what_is_left(
    case: tuple[Statement, Books], known: set[str]
) -> None:
    statement, books = case
    assert books.start is not None
    start = Start(books.start.day, replace(books.start.holdings, comparable=frozenset(known)))
    found = prove(statement, replace(books, start=start)).differences
    assert {one.currency for one in found if one.kind is Kind.CASH} <= known


@given(cases())
def test_what_was_corrected_since_adds_up_as_well(case: tuple[Statement, Books]) -> None:
    """A later start has some trades already, and of some of them what came of them later is new."""
    statement, books = case
    assert books.start is not None
    start = replace(books.start, day=FIRST + timedelta(days=1))
    since = [one for one in books.fills if _first_reported(one, statement) > start.day]
    ours = ledger_closing(start, since)
    found = prove(statement, replace(books, start=start)).differences
    for symbol in {*ours.shares, *statement.closing.shares, *(one.symbol for one in found)} - {""}:
        between = statement.closing.shares.get(symbol, ZERO) - ours.shares.get(symbol, ZERO)
        assert sum((one.quantity for one in found if one.symbol == symbol), ZERO) == between


def _first_reported(booked: BookedFill, statement: Statement) -> date:
    """When the statement had it first; of what it lacks the fill's own day counts."""
    name = booked.fill.execution_id
    days = [one.reported for one in statement.trades if one.execution == name]
    return min(days, default=booked.fill.at.date())
