"""Which contract a symbol stands for, asked of a gateway whose contracts are as treacherous as IBKR's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from rebalancer.domain.errors import GatewayUnavailable, Refused
from rebalancer.domain.orders import PriceStep
from rebalancer.domain.portfolio import OrderType, Side
from rebalancer.domain.symbols import Pin
from rebalancer.ibkr import Connection, ConnectionOptions, FixedClientId, IbkrBroker
from sandbox.gateway.behaviour import Delivery
from sandbox.gateway.exchange_events import SystemNotice
from sandbox.gateway.wire import Message
from tests.integration.ibkr.serving import SETUP, Script, ServedGateway, connected, executing, order, serving

EVENING, MORNING = datetime(2026, 11, 24, 1, 30, tzinfo=UTC), datetime(2026, 11, 24, 14, 30, tzinfo=UTC)
LONDON = {"zone": "GB-Eire", "opens": "08:00", "closes": "16:30"}


def one(con_id: int, symbol: str = "", exchange: str = "ARCA", **more: Any) -> dict[str, Any]:
    return {"con_id": con_id, "name": symbol or "x", "price": 100, "symbol": symbol, "exchange": exchange, **more}


INSTRUMENTS: dict[str, Any] = {
    "SPY": one(1),
    "GLD": one(2),
    "GLD-L": one(3, "GLD", "LSEETF", hours=LONDON),
    "XLE-L": one(4, "XLE", "LSEETF", hours=LONDON),
    "MSFT": one(5, exchange="NASDAQ"),
    "MSFT-E": one(6, "MSFT", "EBS"),
    "TWO-N": one(7, "TWO", "NYSE"),
    "TWO-A": one(8, "TWO", "AMEX"),
    "IWM": one(9),
    "IWM-OLD": one(10, "IWM", defined=False),
    "ABC.CNT": one(11, defined=False),
    "OTC": one(12, exchange="PINK"),
    "BOTH": one(13, exchange="NYSE"),
    "BOTH-P": one(14, "BOTH", "PINK"),
    "DEAD": one(15, exchange="VALUE"),
    "CASH": one(16, exchange="NASDAQ"),
    "USD": one(17),
    "BRK B": one(18, exchange="NYSE"),
    "VXX": one(19, min_tick="0.0001", price_steps={0: "0.0001", 1: "0.01"}),
    "META": one(20, exchange="NASDAQ"),
}
ACCOUNTS = {"DU1": {"cash": 100_000, "positions": {"IWM-OLD": 30, "GLD-L": 5}}}


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
def served(script: Script) -> Iterator[ServedGateway]:
    with serving(script, instruments=INSTRUMENTS, accounts=ACCOUNTS) as served:
        yield served


@contextmanager
def pinned(served: ServedGateway, **pins: Pin) -> Iterator[IbkrBroker]:
    """A broker whose owner has decided something."""
    link = Connection(ConnectionOptions("127.0.0.1", served.port), FixedClientId(7))
    try:
        yield IbkrBroker(link, pins=lambda: pins)
    finally:
        link.close()


def renumber(served: ServedGateway, symbol: str, con_id: int) -> None:
    served.do(lambda gateway: gateway.exchange.market.renumber(symbol, con_id))


def asked(served: ServedGateway) -> int:
    return served.do(lambda gateway: gateway.message_counts[9])


# -- several contracts of a ticker ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("symbol", "contract_id"), [("GLD", 2), ("MSFT", 5), ("BOTH", 13), ("OTC", 12)])
def test_of_several_listings_the_american_one_is_meant(served: ServedGateway, symbol: str, contract_id: int) -> None:
    with connected(served) as broker:
        assert broker.define([symbol]).instruments[symbol].contract_id == contract_id
        assert broker.instruments([symbol])[symbol].contract_id == contract_id
        assert broker.quotes(broker.instruments([symbol]))[symbol].bid == Decimal("99.99")


def test_a_symbol_that_is_listed_elsewhere_only_is_none_of_ours(served: ServedGateway) -> None:
    with connected(served) as broker:
        found = broker.define(["SPY", "XLE", "DEAD", "NOPE"], {4: "XLE"})
        assert found.instruments.keys() == {"SPY"}
        assert found.unknown == {
            "XLE": "is not listed in the US: 4 at LSEETF",
            "DEAD": "is not listed in the US: 15 at VALUE",
            "NOPE": "is unknown",
        }
        assert found.foreign == {4: "contract 4 is listed at LSEETF, not in the US"}
        with pytest.raises(Refused, match="XLE is not listed in the US: 4 at LSEETF") as refused:
            broker.instruments(["SPY", "XLE"])
        assert refused.value.rule == "symbol_unknown"


def test_a_held_foreign_listing_does_not_keep_the_american_one_from_being_traded(served: ServedGateway) -> None:
    with connected(served) as broker:
        held = {row.contract_id: row.symbol for row in broker.snapshot("DU1").positions if row.tradable}
        assert held[3] == "GLD"
        found = broker.define(["GLD"], {3: "GLD"})
    assert (found.instruments["GLD"].contract_id, list(found.foreign), found.stale) == (2, [3], {})


def test_of_two_american_listings_the_held_or_the_pinned_one_is_meant(served: ServedGateway) -> None:
    with connected(served) as broker:
        assert broker.define(["TWO"]).unknown == {"TWO": "is ambiguous: 7 at NYSE, 8 at AMEX"}
        assert broker.define(["TWO"], {8: "TWO"}).instruments["TWO"].contract_id == 8
        assert broker.define(["TWO"], {8: "TWO", 7: "TWO"}).unknown.keys() == {"TWO"}, "both are held"
    with pinned(served, TWO=Pin(contract_id=7)) as broker:
        assert broker.instruments(["TWO"])["TWO"].contract_id == 7
        assert broker.define(["TWO"], {8: "TWO"}).stale == {
            "TWO": "is held as contract 8 at AMEX, while TWO is contract 7 at NYSE"
        }
    with pinned(served, TWO=Pin(exchange="AMEX")) as broker:
        assert broker.instruments(["TWO"])["TWO"].contract_id == 8


@pytest.mark.parametrize(
    ("pin", "problem"),
    [
        (Pin(exchange="NYSE"), "is pinned to NYSE, but there are: 5 at NASDAQ, 6 at EBS"),
        (Pin(contract_id=6), "is pinned to contract 6, which is listed at EBS, not in the US"),
        (Pin(contract_id=1), "is pinned to contract 1, which is SPY"),
        (Pin(contract_id=99), "is pinned to contract 99, which is no stock in USD"),
    ],
)
def test_a_pin_that_does_not_fit_is_refused_and_not_guessed_around(
    served: ServedGateway, pin: Pin, problem: str
) -> None:
    with pinned(served, MSFT=pin) as broker:
        assert broker.define(["MSFT"]).unknown == {"MSFT": problem}


def test_islands_listings_are_nasdaqs(served: ServedGateway) -> None:
    with pinned(served, MSFT=Pin(exchange="ISLAND")) as broker:
        assert broker.instruments(["MSFT"])["MSFT"].contract_id == 5


# -- what is held ---------------------------------------------------------------------------------------------------


def test_a_held_contract_without_definition_makes_its_symbol_stale(served: ServedGateway) -> None:
    with connected(served) as broker:
        found = broker.define(["SPY", "IWM"], {10: "IWM"})
    assert found.instruments.keys() == {"SPY"}
    assert found.stale == {"IWM": "is held as contract 10, which has no definition, while IWM is contract 9 at ARCA"}


def test_an_old_line_over_the_counter_is_not_bought_more_of(served: ServedGateway) -> None:
    with connected(served) as broker:
        found = broker.define(["BOTH", "OTC"], {14: "BOTH", 12: "OTC"})
    assert found.stale == {"BOTH": "is held as contract 14 at PINK, while BOTH is contract 13 at NYSE"}
    assert found.instruments["OTC"].contract_id == 12, "a name without an exchange can still be sold"


def test_a_dead_line_is_unknown_and_the_rest_goes_on(served: ServedGateway) -> None:
    with connected(served) as broker:
        found = broker.define(["SPY", "ABC.CNT"], {11: "ABC.CNT", 1: "SPY"})
    assert (found.instruments.keys(), found.unknown) == ({"SPY"}, {"ABC.CNT": "is unknown"})


def test_a_holding_that_goes_by_another_name_blocks_both_names(served: ServedGateway) -> None:
    """FB became META: bought by the new name it would be held twice."""
    with connected(served) as broker:
        found = broker.define(["SPY", "META"], {20: "FB"})
    assert found.instruments.keys() == {"SPY"}
    assert found.stale == dict.fromkeys(("FB", "META"), "contract 20 is held as FB, but is META")


def test_no_definition_is_no_verdict_while_the_definitions_farm_is_down(served: ServedGateway) -> None:
    with connected(served) as broker:
        broker.managed_accounts()
        served.do(lambda gateway: gateway._broadcast(SystemNotice(2157, "Sec-def data farm connection is broken")))
        with pytest.raises(GatewayUnavailable, match="2157"):
            broker.define(["IWM"], {10: "IWM"})


# -- contract ids that change ---------------------------------------------------------------------------------------


def test_a_refused_order_brings_the_new_contract_on_the_next_try(served: ServedGateway) -> None:
    with connected(served) as broker:
        assert broker.instruments(["SPY"])["SPY"].contract_id == 1
        broker.quotes(broker.instruments(["SPY"]))
        renumber(served, "SPY", 5002)
        assert broker.instruments(["SPY"])["SPY"].contract_id == 1
        updates = list(executing(broker, [order("a", "SPY", contract_id=1)], 5))
        assert 200 in {getattr(update, "code", None) for update in updates}
        now = broker.instruments(["SPY"])["SPY"]
        assert now.contract_id == 5002
        lines = served.do(lambda gateway: gateway.message_counts[1])
        assert broker.quotes(broker.instruments(["SPY"]))["SPY"].ask == Decimal("100.01")
        assert served.do(lambda gateway: gateway.message_counts[1]) == lines + 1, "the old line is worthless"
        list(executing(broker, [order("b", "SPY", contract_id=now.contract_id)], 5))
    assert served.do(lambda gateway: gateway.positions("DU1")["SPY"]) == 10


def test_a_refused_quote_brings_the_new_contract_on_the_next_try(served: ServedGateway) -> None:
    with connected(served) as broker:
        broker.instruments(["SPY"])
        renumber(served, "SPY", 5002)
        with pytest.raises(Exception, match="code 200"):
            broker.quotes(broker.instruments(["SPY"]))
        assert broker.quotes(broker.instruments(["SPY"]))["SPY"].bid == Decimal("99.99")


def test_definitions_age_with_the_exchanges_day_and_not_at_midnight_utc(served: ServedGateway) -> None:
    """An evening's dry run must not fix the contracts of the next session."""
    now = [datetime(2026, 11, 23, 23, 30, tzinfo=UTC)]
    link = Connection(ConnectionOptions("127.0.0.1", served.port), FixedClientId(7))
    try:
        broker = IbkrBroker(link, clock=lambda: now[0])
        broker.instruments(["SPY"])
        now[0] = EVENING  # the next day in UTC, the same in New York
        broker.instruments(["SPY"])
        assert asked(served) == 1
        renumber(served, "SPY", 5002)
        now[0] = MORNING
        assert broker.instruments(["SPY"])["SPY"].contract_id == 5002
    finally:
        link.close()


