"""Tables as fund companies, spreadsheets and people publish them: read as they are meant, or refused."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest

from rebalancer.domain.errors import Refused
from rebalancer.domain.sources import Form, TableForm, Unit
from rebalancer.sources.tables import read_table

ISHARES = """iShares Some ETF
Fund Holdings as of,"Nov 20, 2026"
Inception Date,"May 15, 2000"
Shares Outstanding,"1,234,500,000.00"
Stock,"-"
\N{NO-BREAK SPACE}
Ticker,Name,Sector,Asset Class,Market Value,Weight (%),Notional Value,Shares,CUSIP
"NVDA","NVIDIA CORP","Information Technology","Equity","60,412,345,678.11","60.41","60,412,345,678.11","1,000.00","6"
"BRK B","BERKSHIRE","Financials","Equity","39,510,000,000.00","39.51","39,510,000,000.00","2,000.00","0"
"-","USD CASH","Cash and/or Derivatives","Cash","80,000,000.00","0.08","80,000,000.00","80,000,000.00","-"
"-","MARGIN","Cash and/or Derivatives","Cash","0.00","0.00","0.00","0.00","-"

"The content contained herein is owned or licensed by others, and may not be copied."
"\N{COPYRIGHT SIGN}2026. All rights reserved. iSHARES is a registered mark."
"""
ARK = """date,fund,company,ticker,cusip,shares,"market value ($)","weight (%)"
11/20/2026,ARKX,"TESLA INC",TSLA,88160R101,"2,000","$700,000.00",60.11%
11/20/2026,ARKX,"COINBASE GLOBAL",COIN,19260Q107,"1,000","$464,000.00",39.85%
11/20/2026,ARKX,"DREYFUS GOVT CASH",,X9USDDGCM,"500","$500.00",0.00%
11/20/2026,ARKX,"US DOLLAR",,,"500","$465.00",0.04%

