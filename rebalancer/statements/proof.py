"""Ledger against statement.

From the start the ledger's own fills are counted up to the statement's last day. What the statement has beyond that is
a list of differences, each with its kind; whatever the list does not add up to is a difference as well, of a kind that
nothing explains. So the sum of all differences *is* what lies between ledger and statement, of each symbol and of each
currency of cash.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from itertools import combinations

from rebalancer.domain.currencies import USD
from rebalancer.domain.money import ZERO
from rebalancer.domain.order_refs import OrderRef
from rebalancer.domain.orders import split_execution_id
from rebalancer.domain.trading_sessions import trading_day
from rebalancer.statements.content import (
    Amounts,
    BookedFill,
    BookedOrder,
    Books,
    Difference,
    Entry,
    Holdings,
    Kind,
    Proof,
    Start,
    Statement,
    Trade,
    negative,
    total,
)

MOST_DOUBTFUL = 10
"""Entries of the day of a look of which every combination is tried."""
HALF_A_CENT = Decimal("0.005")
"""Amounts that are closer agree to the cent."""
_ROUNDED = "of fills and commissions that agree to the cent"


@dataclass(frozen=True, slots=True)
class _Told:
    """All that a statement says of an execution.

    Attributes:
        rows: how it was booked, how anew, and what takes it back.
        since: those of them that the start has not.
        known: as the ledger has it.
    """

    rows: Sequence[Trade]
    since: Sequence[Trade]
    known: BookedFill | None

    @property
    def new(self) -> bool:
        """Whether the start has nothing of it."""
        return len(self.since) == len(self.rows)


def prove(statement: Statement, books: Books) -> Proof:
    """Compare one statement with the ledger."""
    booked = {_key(one.fill.execution_id): one for one in books.fills}
    told = _told(statement.trades, booked, books.start)
    silent = [one for key, one in booked.items() if key not in told and _within(one, statement, books.start)]
    counted = [one.known for one in told.values() if one.new and one.known] + silent
    found = [difference for one in told.values() for difference in _of_told(one, books.orders)]
    found += [difference for one in silent for difference in _missing(one)]
    if books.start is None:
        found += map(_of_entry, statement.entries)
    else:
        found += map(_of_entry, _entered(statement, books.start, counted, found))
        found += _left(statement, books.start, counted, found)
    news = [(_whole(one.rows), one.known) for one in told.values() if _is_news(one.rows[0], books.start)]
    return Proof(
        statement,
        tuple(_listed(found)),
        lost=tuple(one for one, known in news if known is None and one.order_ref in books.orders),
        charged=tuple(one for one, known in news if known and known.commission is None),
    )


def ledger_closing(start: Start, fills: Iterable[BookedFill]) -> Holdings:
    """What is held after these fills, if nothing else happened."""
    counted = list(fills)
    shares = total((start.holdings.shares, *({one.fill.symbol: one.shares} for one in counted)))
    cash = total((start.holdings.cash, *(one.cash for one in counted)))
    return replace(start.holdings, shares={symbol: held for symbol, held in shares.items() if held}, cash=cash)


def _key(execution_id: str) -> str:
    """An execution, whatever its revision."""
    return split_execution_id(execution_id)[0]


def _told(trades: Sequence[Trade], booked: Mapping[str, BookedFill], start: Start | None) -> dict[str, _Told]:
    """By execution, whatever its revisions."""
    rows: dict[str, list[Trade]] = {}
    for one in sorted(trades, key=lambda one: (one.reported, one.cancels, split_execution_id(one.execution)[1])):
        rows.setdefault(_key(one.execution), []).append(one)
    return {key: _Told(found, _since(found, start, booked.get(key)), booked.get(key)) for key, found in rows.items()}


def _whole(rows: Sequence[Trade]) -> Trade:
    """One trade for all rows of an execution, as it was booked last."""
    newest = next((one for one in reversed(rows) if not one.cancels), rows[-1])
    return replace(
        newest,
        order_ref=next((one.order_ref for one in rows if one.order_ref), ""),
        quantity=sum((one.quantity for one in rows), ZERO),
        gross=total(one.gross for one in rows),
        commission=sum((one.commission for one in rows), ZERO),
        taxes=sum((one.taxes for one in rows), ZERO),
    )


def _since(rows: Sequence[Trade], start: Start | None, known: BookedFill | None) -> list[Trade]:
    """Those that were booked after the start. Where one takes another back, all have the first one's time."""
    corrected = any(one.cancels for one in rows)
    return [one for one in rows if _after(one, start, known, corrects=corrected and one is not rows[0])]