# -- names -----------------------------------------------------------------------------------------------------------


def test_the_stock_called_cash_has_to_be_pinned(served: ServedGateway) -> None:
    with connected(served) as broker:
        found = broker.define(["SPY", "CASH", "USD"], {17: "USD"})
        assert found.instruments.keys() == {"SPY"}
        assert all("means cash" in found.unknown[symbol] for symbol in ("CASH", "USD"))
    with pinned(served, CASH=Pin(exchange="NASDAQ"), USD=Pin(contract_id=17)) as broker:
        assert {one.contract_id for one in broker.define(["CASH", "USD"]).instruments.values()} == {16, 17}


def test_a_class_of_shares_is_written_as_ibkr_does(served: ServedGateway) -> None:
    with connected(served) as broker:
        assert broker.instruments(["BRK B"])["BRK B"].contract_id == 18


# -- price steps ------------------------------------------------------------------------------------------------------


def test_the_market_rule_gives_the_steps(served: ServedGateway) -> None:
    with connected(served) as broker:
        found = broker.instruments(["VXX", "SPY"])
    steps = (PriceStep(Decimal(0), Decimal("0.0001")), PriceStep(Decimal(1), Decimal("0.01")))
    assert found["VXX"].price_steps == steps
    assert found["SPY"].price_steps == (PriceStep(Decimal(0), Decimal("0.01")),)
    assert found["VXX"].min_tick == Decimal("0.0001")


