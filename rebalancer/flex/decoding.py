"""From the XML of a Flex query to statements. ibflex knows how IBKR writes numbers, dates and times; it gets the
columns that we read and no others, so that a word that is new to it in any other column stops nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from xml.etree.ElementTree import Element

from ibflex.parser import FlexParserError, parse_data_element

from rebalancer.domain.currencies import USD
from rebalancer.domain.household import StatedLot
from rebalancer.domain.money import ZERO
from rebalancer.domain.trading_sessions import from_new_york
from rebalancer.domain.units import Shares, Usd
from rebalancer.statements.content import Entry, Holdings, Kind, Statement, Trade, total

_FRAME = ("accountId", "fromDate", "toDate", "period", "whenGenerated")
SECTIONS: Mapping[str, tuple[str, ...]] = {
    "CashReport": ("currency", "endingCash"),
    "OpenPositions": ("assetCategory", "symbol", "position"),
    "Trades": (
        "assetCategory",
        "currency",
        "symbol",
        "dateTime",
        "reportDate",
        "quantity",
        "tradePrice",
        "proceeds",
        "netCash",
        "taxes",
        "ibCommission",
        "ibCommissionCurrency",
        "ibExecID",
        "orderReference",
    ),
    "CashTransactions": ("currency", "reportDate", "amount", "type"),
    "CorporateActions": ("currency", "symbol", "reportDate", "quantity", "proceeds", "type"),
}
"""What a query has to have: its sections, and of each the columns that are read."""
_OPTIONAL = frozenset({
    "levelOfDetail", "symbol", "description", "actionDescription", "direction", "cashTransfer", "tradeID",
    "origTradeID", "transactionType",
})  # fmt: skip
_LOTS = ("assetCategory", "currency", "symbol", "dateTime", "openDateTime", "quantity", "cost", "fifoPnlRealized")
_TRANSFERS = frozenset({"currency", "symbol", "reportDate", "quantity", "cashTransfer", "direction"})
_AS_WRITTEN = frozenset({"type", "direction", "assetCategory", "currency", "ibCommissionCurrency"})
"""Words that ibflex would refuse where they are new."""
_TIMES = frozenset({"dateTime", "openDateTime", "whenGenerated"})
_DATES = _TIMES | {"fromDate", "toDate", "reportDate"}
_CLOSED_LOT = "CLOSED_LOT"
_CANCELLATION = "TradeCancel"
_ROWS = {
    "Trades": "EXECUTION",
    "OpenPositions": "SUMMARY",
    "CashTransactions": "DETAIL",
    "CorporateActions": "DETAIL",
}
"""Levels of detail that are read, where a section may have several."""
_SUMS = frozenset({"ORDER", "SYMBOL_SUMMARY", "LOT", "SUMMARY"})
"""Others, which say the same once more: a section that has these alone lacks what is read."""
_CASH = {
    "Dividends": Kind.DIVIDEND,
    "Payment In Lieu Of Dividends": Kind.DIVIDEND,
    "Withholding Tax": Kind.TAX,
    "871(m) Withholding": Kind.TAX,
    "Broker Interest Paid": Kind.INTEREST,
    "Broker Interest Received": Kind.INTEREST,
    "Bond Interest Paid": Kind.INTEREST,
    "Bond Interest Received": Kind.INTEREST,
    "Other Fees": Kind.FEE,
    "Broker Fees": Kind.FEE,
    "Advisor Fees": Kind.FEE,
    "Commission Adjustments": Kind.FEE,
}
_MOVED = frozenset({"Deposits & Withdrawals", "Deposits/Withdrawals"})
_SPLITS = frozenset({"FS", "RS", "FI"})
MORE_THAN_ANY, FINEST = Decimal(10) ** 15, 100
"""Amounts are smaller, and have fewer decimals."""


class Unusable(Exception):
    """The query does not say what is needed, or says it in no form that is known; what to change, for a person."""


@dataclass(frozen=True, slots=True)
class _Row:
    """One element: values as ibflex has read them, words as they are written."""

    values: Any
    words: Mapping[str, str]

    def number(self, name: str) -> Decimal:
        """0 where the cell is empty."""
        found: Decimal = getattr(self.values, name) or ZERO
        if not found.is_finite() or abs(found) >= MORE_THAN_ANY or (found and found.adjusted() < -FINEST):
            raise Unusable(f"{name} = {self.words.get(name, '')!r} is no number that a statement could have")
        return found

    def word(self, name: str) -> str:
        return self.words.get(name, "").strip()

    @property
    def reported(self) -> date:
        day = self.values.reportDate
        if not isinstance(day, date):
            raise Unusable(f"a row without a report date: {dict(self.words)}")
        return day


def decode(root: Element) -> tuple[Statement, ...]:
    """Every account's, the oldest first: of a query with a breakout by day an account has several, and each counts from
    the one before.

    Raises:
        Unusable: a section or a column is missing, or a value cannot be read.
    """
    try:
        return tuple(sorted(map(_statement, root.iter("FlexStatement")), key=lambda one: one.last))
    except FlexParserError as error:
        raise Unusable(f"a value cannot be read: {error}") from error


def _statement(element: Element) -> Statement:
    frame = _read(element, _FRAME, "FlexStatement").values
    account_id = frame.accountId or ""
    missing = [name for name in SECTIONS if element.find(name) is None]
    if missing:
        raise Unusable(f"the query lacks the section {', '.join(missing)}: add it (docs/statements.md)")
    held, cash = _rows(element, "OpenPositions"), _cash_by_currency(element)
    return Statement(
        account_id=account_id,
        first=frame.fromDate,
        last=frame.toDate,
        closing=Holdings(_shares(held), cash),
        stocks_only=all(row.word("assetCategory") == "STK" for row in held),
        trades=_trades(_rows(element, "Trades")),
        closed_lots=tuple(_closed_lots(element, account_id)),
        entries=(
            *(_payment(row) for row in _rows(element, "CashTransactions")),
            *(_action(row) for row in _rows(element, "CorporateActions")),
            *(_transfer(row) for row in _transfers(element)),
        ),
    )


def _rows(statement: Element, section: str) -> list[_Row]:
    wanted = _ROWS.get(section)
    found = [(element, element.get("levelOfDetail", "").upper()) for element in statement.iterfind(f"{section}/*")]
    chosen = [element for element, level in found if wanted is None or level in ("", wanted)]
    if wanted is not None and not chosen and any(level in _SUMS for _, level in found):
        raise Unusable(f"the query's section {section} lacks the option {wanted.capitalize()}: choose it")
    return [_read(element, SECTIONS[section], section) for element in chosen]


def _closed_lots(statement: Element, account_id: str) -> Iterator[StatedLot]:
    """Beside the executions, where the query's section Trades has them as well."""
    for element in statement.find("Trades") or ():
        if element.get("levelOfDetail", "").upper() != _CLOSED_LOT or element.get("buySell", "SELL") != "SELL":
            continue
        row = _read(element, _LOTS, "Trades, option Closed Lots,")
        if row.word("assetCategory") == "STK" and row.word("currency") == USD:
            yield _lot(row, account_id)