"Investors should carefully consider the investment objectives and risks, as well as charges and expenses."
"""
INVESCO = """Fund Ticker,Security Identifier,Holding Ticker,Shares/Par Value,MarketValue,Weight,Name,Class,Date
QQQX,67066G104,NVDA,"1,000","180,000.00",60.000,NVIDIA Corp,Common Stock,11/20/2026
QQQX,594918104,MSFT,"100","50,000.00",40.000,Microsoft Corp,Common Stock,11/20/2026
"""
GLOBAL_X = """Global X Some ETF,,,,
Fund Holdings Data as of 11/20/2026,,,,
% of Net Assets,Ticker,Name,SEDOL,Market Value ($)
60.10,NVDA,NVIDIA CORP,2379504,"1,000"
39.90,MSFT,MICROSOFT,2588173,"500"
"""
GERMAN = "\ufeffTicker;Bezeichnung;Gewichtung (%)\r\nSPY;Aktien;60,5\r\nAGG;Anleihen;39,5\r\nGesamt;;100,0\r\n"
SHEET = "Model portfolio,,\n,,\nSymbol,What,Target\nNYSEARCA:SPY,Stocks,60.0%\nNYSEARCA:AGG,Bonds,40.0%\n,Total,100.0%"
GOOD: dict[str, tuple[str, dict[str, str], date | None]] = {
    "iShares": (ISHARES, {"NVDA": "0.6041", "BRK B": "0.3951", "CASH_USD": "0.0008"}, date(2026, 11, 20)),
    "ARK": (ARK, {"TSLA": "0.6011", "COIN": "0.3985", "CASH_USD": "0.0004"}, date(2026, 11, 20)),
    "Invesco": (INVESCO, {"NVDA": "0.6", "MSFT": "0.4"}, date(2026, 11, 20)),
    "Global X": (GLOBAL_X, {"NVDA": "0.601", "MSFT": "0.399"}, date(2026, 11, 20)),
    "German": (GERMAN, {"SPY": "0.605", "AGG": "0.395"}, None),
    "published spreadsheet": (SHEET, {"SPY": "0.6", "AGG": "0.4"}, None),
    "Excel text": ('Symbol,Weight\n"=""SPY""",60%\n"=""AGG""",40%\n', {"SPY": "0.6", "AGG": "0.4"}, None),
    "sep line": ("sep=;\nSymbol;Weight\nSPY;0,6\nAGG;0,4\n", {"SPY": "0.6", "AGG": "0.4"}, None),
    "groups": (
        "Symbol,Weight\nEquities,\nSPY,60%\nFixed income,\nAGG,40%\nTotal,100%\n",
        {"SPY": "0.6", "AGG": "0.4"},
        None,
    ),
    "subtotals": (
        "Symbol,Weight\nSPY,60\nSubtotal,60\nAGG,40\nSubtotal,40\nTotal,100\n",
        {"SPY": "0.6", "AGG": "0.4"},
        None,
    ),
    "zero": ("Symbol,Weight\nSPY,100%\nAGG,0\n", {"SPY": "1"}, None),
    "cash": ("Symbol,Weight\nSPY,0.9\nCash,0.1\n", {"SPY": "0.9", "CASH": "0.1"}, None),
    "two lines of cash": (
        "Symbol,Weight\nSPY,90\nCash & equivalents,6\nCash/other,4\n",
        {"SPY": "0.9", "CASH_USD": "0.1"},
        None,
    ),
    "Markdown": ("| Symbol | Weight |\n|---|---:|\n| SPY | 60% |\n| AGG | 40% |\n", {"SPY": "0.6", "AGG": "0.4"}, None),
    "vendor": ("Ticker,% Portfolio\nSPY US,60\nBRK/B US Equity,40\n", {"SPY": "0.6", "BRK B": "0.4"}, None),
    "purchases": (
        "Symbol,Weight,Date\nSPY,60%,2026-01-02\nAGG,40%,2026-11-20\n",
        {"SPY": "0.6", "AGG": "0.4"},
        None,
    ),
    "sentence": ("Data as of market close Nov 20 2026\nSymbol,Weight\nSPY,100%\n", {"SPY": "1"}, date(2026, 11, 20)),
    "date above": ("Date: 2026-11-20\nSymbol,Weight\nSPY,100%\n", {"SPY": "1"}, date(2026, 11, 20)),
    "no date above": ("Date range: 1/2/2026\nSymbol,Weight\nSPY,100%\n", {"SPY": "1"}, None),
    "comma in the date": ("Data as-of Nov. 20, 2026\nSymbol,Weight\nSPY,100%\n", {"SPY": "1"}, date(2026, 11, 20)),
    "year first": ("As of 2026/11/20\nSymbol,Weight\nSPY,100%\n", {"SPY": "1"}, date(2026, 11, 20)),
    "year first, dots": ("As of,2026.11.20\nSymbol,Weight\nSPY,100%\n", {"SPY": "1"}, date(2026, 11, 20)),
    "space before a quote": ('Symbol, Weight\n"SPY", "60%"\n"AGG", "40%"\n', {"SPY": "0.6", "AGG": "0.4"}, None),
    "percent of something": ("Ticker,NAV,% of NAV\nSPY,1,60\nAGG,2,40\n", {"SPY": "0.6", "AGG": "0.4"}, None),
    "JSON in the manner of JavaScript": (
        '{"asOfDate": "2026-11-20", "composition": [{"tickerSymbol": "SPY", "targetPercent": 100}]}',
        {"SPY": "1"},
        date(2026, 11, 20),
    ),
    "JSON one deeper": (
        '{"portfolio": {"name": "mine", "as_of": "2026-11-20", "holdings": [{"ticker": "SPY", "weight": 1}]}}',
        {"SPY": "1"},
        date(2026, 11, 20),
    ),
    "JSON list of pairs": ('{"targets": [{"SPY": 60}, {"AGG": 40}]}', {"SPY": "0.6", "AGG": "0.4"}, None),
    "as of nothing": ("As of,today\nSymbol,Weight\nSPY,100%\n", {"SPY": "1"}, None),
    "JSON pairs": ('[["SPY", 0.6], ["AGG", 0.4]]', {"SPY": "0.6", "AGG": "0.4"}, None),
    "JSON cells": (
        '{"values": [["Mine"], ["As of", "2026-11-20"], ["What", "Ticker", "Target"], ["x", "SPY", "100%"]]}',
        {"SPY": "1"},
        date(2026, 11, 20),
    ),
    "JSON by symbol": (
        '{"symbols": {"SPY": {"weight": 0.6, "cap": null}, "AGG": {"weight": 0.4}}}',
        {"SPY": "0.6", "AGG": "0.4"},
        None,
    ),
    "JSON data": ('{"data": [{"symbol": "SPY", "weight": 1}]}', {"SPY": "1"}, None),
    "JSON": ('{"SPY": 0.6, "AGG": 0.4}', {"SPY": "0.6", "AGG": "0.4"}, None),
    "JSON rows": (
        '[{"ticker": "SPY", "name": 1, "weight": 60}, {"ticker": "AGG", "weight": 40}]',
        {"SPY": "0.6", "AGG": "0.4"},
        None,
    ),
}
REFUSED = {
    "empty": ("", "allocations_empty: the document is empty"),
    "web page": ("<!DOCTYPE html><html>Sign in", "a web page"),
    "no header": ("SPY,60\nAGG,40\n", "'Symbol or Ticker' and 'Weight or Allocation'"),
    "ambiguous weights": ("Symbol,Weight,Target\nSPY,60%,50%\n", "'Weight' and 'Target' may all be the weights"),
    "ambiguous symbols": ("Symbol,Ticker,Weight\nSPY,SPX,100%\n", "'Symbol' and 'Ticker' may all be the symbols"),
    "percent or fraction": ("Symbol,Weight\nSPY,0.5\nAGG,0.3\n", "sum to 0.8: say whether they are percent"),
    "percent that are fractions": ("Symbol,Weight (%)\nSPY,0.6\nAGG,0.4\n", "as fractions do"),
    "some signs": ("Symbol,Weight\nSPY,60%\nAGG,40\n", "some of its weights have a percent sign"),
    "both marks": ("Symbol;Weight\nSPY;60.5%\nAGG;39,5%\n", "different decimal marks"),
    "unquoted comma": ("Symbol,Weight\nSPY,60,5\nAGG,39,5\n", "more cells than the header"),
    "no number": ("Symbol,Weight\nSPY,60%\nAGG,#N/A\n", "line 3: the weight '#N/A' is no number"),
    "no weight": ("Symbol,Weight\nSPY,60%\nAGG\n", "line 3: 'AGG' has no weight"),
    "no symbol": ("Name,Symbol,Weight\nS,SPY,60%\nDollar General,,40%\n", "line 3 has a weight and no symbol"),
    "strange symbol": ("Symbol,Weight\nS\u202ePY,100%\n", "which is no symbol"),
    "twice": ("Symbol,Weight\nBRK.B,60%\nBRK-B,40%\n", "allocations_duplicate: more than one target weight: BRK B"),
    "negative": ("Symbol,Weight\nSPY,160%\nAGG,(60%)\n", "allocations_range"),
    "leverage": ("Symbol,Weight\nSPY,90%\nAGG,60%\n", "allocations_sum"),
    "nothing": ("Symbol,Weight\n", "allocations_empty"),
    "nothing but zeros": ("Symbol,Weight\nSPY,0\nAGG,0.0\n", "allocations_empty"),
    "only zeros": ("Symbol,Weight (%)\nSPY,0\n", "allocations_empty"),
    "total": ("Symbol,Weight\nSPY,60%\nTotal,100%\n", "the rows above sum to 60, their total says 100"),
    "broken quote": ('Symbol,Weight\nSPY,60%\n"AGG,40%\n', "it is no CSV"),
    "two delimiters": ("Symbol,Weight\nSPY,100%\nSymbol;Weight\nAGG;100%\n", "separated in more than one way"),
    "broken off": ("Weight,Symbol,Name\n60%,SPY,x\n40%,AG", "it may have broken off"),
    "workbook": ("PK\x03\x04", "it is a workbook"),
    "old workbook": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "it is a workbook"),
    "PDF": ("%PDF-1.7\n", "or a PDF"),
    "part of a page": ("<table><tr><td>SPY", "a web page"),
    "dollars of a fund": ("Ticker,Market value\nSPY,60\nAGG,40\n", "'Symbol or Ticker' and 'Weight or Allocation'"),
    "JSON same pair twice": ('[{"SPY": 60}, {"SPY": 40}]', "allocations_duplicate"),
    "ISIN": ("Symbol,Weight\nUS0378331005,100%\n", "which is no symbol of a stock"),
    "name": ("Symbol,Weight\nNVIDIA CORP,100%\n", "which is no symbol of a stock"),
    "elsewhere": ("Symbol,Weight\nVOD LN Equity,100%\n", "which is no symbol of a stock"),
    "no day above": ("As of 31.31.2026\nSymbol,Weight\nSPY,100%\n", "is no date"),
    "no form of day above": ("As of week 47\nSymbol,Weight\nSPY,100%\n", "is no date"),
    "two days": ("Symbol,Weight,As of\nSPY,60%,2026-11-19\nAGG,40%,2026-11-20\n", "of several days"),
    "which day": ("Symbol,Weight,Date\nSPY,100%,1/2/2026\n", "may be two days: say day_first"),
    "no day": ("Symbol,Weight,Date\nSPY,100%,soon\n", "'soon' is no date"),
    "no such day": ("Symbol,Weight,Date\nSPY,100%,2026-02-30\n", "is no date"),
    "broken JSON": ('{"SPY": 0.6', "it is no JSON"),
    "JSON key twice": ('{"SPY": 0.6, "SPY": 0.4}', "a key is there twice"),
    "JSON not a number": ('{"SPY": NaN}', "it is no JSON"),
    "JSON true": ('{"SPY": true}', "'SPY' is true"),
    "JSON nested": ('{"SPY": 0.6, "AGG": {"weight": 0.4}}', "is no number"),
    "JSON lists": ('[["SPY", 0.6, 1], ["AGG", 0.4, 1]]', "a list of lists without a header"),
    "JSON list": ("[1, 2]", "neither a list of rows nor"),
    "JSON two tables": ('{"weights": {"SPY": 1}, "targets": {"AGG": 1}}', "may both be the targets"),
    "bytes": ("Symbol,Weight\0", "it is no text"),
}  # fmt: skip