def test_a_price_by_the_rule_is_taken_where_one_by_min_tick_is_not(served: ServedGateway) -> None:
    with connected(served) as broker:
        vxx = broker.instruments(["VXX"])["VXX"]
        limits = {"fine": Decimal("11.1114"), "ruled": vxx.floor_price(Decimal("11.1114"))}
        for ref, price in limits.items():
            wish = order(ref, "VXX", Side.BUY, 1, contract_id=19, order_type=OrderType.LIMIT, limit_price=price + 100)
            codes = {getattr(update, "code", None) for update in executing(broker, [wish], 5)}
            assert (110 in codes) is (ref == "fine")


@pytest.mark.parametrize("answer", ["silence", "no number"])
def test_without_a_rule_limits_keep_to_cents(served: ServedGateway, script: Script, answer: str) -> None:
    def change(message: Message) -> tuple[Delivery, ...]:
        if message[0] == 93:
            return ()
        if message[0] == 10 and answer == "no number":
            return (Delivery(tuple("" if field == "557,557" else field for field in message)),)
        return (Delivery(message),)

    script.change = change
    with connected(served, request_timeout_s=1) as broker:
        vxx = broker.instruments(["VXX"])["VXX"]
        assert broker.instruments(["VXX"])["VXX"] == vxx
    assert vxx.price_steps == ()
    assert (vxx.step_at(Decimal(11)), vxx.step_at(Decimal("0.5"))) == (Decimal("0.01"), Decimal("0.0001"))
    assert served.do(lambda gateway: gateway.message_counts[91]) == (1 if answer == "silence" else 0)