def _after(trade: Trade, start: Start | None, known: BookedFill | None, *, corrects: bool) -> bool:
    """Of a look at the account the time decides, the ledger's own where it has the fill; else the day."""
    if start is None:
        return True
    if start.at is None or corrects:
        return trade.reported > start.day
    return (known.fill.at if known else trade.at) > start.at


def _is_news(trade: Trade, start: Start | None) -> bool:
    """No statement before had it: what a look has seen in shares and cash may lack its execution all the same."""
    return start is None or start.at is not None or trade.reported > start.day


def _entered(
    statement: Statement, start: Start, fills: Sequence[BookedFill], found: Sequence[Difference]
) -> list[Entry]:
    """What was booked since the start. Of the day of a look nobody says what it had already: that is taken to be so
    with which the cash agrees, if it can be, and else that the look had nothing of it.
    """
    since = [one for one in statement.entries if one.reported > start.day]
    doubtful = [one for one in statement.entries if one.reported == start.day and start.at is not None]
    ours = ledger_closing(start, fills)
    left = total((statement.closing.cash, negative(ours.cash), *map(_undone, found), *map(_undone, since)))
    known = {currency: amount for currency, amount in left.items() if ours.knows(currency)}
    if len(doubtful) <= MOST_DOUBTFUL:
        for number in range(len(doubtful), -1, -1):
            for chosen in combinations(doubtful, number):
                rest = total((known, *(_undone(one) for one in chosen if ours.knows(one.currency))))
                if all(abs(amount) < HALF_A_CENT for amount in rest.values()):
                    return [*chosen, *since]
    return [*doubtful, *since]


def _undone(one: Difference | Entry) -> Amounts:
    return {one.currency: -one.cash}


def _of_entry(entry: Entry) -> Difference:
    return Difference(entry.kind, entry.text, entry.symbol, entry.quantity, entry.cash, entry.currency)


def _differences(
    kind: Kind, text: str, amounts: Amounts, symbol: str = "", quantity: Decimal = ZERO
) -> Iterator[Difference]:
    """One for each currency that moved; the first has the shares."""
    moved = [(currency, amount) for currency, amount in sorted(amounts.items(), key=_dollars_first) if amount]
    for currency, amount in moved or [(USD, ZERO)]:
        yield Difference(kind, text, symbol, quantity, amount, currency)
        quantity = ZERO


def _dollars_first(one: tuple[str, Decimal]) -> tuple[bool, str]:
    return one[0] != USD, one[0]


def _within(known: BookedFill, statement: Statement, start: Start | None) -> bool:
    day = trading_day(known.fill.at)
    if start is not None and start.at is not None and known.fill.at <= start.at:
        return False
    first = statement.first if start is None else start.day + timedelta(days=start.at is None)
    return max(first, statement.first) <= day <= statement.last


def _of_told(told: _Told, orders: Mapping[str, BookedOrder]) -> Iterator[Difference]:
    if told.new:
        yield from _of_trade(_whole(told.rows), told.known, orders)
    elif told.since:
        yield from _of_correction(told, orders)


def _of_trade(trade: Trade, known: BookedFill | None, orders: Mapping[str, BookedOrder]) -> Iterator[Difference]:
    what = _words(trade)
    if known is not None:
        yield from _of_known(trade, known, what)
        return
    if not trade.quantity and not any(trade.cash.values()):
        return  # it was taken back
    yield from _differences(_kind_of_other(trade, orders), what, trade.cash, trade.symbol, trade.shares)


def _words(trade: Trade) -> str:
    return f"{trade.side} {abs(trade.quantity):f} {trade.symbol} at {trade.price:f}"


def _of_correction(told: _Told, orders: Mapping[str, BookedOrder]) -> Iterator[Difference]:
    """What has become since of a trade that the start has already."""
    first, left, change = told.rows[0], _whole(told.rows), _whole(told.since)
    if not change.quantity and not any(change.cash.values()):
        return  # booked anew as it was
    kind = _kind_of_other(first, orders)
    if told.known is not None or kind not in (Kind.HAND_TRADE, Kind.CONVERSION):
        kind = _kind_of_change(left, change)
    became = f"corrected to {_words(left)}" if left.quantity else "taken back"
    yield from _differences(kind, f"{_words(first)}, {became}", change.cash, first.symbol, change.shares)


def _kind_of_change(left: Trade, change: Trade) -> Kind:
    if not left.quantity:
        return Kind.MISSING_FILL
    moved = change.quantity or any(abs(amount) >= HALF_A_CENT for amount in change.gross.values())
    return Kind.OTHER_FILL if moved else Kind.OTHER_COMMISSION