def weights(text: str | bytes, **table: object) -> dict[str, Decimal]:
    body = text if isinstance(text, bytes) else text.encode()
    return {entry.symbol: entry.weight for entry in read_table("s", body, TableForm(**table)).weights}  # type: ignore[arg-type]


@pytest.mark.parametrize(("text", "expected", "day"), GOOD.values(), ids=GOOD)
def test_published_tables_are_read_as_they_are_meant(text: str, expected: dict[str, str], day: date | None) -> None:
    read = read_table("s", text.encode(), TableForm())
    assert {entry.symbol: entry.weight for entry in read.weights} == {one: Decimal(it) for one, it in expected.items()}
    assert read.as_of == day


@pytest.mark.parametrize(("text", "reason"), REFUSED.values(), ids=REFUSED)
def test_doubtful_tables_are_refused_with_the_reason(text: str | bytes, reason: str) -> None:
    with pytest.raises(Refused) as refused:
        weights(text)
    assert reason in str(refused.value)


def test_the_owner_says_what_the_table_does_not() -> None:
    several = "Instrument,Now,Wanted\nSPY,10%,60%\nAGG,90%,40%\n"
    assert weights(several, symbol="instrument", weight=" WANTED") == {"SPY": Decimal("0.6"), "AGG": Decimal("0.4")}
    part = "Symbol,Weight\nSPY,0.5\nAGG,0.3\n"
    assert sum(weights(part, unit=Unit.FRACTION).values()) == Decimal("0.8")
    assert sum(weights(part.replace("0.", ""), unit=Unit.PERCENT).values()) == Decimal("0.08")
    with pytest.raises(Refused, match="percent signs, and the accounts file says fraction"):
        weights("Symbol,Weight\nSPY,100%\n", unit=Unit.FRACTION)
    with pytest.raises(Refused, match="is no number"):
        weights("Symbol;Weight\nSPY;60,5\nAGG;39,5\n", decimal_mark=".")
    with pytest.raises(Refused, match="no column is known as that of the symbols"):
        weights('[{"what": "SPY", "weight": 1}]')