def _lot(row: _Row, account_id: str) -> StatedLot:
    opened = row.values.openDateTime
    return StatedLot(
        account_id=account_id,
        symbol=row.word("symbol"),
        closed_at=_moment(row),
        opened=opened.date() if isinstance(opened, datetime) else opened,
        quantity=Shares(abs(row.number("quantity"))),
        cost=Usd(abs(row.number("cost"))),
        realized=Usd(row.number("fifoPnlRealized")),
    )


def _transfers(statement: Element) -> Iterator[_Row]:
    """Without their lots, which stand beside them as elements of their own."""
    return (_read(element, sorted(_TRANSFERS), "Transfers") for element in statement.iterfind("Transfers/Transfer"))


def _read(element: Element, columns: tuple[str, ...] | list[str], section: str) -> _Row:
    lacking = [name for name in columns if name not in element.attrib and name not in _OPTIONAL]
    if lacking:
        raise Unusable(f"the query's section {section} lacks the column {', '.join(lacking)}: add it")
    kept = {name: _plain(name, element.get(name, "")) for name in columns if name not in _AS_WRITTEN}
    given = {name: text for name, text in kept.items() if text}
    words = {name: element.get(name, "") for name in (*columns, *_OPTIONAL)}
    values = parse_data_element(Element(element.tag, given))
    if values is None or not all(hasattr(values, name) for name in given):
        raise Unusable(f"the section {section} has a row of a kind that is not known, <{element.tag}>")
    return _Row(values, words)


def _plain(name: str, text: str) -> str:
    """Without the zone behind a time: all of a statement's are New York's.

    Raises:
        Unusable: a date that may be of two days.
    """
    plain = text.rpartition(" ")[0] if name in _TIMES and text[-1:].isalpha() else text
    if name in _DATES and "/" in plain:
        raise Unusable(f"{name} = {text!r} may be two days: set the query's date format to yyyyMMdd")
    return plain


