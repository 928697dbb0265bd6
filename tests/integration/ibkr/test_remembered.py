"""What a process remembers of orders and executions does not grow with their number."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
import weakref
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from rebalancer.domain.orders import SentOrder
from rebalancer.ibkr import ConnectionOptions, asking, client, session
from rebalancer.ibkr.messages import CompletedOrderRow, Message
from rebalancer.ibkr.session import GatewaySession
from tests.integration.ibkr.serving import connected, executing, order, serving

KIB = 1024
ENOUGH = 1500
"""Orders after which whatever is bounded is full."""
FIELDS_OF_AN_ENDED_ORDER = 130


def told_of(number: int) -> Iterator[list[str]]:
    """All that the gateway says of one order: named, filled, executed, paid for, and listed once it has ended."""
    ref, perm_id, execution = f"reb-{number:032x}", str(1_800_000_000 + number), f"0000e0d5.{number:08x}.01.01"
    now = f"{datetime.now(UTC):%Y%m%d-%H:%M:%S}"
    stock = ["756733", "SPY", "STK", "", "0.0", "", "", "ARCA", "USD", "SPY", "SPY"]
    named = [
        "5",
        str(number),
        *stock[:4],
        "0",
        "?",
        *stock[6:],
        "BUY",
        "10",
        "MKT",
        "0.0",
        "0.0",
        "DAY",
        "",
        "DU1",
        "",
        "0",
    ]
    yield [*named, ref, "7", perm_id, "0", "Submitted"]
    yield ["3", str(number), "Filled", "10", "0", "100.5", perm_id, "0", "100.5", "7", "", "0"]
    side = [now, "DU1", "ARCA", "BOT", "10", "100.5", perm_id, "7", "0", "10", "100.5", ref, "", "", "", "2", "0"]
    yield ["11", "-1", str(number), *stock, execution, *side]
    yield ["59", "1", execution, "1.0123", "USD", "", "", ""]
    ended = [
        "101",
        *stock[:4],
        "0",
        "?",
        *stock[6:],
        "BUY",
        "0",
        "MKT",
        "0.0",
        "0.0",
        "DAY",
        "",
        "DU1",
        "",
        "0",
        ref,
        perm_id,
    ]
    yield [*ended, *(f"{place}.{number}" for place in range(FIELDS_OF_AN_ENDED_ORDER)), "Filled"]


def test_a_thousand_orders_more_take_up_nothing_more() -> None:
    async def kept() -> int:
        """Bytes, of the second half."""
        here = GatewaySession(ConnectionOptions("127.0.0.1", 1), 7)
        here.ib.protocol.decoder.serverVersion = 178
        tracemalloc.start()
        try:
            before = 0
            for number in range(2 * ENOUGH):
                for fields in told_of(number):
                    here.ib.protocol.decoder.interpret(fields)
                if number == ENOUGH:
                    gc.collect()
                    before = tracemalloc.get_traced_memory()[0]
            gc.collect()
            return tracemalloc.get_traced_memory()[0] - before
        finally:
            tracemalloc.stop()
            here.lost.set_result("over")

    assert asyncio.run(kept()) < 64 * KIB


def test_a_connection_that_was_closed_leaves_nothing_to_the_collector() -> None:
    with serving() as served:

        async def handler_of_a_closed_one() -> weakref.ref[object]:
            there = await GatewaySession.open(ConnectionOptions("127.0.0.1", served.port), 7, bare=True)
            seen = weakref.ref(there.ib.protocol.decoder.handlers[61])
            assert seen() is not None
            await there.close()
            return seen

        gc.disable()
        try:
            assert asyncio.run(handler_of_a_closed_one())() is None
        finally:
            gc.enable()


def test_a_long_list_is_read_in_small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "READ_AT_ONCE", KIB)
    with serving() as served:
        with connected(served) as broker:
            list(executing(broker, [order(f"r{number}", quantity=1) for number in range(40)], 10))

        async def parts() -> list[int]:
            sizes: list[int] = []
            there = await GatewaySession.open(ConnectionOptions("127.0.0.1", served.port), 8)
            there.ib.client.conn.hasData += lambda data: sizes.append(len(data))
            listed = await asking.completed_orders(there, there.accounts)
            await there.close()
            assert len(listed) == 40
            return sizes

        sizes = asyncio.run(parts())
    assert sum(sizes) > 10 * KIB
    assert max(sizes) == KIB


def test_ended_orders_of_other_accounts_are_not_even_read() -> None:
    """The list has the whole login's: of a hundred accounts, a hundred times what one of them needs."""
    with serving() as served:
        with connected(served) as broker:
            list(executing(broker, [order("a"), order("b", account_id="DU2"), order("c", account_id="DU2")], 5))

        async def told() -> tuple[list[str], list[str]]:
            heard: list[str] = []
            there = await GatewaySession.open(ConnectionOptions("127.0.0.1", served.port), 8)

            def hear(message: Message) -> None:
                assert isinstance(message, CompletedOrderRow)
                heard.append(message.order_ref)

            there.ib.listening.hear(hear, CompletedOrderRow)
            listed = await asking.completed_orders(there, {"DU1"})
            await asking.completed_orders(there, {"DU1", "DU2"})
            await there.close()
            return [one.order_ref for one in listed], heard

        listed, heard = asyncio.run(told())
    assert listed == ["a"]
    assert heard == ["a", "a", "b", "c"]


def test_commissions_of_more_executions_than_are_remembered_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "_REMEMBERED", 2)
    refs = [f"r{number}" for number in range(5)]
    with serving() as served, connected(served) as broker:
        list(executing(broker, [order(ref) for ref in refs], 5))
        found = broker.trace("DU1", [SentOrder(ref) for ref in refs])
    assert {ref: len(trace.commissions) for ref, trace in found.items()} == dict.fromkeys(refs, 1)