@pytest.mark.parametrize(
    ("text", "day_first", "day"),
    [
        ("1/2/2026", True, date(2026, 2, 1)),
        ("1/2/2026", False, date(2026, 1, 2)),
        ("20/11/2026", None, date(2026, 11, 20)),
        ("11/20/2026", None, date(2026, 11, 20)),
        ("3/3/2026", None, date(2026, 3, 3)),
        ("01.02.2026", None, date(2026, 2, 1)),
        ("20261120", None, date(2026, 11, 20)),
        ("11/20/26", None, date(2026, 11, 20)),
        ("2026-11-20T16:00:00-05:00", None, date(2026, 11, 20)),
        ("20-Nov-2026", None, date(2026, 11, 20)),
        ("20-Nov-26", None, date(2026, 11, 20)),
        ("2026/11/20", None, date(2026, 11, 20)),
        ("2026.11.20", None, date(2026, 11, 20)),
        ("2026-1-5", None, date(2026, 1, 5)),
        ("Friday, November 20th, 2026", None, date(2026, 11, 20)),
        ("Sept 3, 2026", None, date(2026, 9, 3)),
        ("November 20, 2026", None, date(2026, 11, 20)),
    ],
)
def test_dates(text: str, day_first: bool | None, day: date) -> None:
    table = f'Symbol,Weight,As of\nSPY,100%,"{text}"\n'
    assert read_table("s", table.encode(), TableForm(day_first=day_first)).as_of == day


def test_a_column_of_dates_that_the_owner_names_is_complete() -> None:
    table = "Symbol,Weight,When\nSPY,60%,2026-11-20\nAGG,40%,\n"
    assert weights(table) == {"SPY": Decimal("0.6"), "AGG": Decimal("0.4")}
    with pytest.raises(Refused, match="line 3 has no date"):
        weights(table, as_of="when")


def test_yaml_is_read_digit_by_digit() -> None:
    text = "as_of: 2026-11-20\nweights:\n  SPY: 0.60\n  'ON': 40e-2\n"
    assert weights(text, form=Form.YAML) == {"SPY": Decimal("0.6"), "ON": Decimal("0.4")}
    for wrong in ("weights: [", "weights:\n  SPY: 1\n  SPY: 1\n", "weights: {SPY: *a}"):
        with pytest.raises(Refused, match="allocations_malformed"):
            weights(wrong, form=Form.YAML)
