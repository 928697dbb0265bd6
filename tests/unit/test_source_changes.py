"""A table that shrinks, jumps or goes back is refused by name; the accounts file says where a strategy's table is."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from rebalancer.config.accounts_file import Accounts, load_accounts
from rebalancer.config.settings import Settings
from rebalancer.config.signal_settings import SignalSettings
from rebalancer.domain.accounts import TradingMode
from rebalancer.domain.commands import Command
from rebalancer.domain.errors import ConfigurationError, Refused
from rebalancer.domain.portfolio import Targets
from rebalancer.domain.sources import ChangeLimits, Form, SourceKind, Unit, digest
from rebalancer.domain.units import Ratio
from rebalancer.risk.source_changes import check_change
from tests.unit.test_planning import targets

TODAY = date(2026, 11, 20)
ACCOUNT = "accounts: [{account_id: DU1, type: paper, strategy_name: mine}]\n"
Loaded = Callable[[str], Accounts]


def judge(before: dict[str, str], after: dict[str, str], day: date | None = TODAY, **limits: Decimal) -> None:
    known = {symbol: Decimal(weight) for symbol, weight in before.items()}
    check_change(known, TODAY, Targets("s", tuple(targets(**after)), day), ChangeLimits(**limits))  # type: ignore[arg-type]


EQUAL = {"A": "0.25", "B": "0.25", "C": "0.25", "D": "0.25"}


def test_a_first_table_is_compared_with_nothing() -> None:
    judge({}, {"A": "1"})


def test_a_table_that_loses_most_of_its_symbols_is_refused() -> None:
    judge(EQUAL, {"A": "0.5", "B": "0.5"})
    with pytest.raises(Refused, match="allocations_shrunk: 1 symbols are left of 4; allowed are 50 %"):
        judge(EQUAL, {"A": "1"})
    judge(EQUAL, {"A": "1"}, least_symbols=Decimal(0), most_turnover=Decimal(2))
    with pytest.raises(Refused, match="allocations_shrunk"):
        judge(EQUAL, {"A": "0.5", "B": "0.5", "C": "0"}, least_symbols=Decimal("0.6"))


def test_a_table_that_jumps_is_refused() -> None:
    judge(EQUAL, {"A": "0.25", "B": "0.25", "X": "0.25", "Y": "0.25"})
    with pytest.raises(Refused, match=r"allocations_jumped: 150\.0 % of the weights would be sold and bought"):
        judge(EQUAL, {"A": "0.25", "X": "0.25", "Y": "0.25", "Z": "0.25"})
    judge({"A": "1"}, {"B": "1"}, most_turnover=Decimal(2))


def test_an_older_table_than_the_one_before_is_refused() -> None:
    judge(EQUAL, EQUAL, None)
    with pytest.raises(Refused, match="allocations_backdated: the table is of 2026-11-19"):
        judge(EQUAL, EQUAL, date(2026, 11, 19))


def test_the_digest_is_of_the_weights_alone() -> None:
    assert digest(targets(A="0.60", B="0.4")) == digest(targets(B="0.400", A="0.6", C="0"))
    assert digest(targets(A="0.6", B="0.4")) != digest(targets(A="0.4", B="0.6"))


@pytest.fixture
def loaded(tmp_path: Path) -> Loaded:
    def load(text: str) -> Accounts:
        path = tmp_path / "accounts.yaml"
        path.write_text(ACCOUNT + text, encoding="utf-8")
        return load_accounts(path, {})

    return load


def refusals(loaded: Loaded, text: str) -> str:
    with pytest.raises(ConfigurationError) as refused:
        loaded(text)
    return "\n".join(refused.value.problems)


def test_a_file_beside_the_accounts(loaded: Loaded, tmp_path: Path) -> None:
    accounts = loaded("sources: {mine: {file: targets.csv, signature: targets.sig}}")
    (source,) = accounts.tables(TradingMode.PAPER)
    assert (source.kind, source.place) == (SourceKind.FILE, str(tmp_path / "targets.csv"))
    assert source.signature == str(tmp_path / "targets.sig")
    assert (source.every_s, source.on_change, source.limits) == (300, Command.REBALANCE, ChangeLimits())
    assert accounts.channels(TradingMode.PAPER) == ()


def test_a_url_with_everything_said(loaded: Loaded) -> None:
    source = loaded(
        """
