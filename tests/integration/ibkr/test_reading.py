"""Contract definitions, quotes and open orders: always of now, and refused rather than guessed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from rebalancer.domain.errors import GatewayUnavailable, QuoteUnavailable, Refused
from rebalancer.domain.order_states import OrderStatus
from rebalancer.domain.portfolio import MarketDataType, Side
from rebalancer.ibkr import BrokerOptions
from sandbox.gateway.behaviour import Delivery
from sandbox.gateway.exchange_events import SystemNotice
from sandbox.gateway.market import Quote
from sandbox.gateway.scenario import OpenOrder
from sandbox.gateway.wire import Message
from tests.integration.ibkr.serving import (
    SYMBOLS,
    Script,
    ServedGateway,
    connected,
    executing,
    limit,
    order,
    serving,
    until,
)

MARKET_DATA_TYPE = 58
SUBSCRIBE, UNSUBSCRIBE = 1, 2


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
def served(script: Script) -> Iterator[ServedGateway]:
    with serving(script) as served:
        yield served


def requests(served: ServedGateway, message_id: int) -> int:
    return served.do(lambda gateway: gateway.message_counts[message_id])


def announce(served: ServedGateway, code: int, text: str = "") -> None:
    served.do(lambda gateway: gateway._broadcast(SystemNotice(code, text)))


# -- contract definitions ------------------------------------------------------------------------------------------


def test_definitions_are_asked_for_once_a_day(served: ServedGateway) -> None:
    with connected(served) as broker:
        first = broker.instruments(SYMBOLS)
        assert broker.instruments(SYMBOLS) == first
        assert requests(served, 9) == len(SYMBOLS)
    assert first["VXX"].contract_id == 1001
    assert first["VXX"].min_tick == Decimal("0.01")
    assert first["VXX"].liquid_hours


def test_every_unknown_symbol_is_named_at_once(served: ServedGateway) -> None:
    with connected(served) as broker:
        with pytest.raises(Refused, match="NOPE is unknown; ZZZ is unknown") as refused:
            broker.instruments(["SPY", "NOPE", "VXX", "ZZZ"])
        assert refused.value.rule == "symbol_unknown"
        assert set(refused.value.numbers) == {"NOPE", "ZZZ"}


def test_unknown_symbol_is_no_verdict_while_the_definitions_farm_is_down(served: ServedGateway) -> None:
    """IBKR answers 200 for every symbol then."""
    with connected(served) as broker:
        broker.managed_accounts()
        announce(served, 2157, "Sec-def data farm connection is broken:secdefil")
        with pytest.raises(GatewayUnavailable, match="2157"):
            broker.instruments(["NOPE"])
        announce(served, 2158, "Sec-def data farm connection is OK:secdefil")
        with pytest.raises(Refused):
            broker.instruments(["NOPE"])


def test_ambiguous_symbol_is_refused(served: ServedGateway, script: Script) -> None:
    def change(message: Message) -> tuple[Delivery, ...]:
        if message[0] != 10:
            return (Delivery(message),)
        other = (*message[:12], 4711, *message[13:])
        return Delivery(message), Delivery(other)

    script.change = change
    with connected(served) as broker, pytest.raises(Refused, match="SPY is ambiguous: 1000 at ARCA, 4711 at ARCA"):
        broker.instruments(["SPY"])


# -- quotes --------------------------------------------------------------------------------------------------------


def test_quotes_are_two_sided_and_live(served: ServedGateway) -> None:
    with connected(served) as broker:
        before = datetime.now(UTC)
        quote = broker.quotes(broker.instruments(["SPY"]))["SPY"]
    assert (quote.bid, quote.ask, quote.last, quote.close) == (
        Decimal("99.99"),
        Decimal("100.01"),
        Decimal(100),
        Decimal(100),
    )
    assert quote.at >= before
    assert quote.data_type is MarketDataType.LIVE


def test_standing_subscription_answers_without_asking(served: ServedGateway) -> None:
    with connected(served) as broker:
        broker.quotes(broker.instruments(SYMBOLS))
        broker.quotes(broker.instruments(SYMBOLS))
        assert requests(served, SUBSCRIBE) == len(SYMBOLS)
        assert requests(served, UNSUBSCRIBE) == 0


def test_standing_quote_follows_the_market(served: ServedGateway) -> None:
    with connected(served) as broker:
        broker.quotes(broker.instruments(["SPY"]))
        served.do(lambda gateway: gateway.exchange.set_price("SPY", Decimal(250)))
        until(lambda: broker.quotes(broker.instruments(["SPY"]))["SPY"].bid > 249)


def test_quote_that_is_too_old_is_asked_for_again(served: ServedGateway, script: Script) -> None:
    """A quiet symbol gets present prices from a new request; the old one's would be the morning's."""
    with connected(served, options=BrokerOptions(quote_max_age_s=0.0)) as broker:
        broker.quotes(broker.instruments(["SPY"]))
        script.show = lambda quote: replace(quote, bid=Decimal(98), ask=Decimal(99))
        assert broker.quotes(broker.instruments(["SPY"]))["SPY"].bid == 98
        assert requests(served, SUBSCRIBE) == 2


@pytest.mark.parametrize("code", [1101, 1102, 2103, 2110])
def test_quotes_from_before_an_outage_are_not_used(served: ServedGateway, code: int) -> None:
    with connected(served) as broker:
        broker.quotes(broker.instruments(["SPY"]))
        announce(served, code)
        if code == 2110:
            announce(served, 1102)
        until(lambda: broker.quotes(broker.instruments(["SPY"]))["SPY"].bid > 0 and requests(served, SUBSCRIBE) == 2)


@pytest.mark.parametrize("code", [354, 10089, 10168, 10197])
@pytest.mark.alone
def test_refused_subscription_names_the_code_and_never_an_old_price(
    served: ServedGateway, script: Script, code: int
) -> None:
    """ib_async hands out the last ticker as if it were new (its issue 223)."""
    with connected(served, options=BrokerOptions(quote_max_age_s=0.0)) as broker:
        broker.quotes(broker.instruments(["SPY"]))

        def change(message: Message) -> tuple[Delivery, ...]:
            refusal = (4, 2, message[2], code, "not subscribed", "")
            return (Delivery(refusal if message[0] == MARKET_DATA_TYPE else message),)

        script.change = change
        script.show = lambda _quote: None
        started = time.monotonic()
        with pytest.raises(QuoteUnavailable, match=f"SPY: code {code}: not subscribed"):
            broker.quotes(broker.instruments(["SPY"]))
        assert time.monotonic() - started < 1


def test_partly_subscribed_data_are_waited_for(served: ServedGateway, script: Script) -> None:
    """10090: the other ticks keep coming."""

    def change(message: Message) -> tuple[Delivery, ...]:
        if message[0] != MARKET_DATA_TYPE:
            return (Delivery(message),)
        return Delivery(message), Delivery((4, 2, message[2], 10090, "Part of the data is not subscribed", ""))

    script.change = change
    with connected(served) as broker:
        assert broker.quotes(broker.instruments(["SPY"]))["SPY"].bid > 0


def unshown(_quote: Quote) -> None:
    return None


@pytest.mark.parametrize(
    ("show", "what"),
    [
        (unshown, "VXX: no tick"),
        (lambda quote: replace(quote, bid=Decimal(-1), bid_size=0), "VXX: bid none, ask 100.01"),
        (lambda quote: replace(quote, ask=Decimal(0), ask_size=0), "VXX: bid 99.99, ask none"),
        (lambda quote: replace(quote, bid=Decimal(101)), "VXX: bid 101, ask 100.01"),
    ],
)
def test_symbol_without_usable_quote_is_named_with_what_it_had(
    served: ServedGateway, script: Script, show: object, what: str
) -> None:
    script.show = lambda quote: show(quote) if quote.symbol == "VXX" else quote  # type: ignore[operator]
    with connected(served, options=BrokerOptions(quote_timeout_s=0.2)) as broker:
        with pytest.raises(QuoteUnavailable, match=what) as unavailable:
            broker.quotes(broker.instruments(["SPY", "VXX"]))
        assert "SPY" not in str(unavailable.value)


def test_calls_that_want_the_same_symbol_share_its_request(served: ServedGateway, script: Script) -> None:
    script.change = lambda message: (Delivery(message, 0.2 if message[0] == 1 else 0.0),)
    with connected(served) as broker, ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(broker.quotes, [broker.instruments(["SPY", "VXX"])] * 4))
        assert all(set(answer) == {"SPY", "VXX"} for answer in answers)
        assert requests(served, SUBSCRIBE) == 2


def test_a_spare_symbol_without_a_quote_is_left_out_and_any_other_named(served: ServedGateway, script: Script) -> None:
    script.show = lambda quote: None if quote.symbol == "VXX" else quote
    with connected(served, options=BrokerOptions(quote_timeout_s=0.3)) as broker:
        both = broker.instruments(["SPY", "VXX"])
        assert set(broker.quotes(both, ["VXX"])) == {"SPY"}
        with pytest.raises(QuoteUnavailable, match="VXX"):
            broker.quotes(both, ["SPY"])


def test_late_first_tick_is_waited_for(served: ServedGateway, script: Script) -> None:
    script.change = lambda message: (Delivery(message, 0.2 if message[0] == 1 else 0.0),)
    with connected(served) as broker:
        assert set(broker.quotes(broker.instruments(["SPY", "VXX"]))) == {"SPY", "VXX"}


def delayed(message: Message) -> tuple[Delivery, ...]:
    if message[0] == MARKET_DATA_TYPE:
        return (Delivery((*message[:3], 3)),)
    if message[0] == 1 and message[3] in (1, 2):
        return (Delivery((*message[:3], int(str(message[3])) + 65, *message[4:])),)
    return (Delivery(message),)


@pytest.mark.alone
def test_delayed_quotes_are_refused_at_once(served: ServedGateway, script: Script) -> None:
    script.change = delayed
    with connected(served) as broker:
        started = time.monotonic()
        with pytest.raises(QuoteUnavailable, match=r"SPY: .*delayed"):
            broker.quotes(broker.instruments(["SPY"]))
        assert time.monotonic() - started < 1


def test_delayed_quotes_are_marked_where_they_are_allowed(served: ServedGateway, script: Script) -> None:
    script.change = delayed
    with connected(served, options=BrokerOptions(allow_delayed=True)) as broker:
        assert broker.quotes(broker.instruments(["SPY"]))["SPY"].data_type is MarketDataType.DELAYED


def test_surplus_subscriptions_are_cancelled_after_the_orders() -> None:
    """Cancels in front of the orders would cost them their place in the second."""
    names = [*SYMBOLS, "S8", "S9"]
    instruments = {name: {"con_id": 1000 + number, "name": name, "price": 100} for number, name in enumerate(names)}
    options = BrokerOptions(quote_lines=10)
    with serving(instruments=instruments) as served, connected(served, options=options) as broker:
        broker.quotes(broker.instruments(names[:8]))
        broker.quotes(broker.instruments(names[8:]))
        assert requests(served, UNSUBSCRIBE) == 0
        list(executing(broker, [order("a", "GLD", quantity=1)], 5))
        until(lambda: requests(served, UNSUBSCRIBE) == 1)
        broker.quotes(broker.instruments(names[8:]))
        assert requests(served, SUBSCRIBE) == 10


def test_of_more_symbols_than_lines_only_those_without_one_are_asked_for_again() -> None:
    """Read in their order, each would end the line of the one after it: every run asked for all of them anew. Two
    processes of fourteen have seven lines each, and no line of the login is asked for that is not there.
    """
    options = BrokerOptions(quote_lines=100 // 14)
    with (
        serving(gateway={"max_market_data_lines": 14}) as served,
        connected(served, options=options) as broker,
        connected(served, 8, options) as beside,
    ):
        instruments = broker.instruments(SYMBOLS)
        for one in (broker, beside):
            assert set(one.quotes(instruments)) == set(SYMBOLS)
        assert [requests(served, kind) for kind in (SUBSCRIBE, UNSUBSCRIBE)] == [16, 2]
        for one in (broker, beside):
            assert set(one.quotes(instruments)) == set(SYMBOLS)
        assert [requests(served, kind) for kind in (SUBSCRIBE, UNSUBSCRIBE)] == [18, 4]


def test_subscriptions_end_when_nobody_asks_any_more_and_begin_anew(served: ServedGateway) -> None:
    """They once ran until the gateway's next restart, in each process that had traded."""
    with connected(served, options=BrokerOptions(quotes_kept_s=0.3)) as broker:
        broker.quotes(broker.instruments(["SPY", "VXX"]))
        assert requests(served, UNSUBSCRIBE) == 0
        until(lambda: requests(served, UNSUBSCRIBE) == 2)
        assert set(broker.quotes(broker.instruments(["SPY", "VXX"]))) == {"SPY", "VXX"}
        assert requests(served, SUBSCRIBE) == 4


