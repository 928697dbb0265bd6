"""What a Flex query says, in the forms in which IBKR writes it."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal

import pytest

from rebalancer.flex import pace
from rebalancer.flex.answers import CODES, Next, refusal
from rebalancer.flex.decoding import SECTIONS, Unusable, decode
from rebalancer.flex.xml import Unreadable, root_of
from rebalancer.statements.content import Kind, Statement

TRADE = (
    '<Trade accountId="U1" assetCategory="STK" currency="USD" symbol="BRK B" conid="72063691" '
    'dateTime="20260716;135242" tradeDate="20260716" reportDate="20260716" quantity="-1,000" tradePrice="1.37" '
    'proceeds="1370" taxes="-0.5" ibCommission="-0.7934122" ibCommissionCurrency="USD" netCash="1368.7065878" '
    'notes="P;XYZ" buySell="SELL" ibExecID="0000e183.6a58737f.04.01" orderReference="mine" '
    'levelOfDetail="EXECUTION" brandNew="?" />'
)


def read(*, made: str = "20260717;070000", **sections: str) -> Statement:
    """A statement with these sections; the others are there and empty."""
    rows = {"CashReport": "", "OpenPositions": "", "Trades": "", "CashTransactions": "", "CorporateActions": ""}
    inside = "".join(f"<{name}>{text}</{name}>" for name, text in (rows | sections).items())
    (found,) = decode(
        root_of(
            '<FlexQueryResponse queryName="q" type="AF"><FlexStatements count="1"><FlexStatement accountId="U1" '
            f'fromDate="2026-07-01" toDate="20260716" period="Custom" whenGenerated="{made}">'
            f"{inside}</FlexStatement></FlexStatements></FlexQueryResponse>".encode()
        )
    )
    return found


def cash(currency: str, amount: str) -> str:
    return f'<CashReportCurrency accountId="U1" currency="{currency}" levelOfDetail="Currency" endingCash="{amount}" />'


def payment(kind: str, amount: str, currency: str = "USD", level: str = "DETAIL") -> str:
    return (
        f'<CashTransaction accountId="U1" currency="{currency}" type="{kind}" amount="{amount}" reportDate="20260716" '
        f'symbol="SPY" description="SPY CASH DIVIDEND" levelOfDetail="{level}" />'
    )


def test_a_trade_is_read_whatever_else_its_row_says() -> None:
    statement = read(Trades=TRADE)
    (trade,) = statement.trades
    assert (statement.first, statement.last) == (date(2026, 7, 1), date(2026, 7, 16))
    assert (trade.execution, trade.symbol, trade.order_ref) == ("0000e183.6a58737f.04.01", "BRK B", "mine")
    assert (trade.quantity, trade.price, trade.side) == (-1000, Decimal("1.37"), "SELL")
    assert (trade.cash, trade.commission, trade.taxes) == (
        {"USD": Decimal("1368.7065878")},
        Decimal("0.7934122"),
        Decimal("0.5"),
    )
    assert trade.at == datetime(2026, 7, 16, 17, 52, 42, tzinfo=UTC)


@pytest.mark.parametrize("written", ["2026-07-16, 13:52:42", "20260716;135242 EDT", "2026-07-16;13:52:42 US/Eastern"])
def test_a_time_is_read_in_each_of_its_forms(written: str) -> None:
    (trade,) = read(made=written, Trades=TRADE.replace("20260716;135242", written)).trades
    assert trade.at == datetime(2026, 7, 16, 17, 52, 42, tzinfo=UTC)


def test_days_of_a_breakout_come_in_their_order() -> None:
    inside = "".join(f"<{name} />" for name in SECTIONS)
    made = 'period="Custom" whenGenerated="20260717;070000"'
    days = "".join(
        f'<FlexStatement accountId="U1" fromDate="{day}" toDate="{day}" {made}>{inside}</FlexStatement>'
        for day in (20260716, 20260714, 20260715)
    )
    found = decode(root_of(f"<FlexQueryResponse><FlexStatements>{days}</FlexStatements></FlexQueryResponse>".encode()))
    assert [one.last.day for one in found] == [14, 15, 16]


def test_a_day_without_a_time_is_refused() -> None:
    with pytest.raises(Unusable, match="has no time"):
        read(Trades=TRADE.replace("20260716;135242", "MULTI"))


def test_orders_and_summaries_are_not_counted_besides_their_executions() -> None:
    order = TRADE.replace("EXECUTION", "ORDER")
    lot = '<OpenPosition accountId="U1" assetCategory="STK" symbol="SPY" position="4" levelOfDetail="LOT" />'
    whole = lot.replace("LOT", "SUMMARY").replace('"4"', '"10"')
    statement = read(
        Trades=order + TRADE,
        OpenPositions=lot + whole,
        CashTransactions=payment("Dividends", "5", level="SUMMARY") + payment("Dividends", "5"),
    )
    assert (len(statement.trades), statement.closing.shares, len(statement.entries)) == (1, {"SPY": 10}, 1)


@pytest.mark.parametrize(
    ("section", "row", "option"),
    [
        ("Trades", TRADE.replace("EXECUTION", "ORDER"), "Execution"),
        ("CashTransactions", payment("Dividends", "5", level="SUMMARY"), "Detail"),
        (
            "OpenPositions",
            '<OpenPosition accountId="U1" assetCategory="STK" symbol="SPY" position="4" levelOfDetail="LOT" />',
            "Summary",
        ),
    ],
)
def test_a_section_of_sums_alone_is_refused_with_the_option_that_it_lacks(section: str, row: str, option: str) -> None:
    """It looked as if nothing had been traded, paid or held."""
    with pytest.raises(Unusable, match=f"section {section} lacks the option {option}"):
        read(**{section: row})


def test_each_currency_of_cash_is_one_of_its_own() -> None:
    rows = cash("BASE_SUMMARY", "150.5") + cash("EUR", "-45") + cash("USD", "1,100.255") + cash("GBP", "0")
    assert read(CashReport=rows).closing.cash == {"USD": Decimal("1100.255"), "EUR": -45}
    assert read(CashReport=cash("BASE_SUMMARY", "0")).closing.cash == {}
    with pytest.raises(Unusable, match="Currency Breakout"):
        read(CashReport=cash("BASE_SUMMARY", "150.5"))


def test_a_conversion_moves_both_currencies_and_no_shares() -> None:
    """Its net cash is told as 0, its commission in the account's base currency."""
    row = (
        '<Trade accountId="U1" assetCategory="CASH" currency="USD" symbol="EUR.USD" dateTime="20260716;110000" '
        'reportDate="20260716" quantity="-1000" tradePrice="1.1" proceeds="1100" taxes="0" ibCommission="-2" '
        'ibCommissionCurrency="EUR" netCash="0" buySell="SELL" ibExecID="e.1" orderReference="" '
        'levelOfDetail="EXECUTION" />'
    )
    (trade,) = read(Trades=row).trades
    assert (trade.conversion, trade.quantity, trade.shares) == (True, -1000, 0)
    assert trade.cash == {"EUR": -1002, "USD": 1100}
    (francs,) = read(
        Trades=row.replace("EUR.USD", "USD.CHF").replace('currency="USD"', 'currency="CHF"').replace('"EUR"', '"CHF"')
    ).trades
    assert francs.cash == {"USD": -1000, "CHF": 1098}