def _kind_of_other(trade: Trade, orders: Mapping[str, BookedOrder]) -> Kind:
    if trade.order_ref in orders:
        return Kind.LOST_FILL
    if OrderRef.read(trade.order_ref) is not None:
        return Kind.FOREIGN_ORDER
    alike = any(
        (one.symbol, one.side, one.day) == (trade.symbol, trade.side, trading_day(trade.at))
        and one.untold >= abs(trade.quantity)
        for one in orders.values()
    )
    if (alike or trade.cancels) and not trade.order_ref:
        return Kind.PERHAPS_OURS
    return Kind.CONVERSION if trade.conversion else Kind.HAND_TRADE


def _of_known(trade: Trade, known: BookedFill, what: str) -> Iterator[Difference]:
    """A trade that both have: every cent between them is of one kind or another."""
    cash = total((trade.cash, negative(known.cash)))
    gross = total((trade.gross, negative(known.gross)))
    if not trade.quantity:
        yield from _differences(Kind.MISSING_FILL, f"{_ours(known)}, taken back", cash, trade.symbol, -known.shares)
        return
    if trade.quantity != known.fill.signed or any(abs(amount) >= HALF_A_CENT for amount in gross.values()):
        text = f"{what}; on record are {known.fill.quantity:f} at {known.fill.price:f}"
        yield from _differences(Kind.OTHER_FILL, text, cash, trade.symbol, trade.shares - known.shares)
        return
    named = [*_taxes(trade, what), *_charges(trade, known, what)]
    yield from named
    left = total((cash, *map(_undone, named)))
    yield from (Difference(Kind.ROUNDING, _ROUNDED, cash=left[name], currency=name) for name in left if left[name])


def _taxes(trade: Trade, what: str) -> Iterator[Difference]:
    if trade.taxes:
        yield Difference(Kind.TAX, f"on {what}", trade.symbol, cash=-trade.taxes, currency=trade.currency)


def _charges(trade: Trade, known: BookedFill, what: str) -> Iterator[Difference]:
    if known.commission is None:
        yield from _differences(Kind.LATE_COMMISSION, f"of {what}", {trade.charged_in: -trade.commission}, trade.symbol)
        return
    apart = total(({known.charged_in: known.commission}, {trade.charged_in: -trade.commission}))
    if any(abs(amount) >= HALF_A_CENT for amount in apart.values()):
        stated, on_record = f"{trade.commission:f} {trade.charged_in}", f"{known.commission:f} {known.charged_in}"
        text = f"of {what}: {stated}; on record are {on_record}"
        yield from _differences(Kind.OTHER_COMMISSION, text, apart, trade.symbol)


def _missing(known: BookedFill) -> Iterator[Difference]:
    yield from _differences(Kind.MISSING_FILL, _ours(known), negative(known.cash), known.fill.symbol, -known.shares)


def _ours(known: BookedFill) -> str:
    fill = known.fill
    return f"{fill.side} {fill.quantity:f} {fill.symbol} at {fill.price:f} of order {fill.order_ref}"


def _left(
    statement: Statement, start: Start, fills: Sequence[BookedFill], found: Sequence[Difference]
) -> Iterator[Difference]:
    """What all of that does not add up to."""
    ours, theirs = ledger_closing(start, fills), statement.closing
    gap = f"; no statement has the days between {start.day} and {statement.first}" if _gap(statement, start) else ""
    for symbol in sorted({*ours.shares, *theirs.shares, *(one.symbol for one in found if one.quantity)}):
        expected = ours.shares.get(symbol, ZERO) + sum((one.quantity for one in found if one.symbol == symbol), ZERO)
        stated = theirs.shares.get(symbol, ZERO)
        if stated != expected:
            text = f"{stated:f} {symbol} are stated, {expected:f} were expected{gap}"
            yield Difference(Kind.POSITION, text, symbol, stated - expected)
    expecting = total((ours.cash, *({one.currency: one.cash} for one in found)))
    for currency in sorted(filter(ours.knows, {*expecting, *theirs.cash})):
        known, there = expecting.get(currency, ZERO), theirs.cash.get(currency, ZERO)
        if abs(there - known) >= HALF_A_CENT:
            text = f"{there:.2f} {currency} are stated, {known:.2f} were expected{gap}"
            yield Difference(Kind.CASH, text, cash=there - known, currency=currency)


def _gap(statement: Statement, start: Start) -> bool:
    return statement.first > start.day + timedelta(days=1)


def _listed(found: Iterable[Difference]) -> Iterator[Difference]:
    """Roundings are one difference in each currency, if they come to a cent together."""
    rounding: list[Amounts] = []
    for one in found:
        if one.kind is Kind.ROUNDING:
            rounding.append({one.currency: one.cash})
        else:
            yield one
    for currency, amount in total(rounding).items():
        if abs(amount) >= HALF_A_CENT:
            yield Difference(Kind.ROUNDING, _ROUNDED, cash=amount, currency=currency)