sources:
  mine:
    url: https://example.org/a/secret/path?output=csv
    format: csv
    columns: {symbol: Instrument, weight: Wanted, as_of: Day}
    weights: percent
    decimal_mark: ","
    day_first: true
    every_minutes: 0.5
    signature: X-Signature
    on_change: print-rebalance
    min_symbols_percent: 80
    max_turnover_percent: 200
"""
    ).sources["mine"]
    assert (source.kind, source.shown, source.signature) == (SourceKind.URL, "example.org", "X-Signature")
    assert (source.table.form, source.table.unit, source.table.day_first) == (Form.CSV, Unit.PERCENT, True)
    assert (source.table.symbol, source.table.weight, source.table.as_of) == ("Instrument", "Wanted", "Day")
    assert (source.every_s, source.on_change) == (30, Command.PRINT_REBALANCE)
    assert source.limits == ChangeLimits(Ratio(Decimal("0.8")), Ratio(Decimal(2)))


def test_without_sources_everything_is_as_it_was(loaded: Loaded) -> None:
    accounts = loaded("")
    assert (accounts.tables(TradingMode.PAPER), accounts.channels(TradingMode.PAPER)) == ((), ("mine",))


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        ("{}", "needs either file or url"),
        ("{file: a.csv, url: https://x.org}", "needs either file or url"),
        ("{url: http://example.org/a.csv}", "in which anybody could change it: use https://"),
        ("{url: https://ada:secret@example.org/a.csv}", "with a name or password in it"),
        ("{url: ftp://example.org/a.csv}", "use https:// URL"),
        ("{url: https://example.org:0/a.csv}", "an impossible port"),
        ("{url: https://example.org, signature: a b}", "use the name of a header"),
        ("{file: a.csv, weights: percents}", "use percent or fraction"),
        ("{file: a.csv, on_change: cancel-orders}", "use rebalance or print-rebalance"),
        ("{file: a.csv, every_minutes: 0}", "use 0.01 to 1440"),
        ("{file: a.csv, columns: {ticker: A}}", "ticker is unknown"),
        ("{fil: a.csv}", "did you mean file?"),
        ("a.csv", "has to be a mapping with the keys"),
    ],
)
def test_a_wrong_source_is_refused_with_its_line(loaded: Loaded, entry: str, problem: str) -> None:
    told = refusals(loaded, f"sources: {{mine: {entry}}}")
    assert problem in told
    assert "accounts.yaml:2: sources.mine" in told


def test_wrong_names_and_forms(loaded: Loaded) -> None:
    assert "has to map strategies" in refusals(loaded, "sources: [a]")
    assert "a letter or digit, then text without spaces" in refusals(loaded, "sources: {'a b': {file: x}}")
    assert loaded("sources: {mine: {url: 'http://127.0.0.1:8000/a.csv'}}").sources["mine"].shown == "127.0.0.1"


def test_what_decides_how_a_table_is_read_is_its_definition(loaded: Loaded) -> None:
    first = loaded("sources: {mine: {file: a.csv}}").sources["mine"].definition
    assert first == loaded("sources: {mine: {file: a.csv, every_minutes: 1}}").sources["mine"].definition
    assert first != loaded("sources: {mine: {file: b.csv}}").sources["mine"].definition
    assert first != loaded("sources: {mine: {file: a.csv, weights: percent}}").sources["mine"].definition


def test_secrets_by_strategy() -> None:
    settings = Settings.from_flat({"source_secrets": "mine=0123456789abcdef,other=fedcba9876543210=="})
    assert settings.signals.secret_of("mine") == "0123456789abcdef"
    assert settings.signals.secret_of("other") == "fedcba9876543210=="
    assert settings.signals.secret_of("neither") is None
    assert {"0123456789abcdef", "fedcba9876543210=="} <= settings.secret_values()
    assert "0123" not in repr(settings)
    for wrong in ("mine=short", "mine", "=0123456789abcdef", "a=0123456789abcdef,a=0123456789abcdef"):
        told = "; ".join(SignalSettings.model_validate({"source_secrets": wrong}).contradictions())
        assert told.startswith("SOURCE_SECRETS: ")
        assert wrong not in told
