"""From the XML of a Flex query to statements. ibflex knows how IBKR writes numbers, dates and times; it gets the
columns that we read and no others, so that a word that is new to it in any other column stops nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from xml.etree.ElementTree import Element

from ibflex.parser import FlexParserError, parse_data_element

from rebalancer.domain.currencies import USD
from rebalancer.domain.money import ZERO
from rebalancer.domain.trading_sessions import from_new_york
from rebalancer.statements.content import Entry, Holdings, Kind, Statement, Trade

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
        "ibExecID",
        "orderReference",
    ),
    "CashTransactions": ("currency", "reportDate", "amount", "type"),
    "CorporateActions": ("currency", "symbol", "reportDate", "quantity", "proceeds", "type"),
}
"""What a query has to have: its sections, and of each the columns that are read."""
_OPTIONAL = frozenset({"levelOfDetail", "symbol", "description", "actionDescription", "direction", "cashTransfer"})
_TRANSFERS = frozenset({"currency", "symbol", "reportDate", "quantity", "cashTransfer", "direction"})
_AS_WRITTEN = frozenset({"type", "direction", "assetCategory"})
"""Words that ibflex would refuse where they are new."""
_ROWS = {"Trades": "EXECUTION", "OpenPositions": "SUMMARY", "CashTransactions": "DETAIL"}
"""Levels of detail that are read, where a section may have several."""
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


class Unusable(Exception):
    """The query does not say what is needed, or says it in no form that is known; what to change, for a person."""


@dataclass(frozen=True, slots=True)
class _Row:
    """One element: values as ibflex has read them, words as they are written."""

    values: Any
    words: Mapping[str, str]

    def number(self, name: str) -> Decimal:
        """0 where the cell is empty."""
        return getattr(self.values, name) or ZERO

    def word(self, name: str) -> str:
        return self.words.get(name, "").strip()

    @property
    def in_dollars(self) -> bool:
        return self.word("currency") == USD

    @property
    def reported(self) -> date:
        day = self.values.reportDate
        if not isinstance(day, date):
            raise Unusable(f"a row without a report date: {dict(self.words)}")
        return day


def decode(root: Element) -> tuple[Statement, ...]:
    """Every account's.

    Raises:
        Unusable: a section or a column is missing, or a value cannot be read.
    """
    try:
        return tuple(_statement(one) for one in root.iter("FlexStatement"))
    except FlexParserError as error:
        raise Unusable(f"a value cannot be read: {error}") from error


def _statement(element: Element) -> Statement:
    frame = _read(element, _FRAME, "FlexStatement").values
    account_id = frame.accountId or ""
    missing = [name for name in SECTIONS if element.find(name) is None]
    if missing:
        raise Unusable(f"the query lacks the section {', '.join(missing)}: add it (docs/statements.md)")
    held, cash = list(_rows(element, "OpenPositions")), _cash_by_currency(element)
    return Statement(
        account_id=account_id,
        first=frame.fromDate,
        last=frame.toDate,
        closing=Holdings(_shares(held), cash.get(USD, ZERO)),
        stocks_only=all(row.word("assetCategory") == "STK" for row in held),
        dollars_only=not any(amount for currency, amount in cash.items() if currency != USD),
        trades=tuple(_trade(row) for row in _rows(element, "Trades")),
        entries=(
            *(_payment(row) for row in _rows(element, "CashTransactions")),
            *(_action(row) for row in _rows(element, "CorporateActions")),
            *(_transfer(row) for row in _transfers(element)),
        ),
    )


def _rows(statement: Element, section: str) -> Iterator[_Row]:
    for element in statement.iterfind(f"{section}/*"):
        wanted, level = _ROWS.get(section), element.get("levelOfDetail", "").upper()
        if wanted is None or level in ("", wanted):
            yield _read(element, SECTIONS[section], section)


def _transfers(statement: Element) -> Iterator[_Row]:
    return (_read(element, sorted(_TRANSFERS), "Transfers") for element in statement.iterfind("Transfers/*"))


def _read(element: Element, columns: tuple[str, ...] | list[str], section: str) -> _Row:
    lacking = [name for name in columns if name not in element.attrib and name not in _OPTIONAL]
    if lacking:
        raise Unusable(f"the query's section {section} lacks the column {', '.join(lacking)}: add it")
    kept = {name: _plain(name, element.get(name, "")) for name in columns if name not in _AS_WRITTEN}
    given = {name: text for name, text in kept.items() if text}
    words = {name: element.get(name, "") for name in (*columns, *_OPTIONAL)}
    return _Row(parse_data_element(Element(element.tag, given)), words)


def _plain(name: str, text: str) -> str:
    """Without the zone behind a time: all of a statement's are New York's."""
    return text.rpartition(" ")[0] if name == "dateTime" and text[-1:].isalpha() else text


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
    return by_currency


def _trade(row: _Row) -> Trade:
    if row.word("assetCategory") == "CASH":
        return _conversion(row)
    return Trade(
        execution=row.values.ibExecID or f"{row.word('symbol')} {_moment(row)} {row.number('quantity')}",
        symbol=row.word("symbol"),
        at=_moment(row),
        reported=row.reported,
        quantity=row.number("quantity"),
        price=row.number("tradePrice"),
        cash=row.number("netCash") if row.in_dollars else ZERO,
        commission=-row.number("ibCommission") if row.in_dollars else ZERO,
        taxes=-row.number("taxes") if row.in_dollars else ZERO,
        order_ref=row.values.orderReference or "",
    )


def _conversion(row: _Row) -> Trade:
    """Of currencies: the symbol is ``EUR.USD`` or ``USD.CHF``, the quantity is of the first, proceeds of the second."""
    dollars = row.number("quantity") if row.word("symbol").startswith(f"{USD}.") else ZERO
    return Trade(
        execution=row.values.ibExecID or f"{row.word('symbol')} {_moment(row)}",
        symbol=row.word("symbol"),
        at=_moment(row),
        reported=row.reported,
        quantity=ZERO,
        price=row.number("tradePrice"),
        cash=dollars + (row.number("proceeds") if row.in_dollars else ZERO) + row.number("ibCommission"),
        commission=ZERO,
        conversion=True,
    )


def _moment(row: _Row) -> datetime:
    when = row.values.dateTime
    if not isinstance(when, datetime):
        raise Unusable("the query's column dateTime has no time: choose a format with date and time")
    return from_new_york(when)


def _payment(row: _Row) -> Entry:
    amount = row.number("amount") if row.in_dollars else ZERO
    text = row.word("type")
    kind = _CASH.get(text, Kind.UNKNOWN_ENTRY)
    if text in _MOVED:
        kind = Kind.DEPOSIT if amount >= 0 else Kind.WITHDRAWAL
    return Entry(kind, row.reported, row.word("description") or text, row.word("symbol"), cash=amount)


def _action(row: _Row) -> Entry:
    kind = Kind.SPLIT if row.word("type") in _SPLITS else Kind.CORPORATE_ACTION
    text = row.word("actionDescription") or row.word("description") or row.word("type")
    cash = row.number("proceeds") if row.in_dollars else ZERO
    return Entry(kind, row.reported, text, row.word("symbol"), row.number("quantity"), cash)


def _transfer(row: _Row) -> Entry:
    sign = -1 if row.word("direction").upper() == "OUT" else 1
    cash = sign * abs(row.number("cashTransfer")) if row.in_dollars else ZERO
    symbol = row.word("symbol") if row.word("symbol") not in ("", "--") else ""
    quantity = sign * abs(row.number("quantity")) if symbol else ZERO
    return Entry(Kind.TRANSFER, row.reported, row.word("description") or "transfer", symbol, quantity, cash)