def test_a_stock_in_another_currency_is_paid_in_it() -> None:
    (trade,) = read(Trades=TRADE.replace('="USD"', '="EUR"')).trades
    assert trade.cash == {"EUR": Decimal("1368.7065878")}
    (charged,) = read(Trades=TRADE.replace('currency="USD"', 'currency="EUR"')).trades
    assert charged.cash == {"EUR": Decimal("1369.5"), "USD": Decimal("-0.7934122")}


LOT = (
    '<Lot accountId="U1" assetCategory="STK" currency="USD" symbol="BRK B" dateTime="20260716;135242" '
    'openDateTime="20250102;100000" quantity="40" tradePrice="1.20" cost="48.05" fifoPnlRealized="6.2" proceeds="" '
    'buySell="SELL" levelOfDetail="CLOSED_LOT" />'
)


def test_closed_lots_are_read_beside_the_executions() -> None:
    statement = read(Trades=TRADE + LOT + LOT.replace("Lot", "Trade").replace('"20250102;100000"', '""'))
    assert len(statement.trades) == 1
    first, second = statement.closed_lots
    assert (first.symbol, first.closed_at) == ("BRK B", datetime(2026, 7, 16, 17, 52, 42, tzinfo=UTC))
    assert (first.opened, first.quantity, first.cost, first.realized) == (
        date(2025, 1, 2),
        40,
        Decimal("48.05"),
        Decimal("6.2"),
    )
    assert second.opened is None


