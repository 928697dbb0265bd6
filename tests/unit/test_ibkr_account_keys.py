"""What is read from IBKR's account values, in each spelling that has been seen."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rebalancer.domain.errors import Refused
from rebalancer.domain.portfolio import BaseCurrency
from rebalancer.ibkr import account_keys as keys

TODAY = date(2026, 10, 2)
DOLLARS = {("TotalCashValue", "USD"): "100000.00", ("CashBalance", "USD"): "10000.00"}
PREFIXED = {("TotalCashValue", "USD"): "100000.00", ("$LEDGER-CashBalance", "USD"): "10000.00"}
EUROS = {("CashBalance", "EUR"): "90000.00", ("ExchangeRate", "EUR"): "1.00"}


@pytest.mark.parametrize(
    ("told", "is_ready"),
    [("true", True), ("True", True), ("false", False), ("FALSE", False), ("", False), (None, True)],
)
def test_only_an_account_that_is_called_ready_or_nothing_is_ready(told: str | None, is_ready: bool) -> None:
    assert keys.ready({} if told is None else {("AccountReady", ""): told}) is is_ready


@pytest.mark.parametrize("values", [DOLLARS, PREFIXED, DOLLARS | EUROS])
def test_cash_is_the_dollars_in_either_spelling_and_the_rest_is_other_cash(values: dict[tuple[str, str], str]) -> None:
    assert keys.cash("DU1", values) == 10_000
    assert keys.other_cash("DU1", values) == 90_000


def test_the_smaller_of_both_spellings_counts() -> None:
    both = DOLLARS | {("$LEDGER-CashBalance", "USD"): "9000.00"}
    assert keys.cash("DU1", both) == 9_000


def test_debt_in_another_currency_is_taken_off_the_dollars() -> None:
    owing = {("TotalCashValue", "USD"): "5000.00", ("CashBalance", "USD"): "10000.00", ("CashBalance", "EUR"): "-4545"}
    assert (keys.cash("DU1", owing), keys.other_cash("DU1", owing)) == (5_000, 0)


@pytest.mark.parametrize(
    "rows",
    [
        {},
        {("CashBalance", "EUR"): "90000.00"},
        {("CashBalance", "BASE"): "100000.00"},
        {("$LEDGER-CashBalance", "USD"): "NaN"},
        {("CashBalance", "USD"): "1.7976931348623157E308"},
        {("ledger-CashBalance", "USD"): "1.00"},
    ],
)
def test_without_a_dollars_row_no_cash_counts_as_dollars(rows: dict[tuple[str, str], str]) -> None:
    with pytest.raises(Refused, match="DU1") as refused:
        keys.cash("DU1", {("TotalCashValue", "USD"): "100000.00"} | rows)
    assert refused.value.rule == "cash_missing"


@pytest.mark.parametrize(
    ("text", "settled"),
    [
        ("20261002:1234.56", "1234.56"),
        ("20261002:1234.56;20261005:2345.67", "1234.56"),
        ("20260929:5.00;20261001:1234.56;20261005:2345.67", "1234.56"),
        ("20260929:5.00;20261001:1234.56", "1234.56"),
        ("20261002:9000;20261005:2000", "2000"),  # a payment is due
        ("20261005:2345.67;20261006:3000", "2345.67"),  # a day without settlement
        ("20261002:1234.56;20261005:2345.67;", "1234.56"),
        ("20261002:-50.00", "-50.00"),
        ("20261002:0", "0"),
    ],
)
def test_settled_cash_is_the_lowest_balance_from_today_on(text: str, settled: str) -> None:
    assert keys.settled({("SettledCashByDate", "USD"): text}, TODAY) == Decimal(settled)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "20261002",
        "20261002:",
        ":5",
        "2026-10-02:5",
        "20261302:5",
        "20261005:1;20261002:2",
        "20261002:1;20261002:2",
        "20261002:NaN",
        "20261002:5,20261005:6",
        "1234.56",
    ],
)
def test_a_schedule_that_cannot_be_read_says_nothing(text: str) -> None:
    assert keys.settled({("SettledCashByDate", "USD"): text}, TODAY) is None


@pytest.mark.parametrize(
    ("rows", "settled"),
    [
        ({("SettledCashByDate", ""): "20261002:5"}, 5),
        ({("$LEDGER-SettledCashByDate", "USD"): "20261002:5"}, 5),
        ({("$LEDGER-SettledCashByDate", ""): "20261002:5", ("CashBalance", "BASE"): "5"}, 5),
        ({("SettledCashByDate", ""): "20261002:5", ("CashBalance", "EUR"): "0.00"}, 5),
        ({("SettledCashByDate", ""): "20261002:5", ("CashBalance", "EUR"): "7.00"}, None),
        ({("SettledCashByDate", ""): "20261002:5", ("$LEDGER-CashBalance", "EUR"): "-7.00"}, None),
        ({("SettledCashByDate", ""): "20261002:5", ("SettledCashByDate", "EUR"): "20261002:5"}, None),
        ({("SettledCashByDate", "USD"): "20261002:4", ("SettledCashByDate", "EUR"): "20261002:5"}, 4),
        ({("SettledCashByDate", "USD"): "20261002:4", ("SettledCashByDate-S", "USD"): "20261002:3"}, 3),
        ({("SettledCashByDate", "BASE"): "20261002:4"}, None),
        ({("SettledCash", "USD"): "4"}, None),
    ],
)
def test_settled_cash_is_of_dollars_or_of_no_currency_where_there_is_no_other(
    rows: dict[tuple[str, str], str], settled: int | None
) -> None:
    assert keys.settled(rows, TODAY) == settled


days = st.dates(date(2026, 9, 20), date(2026, 10, 20))
balances = st.decimals("-1000000", "1000000", places=2)


@given(points=st.dictionaries(days, balances, min_size=1, max_size=5), today=days)
def test_settled_cash_is_never_more_than_today_nor_than_once_all_has_settled(
    points: dict[date, Decimal], today: date
) -> None:
    ordered = sorted(points.items())
    text = ";".join(f"{day:%Y%m%d}:{balance}" for day, balance in ordered)
    found = keys.settled({("SettledCashByDate", "USD"): text}, today)
    assert found is not None
    assert found in points.values()
    assert found <= ordered[-1][1]
    assert all(found <= balance for day, balance in ordered if day == today)


@pytest.mark.parametrize(
    ("rows", "accrued"),
    [
        ({}, 0),
        ({("AccruedCash", "USD"): "15.00", ("$LEDGER-AccruedCash", "USD"): "10.00"}, 15),
        ({("AccruedCash", "USD"): "10.00", ("AccruedCash", "BASE"): "15.00"}, 15),
        ({("AccruedCash", "USD"): "-3.50", ("AccruedDividend", "USD"): "40.00"}, "36.5"),
        ({("AccruedCash", "USD"): "", ("AccruedDividend", "USD"): "NaN"}, 0),
    ],
)
def test_accruals_are_those_of_the_whole_account(rows: dict[tuple[str, str], str], accrued: object) -> None:
    assert keys.accrued(rows) == Decimal(str(accrued))


BASE = {
    ("NetLiquidation", "EUR"): "2500.00",
    ("TotalCashValue", "EUR"): "2527.89",
    ("CashBalance", "BASE"): "2527.8905",
    ("CashBalance", "EUR"): "2500.00",
    ("CashBalance", "USD"): "33.1786",
    ("ExchangeRate", "BASE"): "1.00",
    ("ExchangeRate", "EUR"): "1.00",
    ("ExchangeRate", "USD"): "0.8406187",
    ("AvailableFunds", "EUR"): "451.99",
}
"""As in a public capture of March 2021: 2500 EUR + 33.1786 USD x 0.8406187 = 2527.8905 EUR."""


def test_the_rate_is_so_many_units_of_the_base_currency_for_a_dollar() -> None:
    base = keys.base("DU1", BASE)
    assert base == BaseCurrency("EUR", Decimal("0.8406187"), Decimal("2500.00"))
    assert keys.cash("DU1", BASE, base) == Decimal("33.1786")
    assert keys.other_cash("DU1", BASE, base) == pytest.approx(Decimal(2500) / base.rate, abs=Decimal("0.02"))
    assert keys.equity("DU1", BASE, base) == Decimal("2974.00")
    assert keys.usd(BASE, "AvailableFunds", base) == Decimal("537.69")


@pytest.mark.parametrize("rate", [None, "", "0", "-0.84", "NaN", "1.7976931348623157E308", "0.000001", "1E9"])
def test_a_rate_that_is_missing_or_absurd_is_refused(rate: str | None) -> None:
    values = {key: text for key, text in BASE.items() if key != ("ExchangeRate", "USD")}
    if rate is not None:
        values["ExchangeRate", "USD"] = rate
    with pytest.raises(Refused, match="kept in EUR") as refused:
        keys.base("DU1", values)
    assert refused.value.rule == "exchange_rate"


def test_two_rates_that_differ_are_refused() -> None:
    with pytest.raises(Refused) as refused:
        keys.base("DU1", BASE | {("$LEDGER-ExchangeRate", "USD"): "0.9"})
    assert refused.value.rule == "exchange_rate"


def test_equity_in_several_currencies_is_refused() -> None:
    with pytest.raises(Refused) as refused:
        keys.base("DU1", BASE | {("NetLiquidation", "GBP"): "2100.00"})
    assert refused.value.rule == "equity_currency"


@pytest.mark.parametrize("dollars", [DOLLARS, PREFIXED, {}])
def test_an_account_in_dollars_has_no_other_base(dollars: dict[tuple[str, str], str]) -> None:
    assert keys.base("DU1", {("NetLiquidation", "USD"): "5", ("NetLiquidation", "BASE"): "5"} | dollars) is None


def test_without_a_dollars_row_there_are_none_if_the_base_currency_is_all_cash() -> None:
    rows = {key: text for key, text in BASE.items() if key != ("CashBalance", "USD")}
    base = keys.base("DU1", rows)
    with pytest.raises(Refused, match="how much cash"):
        keys.cash("DU1", rows, base)
    assert keys.cash("DU1", rows | {("TotalCashValue", "EUR"): "2500.00"}, base) == 0


def test_accruals_of_the_whole_account_are_translated() -> None:
    base = BaseCurrency("EUR", Decimal("0.8"))
    rows = {("AccruedCash", "BASE"): "8.00", ("AccruedCash", "USD"): "1.00", ("AccruedDividend", "EUR"): "-4.00"}
    assert keys.accrued(rows, base) == 5
    assert keys.settled({("SettledCashByDate", ""): "20261002:5"}, TODAY, base) is None, "which would be euros"
