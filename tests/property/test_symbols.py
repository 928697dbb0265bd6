"""How symbols are written, and which contract each stands for, whatever the broker lists and the account holds."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rebalancer.domain.orders import Definitions, Instrument
from rebalancer.domain.symbols import Pin, canonical, is_american, is_cash, is_national, listed_at
from rebalancer.risk.identity import KnownContracts, identify

TICKERS = st.sampled_from(["AAA", "BBB", "CASH"])
EXCHANGES = st.sampled_from(["NYSE", "NASDAQ", "ISLAND", "PINK", "LSEETF", "EBS", "VALUE", ""])


def instrument(contract_id: int, symbol: str, exchange: str) -> Instrument:
    return Instrument(symbol, contract_id, exchange, Decimal("0.01"), "US/Eastern", "", "")


@st.composite
def worlds(draw: st.DrawFn) -> tuple[KnownContracts, dict[int, str], dict[str, Pin]]:
    """A few contracts of a few tickers: some found by their symbol, some by id only, some not at all; some held."""
    numbers = draw(st.lists(st.integers(1, 9), unique=True, max_size=7))
    every = [instrument(number, draw(TICKERS), draw(EXCHANGES)) for number in numbers]
    listed = {one.contract_id for one in every if draw(st.booleans())}
    listings: dict[str, list[Instrument]] = {}
    for one in every:
        if one.contract_id in listed:
            listings.setdefault(one.symbol, []).append(one)
    by_id = {one.contract_id: one for one in every if one.contract_id not in listed}
    held = draw(st.dictionaries(st.integers(1, 9), TICKERS, max_size=4))
    pins = draw(st.dictionaries(TICKERS, st.sampled_from([Pin(exchange="NYSE"), Pin(contract_id=3)]), max_size=2))
    return KnownContracts(listings, by_id), held, pins


def identified(world: tuple[KnownContracts, dict[int, str], dict[str, Pin]]) -> Definitions:
    known, held, pins = world
    return identify(["AAA", "BBB", "CASH"], held, known, pins)


@given(worlds())
def test_every_symbol_has_one_answer(world: tuple[KnownContracts, dict[int, str], dict[str, Pin]]) -> None:
    found = identified(world)
    answers = [*found.instruments, *found.unknown, *found.stale]
    assert sorted(answers) == ["AAA", "BBB", "CASH"]


@given(worlds())
def test_what_would_be_traded_is_american_and_what_is_held(
    world: tuple[KnownContracts, dict[int, str], dict[str, Pin]],
) -> None:
    (_, held, pins), found = world, identified(world)
    for symbol, one in found.instruments.items():
        assert one.symbol == symbol
        assert is_american(one.primary_exchange)
        ours = [
            contract_id for contract_id, name in held.items() if name == symbol and contract_id not in found.foreign
        ]
        assert ours in ([], [one.contract_id]), "another contract of the symbol is held"
        elsewhere = [name for contract_id, name in held.items() if contract_id == one.contract_id and name != symbol]
        assert elsewhere == [], "it is held under another name"
        assert symbol in pins or not is_cash(symbol)


@given(worlds())
def test_foreign_holdings_are_those_that_are_listed_elsewhere(
    world: tuple[KnownContracts, dict[int, str], dict[str, Pin]],
) -> None:
    (known, held, _), found = world, identified(world)
    for contract_id in held:
        one = known.of(contract_id)
        assert (contract_id in found.foreign) is (one is not None and not is_american(one.primary_exchange))


@pytest.mark.parametrize("written", ["BRK.B", "BRK/B", "BRK-B", "BRK B"])
def test_a_class_is_one_letter_at_the_end(written: str) -> None:
    assert canonical(written) == "BRK B"


@pytest.mark.parametrize("symbol", ["ABC PRA", "ABC.CNT", "XYZ.OLD", "ABC/WS", "SPY", "A", "BRKB", "7UP.B"])
def test_everything_else_stays_as_it_is(symbol: str) -> None:
    assert canonical(symbol) == symbol


@given(st.from_regex(r"[A-Z][A-Z0-9]{0,4}([ ./-][A-Z]{1,3})?", fullmatch=True))
def test_writing_it_twice_changes_nothing(symbol: str) -> None:
    assert canonical(canonical(symbol)) == canonical(symbol)


@pytest.mark.parametrize("symbol", ["CASH", "USD", "EUR", "CHF", "CASH_USD", "USD.CASH", "$CASH", "USD-CASH"])
def test_names_of_cash(symbol: str) -> None:
    assert is_cash(symbol)


@pytest.mark.parametrize("symbol", ["SPY", "CASHX", "USDU", "COP", "PEN", "BRK B", "EURN", "", "-"])
def test_names_of_stocks(symbol: str) -> None:
    assert not is_cash(symbol)


def test_exchanges_go_by_several_names() -> None:
    assert {listed_at(name) for name in ("ISLAND", "NASDAQ", "NASDAQ.NMS", "nasdaq")} == {"NASDAQ"}
    assert is_national("ISLAND")
    assert is_american("PINK")
    assert not is_national("PINK")
    assert not any(is_american(name) for name in ("LSEETF", "EBS", "VALUE", "SMART", ""))
