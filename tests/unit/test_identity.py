"""Which contract a symbol stands for, by example; every sentence goes on record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

import pytest

from rebalancer.domain.orders import Definitions, Instrument
from rebalancer.domain.symbols import Pin
from rebalancer.risk.identity import KnownContracts, identify


def listing(contract_id: int, symbol: str = "AAA", exchange: str = "NYSE") -> Instrument:
    return Instrument(symbol, contract_id, exchange, Decimal("0.01"), "US/Eastern", "", "")


NEW_YORK, NASDAQ = listing(1), listing(2, exchange="NASDAQ")
LONDON, COUNTER, NOWHERE = listing(3, exchange="LSEETF"), listing(4, exchange="PINK"), listing(5, exchange="")
OTHER = listing(6, "BBB")


def found(
    listings: Sequence[Instrument],
    held: Mapping[int, str] | None = None,
    pin: Pin | None = None,
    by_id: Sequence[Instrument] = (),
    symbol: str = "AAA",
) -> Definitions:
    known = KnownContracts({symbol: listings}, {one.contract_id: one for one in by_id})
    return identify([symbol], held or {}, known, {symbol: pin} if pin else {})


@pytest.mark.parametrize(
    ("listings", "held", "chosen"),
    [
        ([NEW_YORK], {}, NEW_YORK),
        ([NEW_YORK, LONDON], {}, NEW_YORK),
        ([NEW_YORK, COUNTER], {}, NEW_YORK),
        ([COUNTER], {}, COUNTER),
        ([NEW_YORK, NASDAQ], {2: "AAA"}, NASDAQ),
        ([LONDON, COUNTER], {4: "AAA"}, COUNTER),
    ],
)
def test_the_held_us_listing_or_the_only_one(
    listings: Sequence[Instrument], held: Mapping[int, str], chosen: Instrument
) -> None:
    assert found(listings, held) == Definitions({"AAA": chosen}, {}, {}, {})


@pytest.mark.parametrize(
    ("listings", "pin", "said"),
    [
        ([], None, "is unknown"),
        ([LONDON, NOWHERE], None, "is not listed in the US: 3 at LSEETF, 5 at no exchange"),
        ([NEW_YORK, NASDAQ], None, "is ambiguous: 1 at NYSE, 2 at NASDAQ"),
        ([NEW_YORK], Pin(contract_id=9), "is pinned to contract 9, which is no stock in USD"),
        ([NEW_YORK], Pin(contract_id=6), "is pinned to contract 6, which is BBB"),
        ([LONDON], Pin(contract_id=3), "is pinned to contract 3, which is listed at LSEETF, not in the US"),
        ([NEW_YORK], Pin(exchange="NASDAQ"), "is pinned to NASDAQ, but there are: 1 at NYSE"),
        ([], Pin(exchange="NASDAQ"), "is pinned to NASDAQ, but there are: none"),
        ([NASDAQ, listing(7, exchange="ISLAND")], Pin(exchange="NASDAQ"), "2 at NASDAQ, 7 at ISLAND"),
    ],
)
def test_why_there_is_no_contract(listings: Sequence[Instrument], pin: Pin | None, said: str) -> None:
    answer = found(listings, pin=pin, by_id=[OTHER])
    assert answer == Definitions({}, {"AAA": answer.unknown["AAA"]}, {}, {})
    assert answer.unknown["AAA"].endswith(said)
    assert answer.unknown["AAA"].startswith("is ")


@pytest.mark.parametrize("pin", [Pin(contract_id=2), Pin(exchange="ISLAND"), Pin(exchange="NASDAQ")])
def test_a_pin_decides_between_listings(pin: Pin) -> None:
    assert found([NEW_YORK, NASDAQ], pin=pin).instruments == {"AAA": NASDAQ}


def test_a_name_of_cash_has_to_be_pinned() -> None:
    stock = listing(8, "CASH", "NASDAQ")
    said = "means cash; a stock of that name has to be pinned under instruments: in accounts.yaml"
    assert found([stock], symbol="CASH").unknown == {"CASH": said}
    assert found([stock], symbol="CASH", pin=Pin(exchange="NASDAQ")).instruments == {"CASH": stock}


def test_a_holding_of_another_contract_is_stale() -> None:
    said = "is held as contract 3 at PINK and 9, which has no definition, while AAA is contract 1 at NYSE"
    held = {3: "AAA", 9: "AAA"}
    old = listing(3, exchange="PINK")
    answer = found([NEW_YORK], held, Pin(contract_id=1), by_id=[old])
    assert answer == Definitions({}, {}, {}, {"AAA": said})


def test_a_listing_that_is_only_held_counts_too() -> None:
    assert found([], {1: "AAA"}, by_id=[NEW_YORK]).instruments == {"AAA": NEW_YORK}
    assert found([], {6: "AAA"}, by_id=[OTHER]).instruments == {}


def test_what_is_listed_elsewhere_is_left_alone_and_in_nobodys_way() -> None:
    answer = found([NEW_YORK, LONDON], {3: "AAA"})
    assert answer.foreign == {3: "contract 3 is listed at LSEETF, not in the US"}
    assert (answer.instruments, answer.stale) == ({"AAA": NEW_YORK}, {})


def test_a_holding_that_was_renamed_is_traded_under_neither_name() -> None:
    answer = found([NEW_YORK], {6: "AAA"}, by_id=[OTHER])
    said = "contract 6 is held as AAA, but is BBB"
    assert answer == Definitions({}, {}, {}, {"AAA": said, "BBB": said})