def _shares(rows: Iterable[_Row]) -> dict[str, Decimal]:
    held: dict[str, Decimal] = {}
    for row in rows:
        held[row.word("symbol")] = held.get(row.word("symbol"), ZERO) + row.number("position")
    return {symbol: quantity for symbol, quantity in held.items() if quantity}


def _cash_by_currency(statement: Element) -> dict[str, Decimal]:
    """The row of the base currency's summary counts all of them once more."""
    by_currency = {row.word("currency"): row.number("endingCash") for row in _rows(statement, "CashReport")}
    summary = by_currency.pop("BASE_SUMMARY", ZERO)
    if summary and not by_currency:
        raise Unusable("the query's section CashReport has no row for each currency: choose Currency Breakout")
    return {currency: amount for currency, amount in by_currency.items() if amount}


def _trades(rows: Sequence[_Row]) -> tuple[Trade, ...]:
    """A cancellation has no execution id: it names the trade that it takes back."""
    executions = {row.word("tradeID"): row.values.ibExecID for row in rows if row.word("tradeID")}
    return tuple(_trade(row, executions.get(row.word("origTradeID"))) for row in rows)


def _trade(row: _Row, cancelled: str | None) -> Trade:
    conversion = row.word("assetCategory") == "CASH"
    execution = row.values.ibExecID or cancelled
    return Trade(
        execution=execution or f"{row.word('symbol')} {_moment(row)} {row.number('quantity')}",
        symbol=row.word("symbol"),
        at=_moment(row),
        reported=row.reported,
        quantity=row.number("quantity"),
        price=row.number("tradePrice"),
        gross=_exchanged(row) if conversion else _paid(row),
        commission=-row.number("ibCommission"),
        charged_in=_charged_in(row),
        taxes=-row.number("taxes"),
        currency=row.word("currency"),
        order_ref=row.values.orderReference or "",
        conversion=conversion,
        cancels=row.word("transactionType") == _CANCELLATION,
    )


def _charged_in(row: _Row) -> str:
    return row.word("ibCommissionCurrency") or row.word("currency")


def _paid(row: _Row) -> dict[str, Decimal]:
    """Of a stock: the net cash without commission and taxes, to the last digit, where all are of one currency."""
    currency = row.word("currency")
    if _charged_in(row) != currency:
        return {currency: row.number("proceeds")}
    return {currency: row.number("netCash") - row.number("ibCommission") - row.number("taxes")}


def _exchanged(row: _Row) -> dict[str, Decimal]:
    """Of currencies: the symbol is ``EUR.USD`` or ``USD.CHF``, the quantity is of the first, proceeds of the second."""
    first = row.word("symbol").partition(".")[0]
    return total(({first: row.number("quantity")}, {row.word("currency"): row.number("proceeds")}))


def _moment(row: _Row) -> datetime:
    when = row.values.dateTime
    if not isinstance(when, datetime):
        raise Unusable("the query's column dateTime has no time: choose a format with date and time")
    return from_new_york(when)


def _payment(row: _Row) -> Entry:
    amount, text = row.number("amount"), row.word("type")
    kind = _CASH.get(text, Kind.UNKNOWN_ENTRY)
    if text in _MOVED:
        kind = Kind.DEPOSIT if amount >= 0 else Kind.WITHDRAWAL
    said = row.word("description") or text
    return Entry(kind, row.reported, said, row.word("symbol"), cash=amount, currency=row.word("currency"))


def _action(row: _Row) -> Entry:
    kind = Kind.SPLIT if row.word("type") in _SPLITS else Kind.CORPORATE_ACTION
    text = row.word("actionDescription") or row.word("description") or row.word("type")
    amounts = row.number("quantity"), row.number("proceeds")
    return Entry(kind, row.reported, text, row.word("symbol"), *amounts, row.word("currency"))


def _transfer(row: _Row) -> Entry:
    """Amounts have a sign or not; the direction decides, where there is one."""
    sign = {"IN": 1, "OUT": -1}.get(row.word("direction").upper())
    quantity, cash = row.number("quantity"), row.number("cashTransfer")
    if sign is not None:
        quantity, cash = sign * abs(quantity), sign * abs(cash)
    symbol = row.word("symbol") if row.word("symbol") not in ("", "--") else ""
    text = row.word("description") or "transfer"
    return Entry(Kind.TRANSFER, row.reported, text, symbol, quantity if symbol else ZERO, cash, row.word("currency"))
