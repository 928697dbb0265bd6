"""Statements in the form of an Activity Flex Query: pure; the books, the days and what is seeded are arguments."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Self
from xml.etree.ElementTree import Element, SubElement, tostring

from rebalancer.domain.money import ZERO
from rebalancer.domain.orders import split_execution_id
from rebalancer.domain.portfolio import Side
from sandbox.flex.knobs import Knobs, Lots, Seeds
from sandbox.flex.lots import ClosedLot, closed_lots
from sandbox.gateway.exchange_accounts import USD, AccountState
from sandbox.gateway.exchange_books import SPLIT
from sandbox.gateway.exchange_events import Execution, Movement
from sandbox.gateway.hours import ZONE, trading_day
from sandbox.gateway.memory import Memory
from sandbox.gateway.scenario import Instrument

Instruments = Mapping[str, Instrument]


@dataclass(frozen=True, slots=True)
class _Days:
    """One account in the days of its statement."""

    account: AccountState
    trades: tuple[Execution, ...]
    moved: tuple[Movement, ...]
    first: date
    last: date
    seeds: Seeds

    @classmethod
    def of(cls, account: AccountState, books: Memory, days: tuple[date, date], seeds: Seeds) -> Self:
        trades = tuple(one for one in books.executions if one.order.account == account.account_id)
        moved = tuple(one for one in books.movements if one.account == account.account_id)
        return cls(account, trades, moved, *days, seeds)

    def within(self, happened: Execution | Movement) -> bool:
        return self.first <= trading_day(happened.at) <= self.last

    def taken_back(self, trade: Execution) -> bool:
        """Whether a statement of these days says so."""
        day = self.seeds.taken_back.get(trade.execution_id)
        return day is not None and self.first <= day <= self.last

    def counts(self, trade: Execution) -> bool:
        """Whether it is part of what is held at the end of the last day."""
        back = self.seeds.taken_back.get(trade.execution_id)
        gone = back is not None and back <= self.last and trade.execution_id not in self.seeds.booked_anew
        return trading_day(trade.at) <= self.last and not gone

    def cash(self) -> dict[str, Decimal]:
        """By currency, at the end of the last day: what came since is taken off."""
        found = {USD: self.account.cash, **self.account.other_cash}
        for trade in self.trades:
            for currency, amount in _changes(trade).items() if not self.counts(trade) else ():
                found[currency] -= amount
        for one in self.moved:
            if trading_day(one.at) > self.last:
                found[one.currency] -= one.amount
        return found

    def shares(self) -> dict[str, Decimal]:
        """The same of what is held, by symbol."""
        found = {symbol: holding.quantity for symbol, holding in self.account.holdings.items()}
        for trade in self.trades:
            if not self.counts(trade) and not trade.order.pair:
                found[trade.order.symbol] -= _signed(trade)
        for one in self.moved:
            if trading_day(one.at) > self.last and one.symbol in found:
                found[one.symbol] -= one.quantity
        return found

    def closed_lots(self, which: Lots) -> Iterator[ClosedLot]:
        """Of the sales of these days."""
        if which == "none":
            return iter(())
        found = closed_lots(self.trades, newest_first=which == "newest")
        return (lot for lot in found if self.within(lot.sale))


def document(books: Memory, instruments: Instruments, days: tuple[date, date], knobs: Knobs, *, now: datetime) -> bytes:
    """The statements of all accounts, of the first to the last of these days."""
    first, last = days
    root = Element("FlexQueryResponse", queryName="proof", type="AF")
    every = SubElement(root, "FlexStatements", count=str(len(books.accounts)))
    for account in books.accounts:
        frame = {"accountId": account.account_id, "fromDate": _day(first), "toDate": _day(last), "period": "Custom"}
        statement = SubElement(every, "FlexStatement", frame | {"whenGenerated": _moment(now)})
        _fill(statement, _Days.of(account, books, days, knobs.seeds), instruments, knobs)
        _leave_out(statement, knobs)
    return bytes(tostring(root, encoding="utf-8", xml_declaration=True))


def _fill(statement: Element, days: _Days, instruments: Instruments, knobs: Knobs) -> None:
    owner, seeds = {"accountId": days.account.account_id}, knobs.seeds
    report, held = SubElement(statement, "CashReport"), SubElement(statement, "OpenPositions")
    for currency, amount in days.cash().items():
        stated = amount + (seeds.cash if currency == USD else seeds.other_cash.get(currency, ZERO))
        row = {"currency": currency, "endingCash": f"{stated:f}", "levelOfDetail": "Currency"}
        SubElement(report, "CashReportCurrency", owner | row)
    shares = days.shares()
    for symbol in sorted(shares.keys() | seeds.shares.keys()):
        quantity = shares.get(symbol, ZERO) + seeds.shares.get(symbol, ZERO)
        if quantity:
            row = {"position": f"{quantity:f}", "levelOfDetail": "SUMMARY"}
            SubElement(held, "OpenPosition", owner | _of_symbol(symbol, instruments) | row)
    traded = SubElement(statement, "Trades")
    for trade in filter(days.within, days.trades):
        if trade.execution_id not in seeds.hidden_trades:
            SubElement(traded, "Trade", _trade(trade, instruments, seeds))
    for trade in filter(days.taken_back, days.trades):
        for row in _taken_back(trade, instruments, seeds):
            SubElement(traded, "Trade", row)
    for lot in days.closed_lots(knobs.lots):
        SubElement(traded, "Lot", _lot(lot, instruments))
    paid, acted = SubElement(statement, "CashTransactions"), SubElement(statement, "CorporateActions")
    for one in filter(days.within, days.moved):
        if one.kind == SPLIT:
            SubElement(acted, "CorporateAction", _split(one))
        else:
            SubElement(paid, "CashTransaction", _payment(one))


def _trade(trade: Execution, instruments: Instruments, seeds: Seeds) -> dict[str, str]:
    price, commission = trade.price + seeds.price, trade.commission + seeds.commission
    proceeds = -_signed(trade) * price
    return _of_traded(trade, instruments) | {
        "accountId": trade.order.account,
        "tradeDate": _day(trading_day(trade.at)),
        "reportDate": _day(trading_day(trade.at)),
        "dateTime": _moment(trade.at),
        "buySell": "BUY" if trade.order.side is Side.BUY else "SELL",
        "quantity": f"{_signed(trade):f}",
        "tradePrice": f"{price:f}",
        "proceeds": f"{proceeds:f}",
        "taxes": "0",
        "ibCommission": f"{-commission:f}",
        "ibCommissionCurrency": trade.commission_currency,
        "netCash": "0" if trade.order.pair else f"{proceeds - commission:f}",
        "tradeID": trade.execution_id.replace(".", ""),
        "origTradeID": "",
        "transactionType": "ExchTrade",
        "ibExecID": trade.execution_id,
        "orderReference": trade.order.ticket.order_ref,
        "levelOfDetail": "EXECUTION",
    }


_AMOUNTS = ("quantity", "proceeds", "taxes", "ibCommission", "netCash")


def _taken_back(trade: Execution, instruments: Instruments, seeds: Seeds) -> Iterator[dict[str, str]]:
    """A cancellation has the time of what it takes back, and names it by its trade id; so has what is booked anew."""
    told = _trade(trade, instruments, seeds) | {"reportDate": _day(seeds.taken_back[trade.execution_id])}
    reversed_ = {name: f"{-Decimal(told[name]):f}" for name in _AMOUNTS}
    words = {"tradeID": "", "origTradeID": told["tradeID"], "transactionType": "TradeCancel", "ibExecID": ""}
    yield told | reversed_ | words | {"orderReference": "", "buySell": f"{told['buySell']} (Ca.)"}
    if trade.execution_id in seeds.booked_anew:
        yield told | {"ibExecID": f"{split_execution_id(trade.execution_id)[0]}.02"}


def _lot(lot: ClosedLot, instruments: Instruments) -> dict[str, str]:
    """In it the price is that of the purchase, and the proceeds are empty."""
    return _of_symbol(lot.sale.order.symbol, instruments) | {
        "accountId": lot.sale.order.account,
        "reportDate": _day(trading_day(lot.sale.at)),
        "dateTime": _moment(lot.sale.at),
        "openDateTime": _moment(lot.purchase.at),
        "buySell": "SELL",
        "quantity": f"{lot.quantity:f}",
        "tradePrice": f"{lot.purchase.price:f}",
        "cost": f"{lot.cost:f}",
        "fifoPnlRealized": f"{lot.realized:f}",
        "proceeds": "",
        "levelOfDetail": "CLOSED_LOT",
    }


def _payment(moved: Movement) -> dict[str, str]:
    return {
        "accountId": moved.account,
        "currency": moved.currency,
        "symbol": moved.symbol,
        "type": moved.kind,
        "description": f"{moved.kind} {moved.symbol}".strip(),
        "amount": f"{moved.amount:f}",
        "dateTime": f"{_day(trading_day(moved.at))};202000",
        "reportDate": _day(trading_day(moved.at)),
        "levelOfDetail": "DETAIL",
    }


def _split(moved: Movement) -> dict[str, str]:
    return {
        "accountId": moved.account,
        "currency": USD,
        "symbol": moved.symbol,
        "type": "FS" if moved.quantity > 0 else "RS",
        "actionDescription": f"{moved.symbol} split",
        "quantity": f"{moved.quantity:f}",
        "proceeds": f"{moved.amount:f}",
        "amount": "0",
        "reportDate": _day(trading_day(moved.at)),
    }


def _of_traded(trade: Execution, instruments: Instruments) -> dict[str, str]:
    pair, row = trade.order.pair, _of_symbol(trade.order.symbol, instruments)
    return row | {"symbol": str(pair), "currency": pair.second} if pair else row


def _of_symbol(symbol: str, instruments: Instruments) -> dict[str, str]:
    spec = instruments[symbol]
    return {
        "symbol": spec.symbol or symbol,
        "conid": str(spec.con_id),
        "assetCategory": spec.security_type,
        "currency": spec.currency,
    }


def _leave_out(statement: Element, knobs: Knobs) -> None:
    for section in list(statement):
        if section.tag in knobs.leave_out:
            statement.remove(section)
        for row in section:
            for name in [name for name in row.attrib if f"{section.tag}.{name}" in knobs.leave_out]:
                del row.attrib[name]
            if knobs.omit_order_refs and "orderReference" in row.attrib:
                row.set("orderReference", "")


def _changes(trade: Execution) -> dict[str, Decimal]:
    """What it brought (+) or cost, by currency."""
    pair, signed = trade.order.pair, _signed(trade)
    second = pair.second if pair else USD
    changes = {second: -signed * trade.price}
    if pair:
        changes[pair.first] = signed
    charged = trade.commission_currency
    return changes | {charged: changes.get(charged, ZERO) - trade.commission}


def _signed(trade: Execution) -> Decimal:
    return trade.quantity if trade.order.side is Side.BUY else -trade.quantity


def _day(day: date) -> str:
    return f"{day:%Y%m%d}"


def _moment(at: datetime) -> str:
    return f"{at.astimezone(ZONE):%Y%m%d;%H%M%S}"
