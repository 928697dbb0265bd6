"""The same table, however it is arranged and written, is the same targets; and what is doubtful is none."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from rebalancer.domain.errors import Refused
from rebalancer.domain.portfolio import Targets
from rebalancer.domain.sources import Form, TableForm, Unit, digest
from rebalancer.risk.input_checks import check_targets
from rebalancer.sources.tables import read_table
from tests.property.effort import examples

TICKERS = ("SPY", "AGG", "GLD", "BRK.B", "VXX", "T", "QQQ", "IEF", "XLE", "SHY")
DAY = date(2026, 11, 20)
TODAY = date(2026, 11, 27)


@dataclass(frozen=True)
class Truth:
    """Basis points by symbol, which sum to 10,000."""

    points: tuple[tuple[str, int], ...]

    @property
    def digest(self) -> str:
        return digest(read_table("s", self.json().encode(), TableForm()).weights)

    def json(self) -> str:
        return json.dumps({symbol: points / 10_000 for symbol, points in self.points})


@st.composite
def truths(draw: st.DrawFn) -> Truth:
    symbols = draw(st.lists(st.sampled_from(TICKERS), unique=True, min_size=1, max_size=len(TICKERS)))
    cuts = draw(st.lists(st.integers(1, 9_999), unique=True, min_size=len(symbols) - 1, max_size=len(symbols) - 1))
    edges = [0, *sorted(cuts), 10_000]
    return Truth(tuple((symbol, edges[n + 1] - edges[n]) for n, symbol in enumerate(symbols)))


def number(points: int, unit: Unit, mark: str) -> str:
    value = Decimal(points).scaleb(-2 if unit is Unit.PERCENT else -4)
    return f"{value:f}".replace(".", mark)


ANY_ORDER = st.permutations(range(4))
"""Of the columns: symbol, name, weight, date."""


@st.composite
def csv_tables(draw: st.DrawFn, truth: Truth, orders: st.SearchStrategy[Sequence[int]] = ANY_ORDER) -> bytes:
    delimiter, mark = draw(st.sampled_from([(",", "."), (",", ","), (";", ","), (";", "."), ("\t", "."), ("|", ",")]))
    unit = draw(st.sampled_from(Unit))
    sign = unit is Unit.PERCENT and draw(st.booleans())
    heads = {Unit.PERCENT: ["Weight (%)", "Weight", "% of Net Assets", "Gewicht (%)", "allocation_pct"]}
    heads[Unit.FRACTION] = ["Weight", "target weight", "Allocation", "weight (decimal)"]
    head = draw(st.sampled_from(heads[unit]))
    name = draw(st.sampled_from(["Symbol", "ticker", "\ufeffTicker", "HOLDING TICKER ", "Ticker symbol"]))
    prefix = draw(st.sampled_from(["", "", "NYSEARCA:"]))
    space = draw(st.sampled_from(["", " ", "\N{NO-BREAK SPACE}"]))
    rows = [
        [
            f"{prefix}{symbol}",
            "Fund, of something; or | other",
            f"{number(points, unit, mark)}{space}{'%' if sign else ''}",
            str(DAY),
        ]
        for symbol, points in draw(st.permutations(truth.points))
    ]
    if draw(st.booleans()):
        rows.append(["", "Total", number(10_000, unit, mark) + ("%" if sign else ""), ""])
    order = draw(orders)
    header = [name, "Name", head, "as_of"]
    lines = [[row[place] for place in order] for row in (header, *rows)]
    if draw(st.booleans()):
        lines = [["Holdings of a fund"], [], *lines, [], ["Words, and more of them: nothing is promised."]]
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, quoting=draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))).writerows(
        lines
    )
    encoding = draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1252"]))
    return text.getvalue().replace("\ufeff", "" if encoding == "cp1252" else "\ufeff").encode(encoding)


@st.composite
def other_tables(draw: st.DrawFn, truth: Truth) -> tuple[bytes, Form]:
    unit = draw(st.sampled_from(Unit))
    points = draw(st.permutations(truth.points))
    symbol, weight = draw(
        st.sampled_from([("symbol", "weight"), ("ticker", "allocation"), ("Symbol", "Target weight")])
    )
    rows = [{"name": "x", symbol: one, weight: float(number(many, unit, "."))} for one, many in points]
    pairs = {one: float(number(many, unit, ".")) for one, many in points}
    content = draw(
        st.sampled_from(
            [
                {"as_of": str(DAY), "allocations": rows},
                {"weights": pairs, "as_of": f"{DAY}T16:00:00Z"},
                {"status": "success", "data": {"allocations": rows, "as_of": str(DAY), "name": "s"}},
                {**pairs, "as_of": str(DAY)},
                [{**row, "as_of": str(DAY)} for row in rows],
            ]
        )
    )
    # JSON is YAML.
    return json.dumps(content, indent=draw(st.sampled_from([None, 2]))).encode(), draw(
        st.sampled_from([Form.JSON, Form.YAML])
    )


def judged(targets: Targets) -> None:
    check_targets(targets, TODAY, timedelta(days=100), allow_cash_share=False)


@examples(200)
@given(st.data())
def test_any_csv_of_a_table_is_the_same_targets(data: st.DataObject) -> None:
    truth = data.draw(truths())
    read = read_table("s", data.draw(csv_tables(truth)), TableForm())
    assert (digest(read.weights), read.as_of) == (truth.digest, DAY)
    assert [entry.symbol for entry in read.weights] == sorted(entry.symbol for entry in read.weights)
    judged(read)


@examples(100)
@given(st.data())
def test_any_json_or_yaml_of_a_table_is_the_same_targets(data: st.DataObject) -> None:
    truth = data.draw(truths())
    body, form = data.draw(other_tables(truth))
    read = read_table("s", body, TableForm(form=form))
    assert (digest(read.weights), read.as_of) == (truth.digest, DAY)


@examples(200)
@given(st.data())
def test_a_table_that_breaks_off_is_refused_or_misses_next_to_nothing(data: st.DataObject) -> None:
    truth = data.draw(truths())
    body = data.draw(csv_tables(truth, st.sampled_from([(0, 2, 3, 1), (0, 1, 2, 3), (1, 0, 2, 3), (2, 0, 1, 3)])))
    part = body[: data.draw(st.integers(0, len(body)))]
    try:
        read = read_table("s", part, TableForm())
        judged(read)
    except Refused:
        return
    true = {entry.symbol: entry.weight for entry in read_table("s", truth.json().encode(), TableForm()).weights}
    found = {entry.symbol: entry.weight for entry in read.weights}
    missed = sum(abs(true.get(one, Decimal(0)) - found.get(one, Decimal(0))) for one in true.keys() | found.keys())
    assert missed <= Decimal("0.0101")


@examples(200)
@given(st.data())
def test_a_wrong_cell_is_refused(data: st.DataObject) -> None:
    truth = data.draw(truths())
    rows = [[symbol, f"{Decimal(points).scaleb(-2)}%"] for symbol, points in truth.points]
    place = data.draw(st.integers(0, len(rows) - 1))
    column, wrong = data.draw(
        st.sampled_from(
            [
                *((1, wrong) for wrong in ("", "#N/A", "-5%", "Loading...", "NaN", "1e99", "inf", "2 0 %")),
                *((0, wrong) for wrong in ("", "#REF!", "SPY\u202e", "<b>SPY</b>", "NOWHERE:SPY", "SPY QQQ!")),
            ]
        )
    )
    rows[place][column] = wrong
    text = "\n".join(",".join(row) for row in [["Symbol", "Weight"], *rows])
    with pytest.raises(Refused):
        judged(read_table("s", text.encode(), TableForm()))


@examples(100)
@given(truths(), st.integers(0, 9))
def test_a_symbol_that_is_there_twice_is_refused(truth: Truth, place: int) -> None:
    symbol, points = truth.points[place % len(truth.points)]
    assume(points > 1)
    rows = [(one, many) for one, many in truth.points if one != symbol]
    rows += [(symbol, 1), (symbol.lower().replace(".", " "), points - 1)]
    text = "\n".join(f"{one},{Decimal(many).scaleb(-2)}%" for one, many in [*rows])
    with pytest.raises(Refused, match="allocations_duplicate"):
        read_table("s", f"Symbol,Weight\n{text}".encode(), TableForm())


@examples(300)
@given(
    st.one_of(
        st.binary(max_size=300),
        st.text(alphabet='Symbol,Weight;\t|"\n\r SPYAG%0123456789.-()eE{}[]:', max_size=200).map(
            lambda text: f"Symbol,Weight\n{text}".encode()
        ),
        st.recursive(
            st.one_of(st.none(), st.booleans(), st.floats(), st.text(max_size=8), st.sampled_from(TICKERS)),
            lambda inner: st.one_of(
                st.lists(inner, max_size=4),
                st.dictionaries(st.sampled_from(["symbol", "weight", "data", "as_of"]), inner),
            ),
        ).map(lambda content: json.dumps(content).encode()),
    ),
    st.sampled_from([None, *Form]),
)
def test_whatever_comes_is_refused_or_passes_the_gate_of_weights(body: bytes, form: Form | None) -> None:
    try:
        read = read_table("s", body, TableForm(form=form))
    except Refused:
        return
    assert read.weights
    assert all(0 < entry.weight <= 1 for entry in read.weights)
    assert sum(entry.weight for entry in read.weights) <= Decimal("1.01")