def test_no_request_beyond_the_lines_that_ibkr_allows() -> None:
    names = [f"S{number}" for number in range(130)]
    instruments = {
        name: {"con_id": 5000 + i, "name": name, "price": 10} for i, name in enumerate([*names, "SPY", "GLD"])
    }
    with (
        serving(instruments=instruments, gateway={"messages_per_window": 10_000}) as served,
        connected(served, messages_per_s=10_000) as broker,
    ):
        assert len(broker.quotes(broker.instruments(names))) == 130
        assert len(broker.quotes(broker.instruments(names[:80]))) == 80


def test_subscriptions_that_nobody_waits_for_are_given_back_when_the_login_has_too_many() -> None:
    with serving(gateway={"max_market_data_lines": 3}) as served, connected(served) as broker:
        broker.quotes(broker.instruments(["SPY", "VXX", "GLD"]))
        with pytest.raises(QuoteUnavailable, match="TLT: code 101"):
            broker.quotes(broker.instruments(["TLT"]))
        assert set(broker.quotes(broker.instruments(["TLT", "QQQ"]))) == {"TLT", "QQQ"}


# -- open orders ---------------------------------------------------------------------------------------------------


def test_open_orders_of_all_clients_and_people_of_one_account() -> None:
    with serving(fills={"mode": "never"}) as served, connected(served) as broker:
        served.do(lambda gateway: gateway.exchange.enter("DU1", resting("SPY", 0, 0)))
        served.do(lambda gateway: gateway.exchange.enter("DU1", resting("GLD", 3, 40, "theirs")))
        served.do(lambda gateway: gateway.exchange.enter("DU2", resting("VXX", 0, 0)))
        updates = executing(broker, [limit("mine")], 5)
        next(updates)
        until(lambda: len(broker.open_orders("DU1")) == 3)
        found = {(o.client_id, o.order_ref, o.symbol, o.status) for o in broker.open_orders("DU1")}
        assert found == {
            (0, "", "SPY", OrderStatus.SUBMITTED),
            (3, "theirs", "GLD", OrderStatus.SUBMITTED),
            (7, "mine", "SPY", OrderStatus.SUBMITTED),
        }
        assert [(o.symbol, o.quantity, o.side) for o in broker.open_orders("DU2")] == [("VXX", Decimal(5), Side.BUY)]


def resting(symbol: str, client_id: int, order_id: int, ref: str = "") -> OpenOrder:
    return OpenOrder(
        symbol=symbol,
        side="BUY",
        quantity=Decimal(5),
        limit_price=Decimal(50),
        client_id=client_id,
        order_id=order_id,
        order_ref=ref,
    )