# -- sizes of orders ---------------------------------------------------------------------------------------------------


def test_a_refused_size_brings_the_new_one_on_the_next_try(served: ServedGateway) -> None:
    with connected(served) as broker:
        assert broker.instruments(["SPY"])["SPY"].lot == 1
        served.do(lambda gateway: gateway.exchange.market.redefine("SPY", size_increment=Decimal(25)))
        assert broker.instruments(["SPY"])["SPY"].lot == 1, "kept for the day"
        updates = list(executing(broker, [order("a", "SPY", contract_id=1)], 5))
        assert {355, None} == {getattr(update, "code", None) for update in updates}
        assert broker.instruments(["SPY"])["SPY"].lot == 25


def test_a_gateway_that_says_nothing_of_sizes_means_single_shares() -> None:
    sizes = {"min_size": 10, "size_increment": 10}
    instruments = {"SPY": {"con_id": 1, "name": "S", "price": 100, **sizes}}
    accounts = {"DU1": {"cash": 1000}}
    for version, lot in ((163, 1), (164, 10)):
        old = {"server_version": version}
        with serving(instruments=instruments, accounts=accounts, gateway=old) as served, connected(served) as broker:
            assert broker.instruments(["SPY"])["SPY"].lot == lot


# -- what the broker says beside ---------------------------------------------------------------------------------------


def test_positions_keep_their_exchange_and_orders_their_kind() -> None:
    call = {"security_type": "OPT", "expiry": "20261218", "strike": 500, "right": "C", "multiplier": 100}
    instruments = {**SETUP["instruments"], "SPY-C": one(50, "SPY", **call)}
    by_hand = [{"symbol": "SPY-C", "side": "SELL", "quantity": 1, "limit_price": 300}]
    accounts = {"DU1": {"cash": 1000, "positions": {"SPY": 5, "SPY-C": 1}, "open_orders": by_hand}}
    with serving(instruments=instruments, accounts=accounts) as served, connected(served) as broker:
        held = {row.contract_id: row for row in broker.snapshot("DU1").positions}
        assert (held[1000].exchange, held[1000].tradable) == ("ARCA", True)
        assert (held[50].security_type, held[50].tradable) == ("OPT", False)
        [working] = broker.open_orders("DU1")
        assert (working.symbol, working.security_type, working.currency, working.contract_id) == (
            "SPY",
            "OPT",
            "USD",
            50,
        )