@pytest.mark.parametrize(("what", "other"), [('"USD"', '"EUR"'), ('"SELL"', '"BUY"'), ('"STK"', '"OPT"')])
def test_lots_that_are_no_sale_of_a_stock_in_dollars_are_left_out(what: str, other: str) -> None:
    assert read(Trades=LOT.replace(what, other)).closed_lots == ()


def test_a_lot_that_does_not_say_what_it_cost_is_refused_by_name() -> None:
    with pytest.raises(Unusable, match="Closed Lots, lacks the column cost"):
        read(Trades=LOT.replace('cost="48.05" ', ""))


def test_kinds_of_cash() -> None:
    rows = (
        ("Dividends", "5", Kind.DIVIDEND),
        ("Withholding Tax", "-1", Kind.TAX),
        ("Deposits/Withdrawals", "9", Kind.DEPOSIT),
        ("Deposits &amp; Withdrawals", "-9", Kind.WITHDRAWAL),
        ("Something New", "-2", Kind.UNKNOWN_ENTRY),
    )
    found = read(CashTransactions="".join(payment(kind, amount) for kind, amount, _ in rows)).entries
    assert [(one.kind, one.cash) for one in found] == [(kind, Decimal(amount)) for _, amount, kind in rows]
    (other,) = read(CashTransactions=payment("Dividends", "5", currency="EUR")).entries
    assert (other.cash, other.currency) == (5, "EUR")


def test_corporate_actions_and_transfers() -> None:
    def action(kind: str, quantity: str, proceeds: str = "0") -> str:
        return (
            f'<CorporateAction accountId="U1" currency="USD" symbol="XYZ" reportDate="20260716" quantity="{quantity}" '
            f'proceeds="{proceeds}" type="{kind}" actionDescription="XYZ 2 FOR 1" levelOfDetail="DETAIL" />'
        )

    out = (
        '<Transfer accountId="U1" currency="USD" symbol="SPY" reportDate="20260716" quantity="5" '
        'cashTransfer="0" direction="OUT" type="ACATS" levelOfDetail="TRANSFER" />'
    )
    statement = read(
        CorporateActions=action("FS", "10")
        + action("FS", "10").replace("DETAIL", "SUMMARY")
        + action("TC", "-20", "512.5"),
        Transfers=out
        + out.replace("<Transfer", "<TransferLot").replace("TRANSFER", "LOT")
        + out.replace('"OUT"', '"IN"')
        + out.replace('"OUT"', '"-"').replace('"5"', '"-5"').replace('"0"', '"-7.5"'),
    )
    assert [(one.kind, one.quantity, one.cash) for one in statement.entries] == [
        (Kind.SPLIT, 10, 0),
        (Kind.CORPORATE_ACTION, -20, Decimal("512.5")),
        (Kind.TRANSFER, -5, 0),
        (Kind.TRANSFER, 5, 0),
        (Kind.TRANSFER, -5, Decimal("-7.5")),
    ]


