"""The simulated broker's books outlive its process where it is given a file for them."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest

from rebalancer.domain.errors import ConfigurationError
from rebalancer.domain.portfolio import FeeSchedule
from sandbox.gateway.exchange_accounts import Payment
from sandbox.gateway.exchange_books import Book
from sandbox.gateway.memory import BookFile
from sandbox.gateway.opening import opening
from sandbox.gateway.server import Gateway
from sandbox.gateway.state import state
from tests.integration.gateway.clients import (
    ACCOUNT,
    bare,
    connected,
    default_scenario,
    limit,
    market,
    order_fields,
    run,
    stock,
    until,
)

NOW = datetime(2026, 11, 23, 15, tzinfo=UTC)


def gateway(data: Path) -> Gateway:
    return Gateway(default_scenario(), data=data)


def test_orders_positions_and_numbers_go_on(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with gateway(tmp_path / "books.json") as first, connected(first, 7) as ib:
            filled = ib.placeOrder(stock("QQQ"), market("BUY", 3, "one"))
            waiting = ib.placeOrder(stock("SPY"), limit("BUY", 5, 40, "two", tif="GTC"))
            await until(lambda: filled.orderStatus.status == "Filled" and waiting.orderStatus.status == "Submitted")
            before = first.exchange.book.memory()
        async with gateway(tmp_path / "books.json") as second:
            assert second.exchange.book.memory() == before
            assert second.positions(ACCOUNT) == {"QQQ": 3}
            async with connected(second, 7) as ib:
                (left,) = ib.openTrades()
                assert (left.order.orderRef, left.order.orderId) == ("two", waiting.order.orderId)
                assert [one.execution.orderRef for one in ib.fills()] == ["one"]
                second.exchange.set_price("SPY", Decimal(39))
                await until(lambda: left.orderStatus.status == "Filled")
                sold = ib.placeOrder(stock("QQQ"), market("SELL", 3, "three"))
                await until(lambda: sold.orderStatus.status == "Filled")
            assert len({order.perm_id for order in second.orders}) == 3
            assert len({one.execution_id for one in second.executions}) == 3

    run(scenario())


def test_nothing_is_told_of_books_that_cannot_be_written(tmp_path: Path) -> None:
    """Their folder is away: an execution that a client hears of is in the file all the same."""
    folder, away = tmp_path / "books", tmp_path / "away"
    folder.mkdir()
    still = default_scenario().changed({"quotes": {"interval_ms": 60_000}})

    async def scenario() -> None:
        async with Gateway(still, data=folder / "books.json") as first, bare(first, 7) as client:
            folder.rename(away)
            client.send(3, 1, *order_fields(178, quantity=3, ref="one"))
            await until(lambda: first.executions != [])
            client.send(7, 3, 1, 0, "", "", "", "", "", "")
            await until(lambda: first.message_counts[7] == 1)
            away.rename(folder)
            client.send(7, 3, 2, 0, "", "", "", "", "", "")
            told = {row[14] for row in await client.receive_until(55) if row[0] == "11"}
            kept = BookFile(folder / "books.json").load(still)
            assert kept is not None
            assert told == {one.execution_id for one in kept.executions}

    run(scenario())


def test_each_change_is_a_line_and_half_a_line_was_never_told(tmp_path: Path) -> None:
    data, still = tmp_path / "books.json", default_scenario().changed({"quotes": {"interval_ms": 60_000}})

    async def scenario() -> None:
        async with Gateway(still, data=data) as first, connected(first, 7) as ib:
            bought = ib.placeOrder(stock("QQQ"), market("BUY", 3, "one"))
            await until(lambda: bought.orderStatus.status == "Filled")
            first.keep()
            whole, size, before = first.exchange.book.memory(), data.stat().st_size, len(data.read_bytes().splitlines())
            first.exchange.book.correct(first.executions[0], Decimal(90))
            first.keep()
            after = first.exchange.book.memory()
            assert len(data.read_bytes().splitlines()) == before + 1
            assert BookFile(data).load(still) == after
            data.write_bytes(data.read_bytes()[:-40])
            assert size < data.stat().st_size
            assert BookFile(data).load(still) == whole

    run(scenario())


def test_the_file_stays_as_long_as_the_books(tmp_path: Path) -> None:
    """Everything is written anew when more has changed than there is."""
    data, setup = tmp_path / "books.json", default_scenario()
    book = Book(opening(setup), FeeSchedule())
    file = BookFile(data)
    sizes = []
    for _ in range(2500):
        book.pay(ACCOUNT, Payment({"USD": Decimal(1)}), NOW)
        file.keep(book.memory())
        sizes.append(data.stat().st_size)
    assert BookFile(data).load(setup) == book.memory()
    assert sum(later < earlier for earlier, later in pairwise(sizes)) == 2


def test_what_was_being_cancelled_is_cancelled(tmp_path: Path) -> None:
    async def scenario() -> None:
        slow = default_scenario().changed({"orders": {"cancel_delay_ms": 60_000}})
        async with Gateway(slow, data=tmp_path / "books.json") as first, connected(first, 7) as ib:
            waiting = ib.placeOrder(stock("SPY"), limit("BUY", 5, 40))
            await until(lambda: waiting.orderStatus.status == "Submitted")
            ib.cancelOrder(waiting.order)
            await until(lambda: first.orders[0].status == "PendingCancel")
        async with gateway(tmp_path / "books.json") as second:
            assert [order.status for order in second.orders] == ["Cancelled"]

    run(scenario())


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"accounts": []}', "remembers another scenario's accounts"),
        ("{", "remove it to begin anew"),
    ],
)
def test_books_that_do_not_fit_are_refused(tmp_path: Path, text: str, reason: str) -> None:
    data = tmp_path / "books.json"
    data.write_text(text)

    async def scenario() -> None:
        with pytest.raises(ConfigurationError, match=reason):
            await gateway(data).start()

    run(scenario())


def test_a_split_outlives_the_process_and_what_was_not_booked_yet_is_booked_at_its_start(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with gateway(tmp_path / "books.json") as first, connected(first, 7) as ib:
            bought = ib.placeOrder(stock("QQQ"), market("BUY", 3))
            await until(lambda: bought.orderStatus.status == "Filled")
            before = first.exchange.market.quote("QQQ").mark
            first.exchange.split("QQQ", Decimal(2), 0)
            close = first.exchange.market.quote("QQQ").close
            first.exchange.split("QQQ", Decimal(3), 60, close_follows=True)
            assert first.exchange.market.quote("QQQ").close == close
            assert first.positions(ACCOUNT) == {"QQQ": 6}
        async with gateway(tmp_path / "books.json") as second:
            assert second.positions(ACCOUNT) == {"QQQ": 18}
            second.exchange.step()
            assert second.exchange.market.quote("QQQ").mark == before / 6
            assert second.exchange.market.quote("QQQ").close == close / 3
            assert [bool(split["close_at"]) for split in state(second)["splits"]] == [False, True]
            assert [split["announced_at"] < split["booked_at"] for split in state(second)["splits"]] == [True, True]

    run(scenario())