@pytest.mark.parametrize("document", [b"", b"<html>", b"\xff\xfe", b'<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>'])
def test_what_is_no_statement_is_no_xml_to_us(document: bytes) -> None:
    with pytest.raises(Unreadable):
        root_of(document)


def test_a_cancellation_is_of_the_trade_that_it_names() -> None:
    """It has an execution id no more than an order ref; what is booked anew has the same trade id."""
    booked = TRADE.replace("<Trade ", '<Trade tradeID="77" transactionType="ExchTrade" ')
    back = (
        TRADE.replace('"0000e183.6a58737f.04.01"', '""')
        .replace('"mine"', '""')
        .replace('quantity="-1,000"', 'quantity="1,000"')
        .replace("<Trade ", '<Trade tradeID="" origTradeID="77" transactionType="TradeCancel" ')
    )
    trades = read(Trades=booked + back + booked.replace("04.01", "04.02")).trades
    assert [(one.execution[-5:], one.quantity, one.cancels) for one in trades] == [
        ("04.01", -1000, False),
        ("04.02", 1000, True),
        ("04.02", -1000, False),
    ]
    (alone,) = read(Trades=back).trades
    assert (alone.cancels, alone.execution) == (True, "BRK B 2026-07-16 17:52:42+00:00 1000")


@pytest.mark.parametrize("written", ["07/08/2026;135242", "08/07/26;13:52:42", "07/08/2026;135242 US/Eastern"])
def test_a_date_that_may_be_of_two_days_is_refused(written: str) -> None:
    """The query may have the day first, or the month, and its statements do not say."""
    with pytest.raises(Unusable, match="may be two days: set the query's date format to yyyyMMdd"):
        read(Trades=TRADE.replace("20260716;135242", written))


def test_a_currency_that_ibflex_does_not_know_stops_nothing() -> None:
    assert read(CashReport=cash("XYZ", "1.5") + cash("USD", "2")).closing.cash == {"XYZ": Decimal("1.5"), "USD": 2}


def test_a_number_that_is_none_is_refused() -> None:
    with pytest.raises(Unusable, match="cannot be read"):
        read(CashReport=cash("USD", "plenty"))


def test_every_code_of_the_table_has_its_consequence() -> None:
    assert set(CODES) == {1001, *range(1003, 1022)}
    assert [code for code, after in CODES.items() if after is Next.PERSON] == [*range(1010, 1017), 1020]
    assert refusal(4711, "new").next is Next.LATER
    assert str(refusal(1019, "Statement generation in progress. Please try again shortly.")) == (
        "code 1019, Statement generation in progress. Please try again shortly"
    )


@pytest.mark.parametrize(
    ("now", "due"),
    [
        ("2026-11-26T10:00+00:00", "2026-11-26T12:00+00:00"),
        ("2026-11-26T12:00+00:00", "2026-11-27T12:00+00:00"),
        ("2026-11-28T13:00+00:00", "2026-12-01T12:00+00:00"),
        ("2026-03-07T13:00+00:00", "2026-03-10T11:00+00:00"),
    ],
)
def test_the_next_morning_is_new_yorks_and_follows_a_market_day(now: str, due: str) -> None:
    assert pace.next_morning(datetime.fromisoformat(now), time(7)) == datetime.fromisoformat(due)


def test_pauses_grow_to_a_bound() -> None:
    assert [pace.pause_after(failures) for failures in (0, 1, 2, 3, 50)] == [
        timedelta(minutes=minutes) for minutes in (5, 10, 20, 40, 60)
    ]
    waits = [pace.again_after(timedelta(seconds=waited)) for waited in (0, 5, 30, 600)]
    assert waits == [timedelta(seconds=seconds) for seconds in (5, 5, 30, 61)]
