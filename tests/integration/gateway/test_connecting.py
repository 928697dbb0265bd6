"""Greeting, startApi, client ids and the end of connections."""

from __future__ import annotations

import asyncio
import logging
import time

import ib_async
import pytest

from tests.integration.gateway.clients import (
    GATED_VERSIONS,
    BareClient,
    bare,
    connected,
    errors_of,
    run,
    serving,
    until,
)


@pytest.mark.alone
def test_connecting_with_everything_fetched_is_quick_and_nothing_times_out(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with serving() as gateway:
            started = time.monotonic()
            async with connected(gateway, fetchFields=ib_async.StartupFetchALL) as ib:
                assert time.monotonic() - started < 1
                assert ib.managedAccounts() == [f"DU100000{number}" for number in range(1, 8)]
                assert ib.positions()
                assert ib.client.serverVersion() == 178

    caplog.set_level(logging.DEBUG)
    run(scenario())
    assert "timed out" not in caplog.text
    assert "Error" not in caplog.text


def test_connecting_with_one_account_subscribes_to_its_updates() -> None:
    async def scenario() -> None:
        async with serving() as gateway, connected(gateway, account="DU1000002") as ib:
            assert {item.contract.symbol for item in ib.portfolio("DU1000002")} == {"AAPL", "MSFT", "GLD"}

    run(scenario())


@pytest.mark.parametrize("version", GATED_VERSIONS)
def test_every_version_connects_and_trades(version: int, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        async with serving() as gateway:
            ib = ib_async.IB()
            ib.client.MaxClientVersion = version
            await ib.connectAsync(*gateway.address, clientId=1, raiseSyncErrors=True)
            details = await ib.reqContractDetailsAsync(ib_async.Stock("SPY", "SMART", "USD"))
            order = ib_async.MarketOrder("BUY", 1, account="DU1000001", tif="DAY", orderRef="mine")
            assert details[0].contract
            trade = ib.placeOrder(details[0].contract, order)
            await until(lambda: trade.isDone() and trade.fills and trade.fills[0].commissionReport.execId)
            completed = await ib.reqCompletedOrdersAsync(False)
            assert ib.client.serverVersion() == version
            assert trade.orderStatus.status == "Filled"
            assert [done.order.orderRef for done in completed] == ["mine"]
            ib.disconnect()

    run(scenario())
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def test_version_158_is_never_agreed_because_ib_async_misreads_it() -> None:
    async def scenario() -> None:
        async with serving() as gateway, bare(gateway, 1, "v157..158") as client:
            assert client.version == 157

    run(scenario())


def test_a_single_version_and_connect_options_are_understood() -> None:
    async def scenario() -> None:
        async with serving() as gateway, bare(gateway, 1, "v170") as one, bare(gateway, 2, "v157..178 +PACEAPI") as two:
            assert (one.version, two.version) == (170, 178)

    run(scenario())


@pytest.mark.parametrize("versions", ["v100..156", "v179..200"])
def test_versions_that_do_not_meet_ours_are_closed(versions: str) -> None:
    async def scenario() -> None:
        async with serving() as gateway, bare(gateway) as client:
            client.writer.write(b"API\0" + len(versions).to_bytes(4, "big") + versions.encode())
            assert await client.closed() == b""

    run(scenario())


def test_a_client_id_in_use_is_told_326_and_closed_and_is_free_again_afterwards() -> None:
    async def scenario() -> None:
        async with serving() as gateway:
            async with connected(gateway, 5) as ib:
                async with bare(gateway) as second:
                    await second.greet()
                    second.send(71, 2, 5, "")
                    reply = await second.receive()
                    assert (reply[0], reply[2], reply[3]) == ("4", "-1", "326")
                    assert await second.closed() == b""
                assert ib.isConnected()
                assert await ib.reqCurrentTimeAsync()
            await until(lambda: gateway.connections[0].closed_at)
            async with connected(gateway, 5):
                assert gateway.client_ids == [5, 5, 5]
                assert gateway.connections[1].refused == "client id 5: taken"

    run(scenario())


def test_the_thirty_third_client_is_refused() -> None:
    async def scenario() -> None:
        async with serving() as gateway:
            clients = [BareClient(*await asyncio.open_connection(*gateway.address)) for _ in range(33)]
            for number, client in enumerate(clients):
                await client.greet()
                client.send(71, 2, number, "")
                if number < 32:
                    await client.receive()
            reply = await clients[-1].receive()
            assert reply[3] == "502"
            assert await clients[-1].closed() == b""
            for client in clients:
                client.writer.close()

    run(scenario())


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"API\0\0\0\0\x09nonsense!",
        b"API\0\xff\xff\xff\xff",
        b"API\0\0\0\0\x09v157..178\0\0\0\x04abc\0",
        b"API\0\0\0\0\x09v157..178\0\0\0\x05\xff\xfe\x00\xfd\0",
        b"API\0\0\0\0\x09v157..178\0\0\0\x00",
        b"API\0\0\0\0\x09v157..178\0\0\0\x0671\x002\0x",
        b"API\0\0\0\0\x09v157..178\x7f\xff\xff\xff",
        b"API\0\0\0\0\x09v157..178\0\0\0\x0549\x001\0",
    ],
)
def test_garbage_closes_only_its_own_connection(garbage: bytes) -> None:
    async def scenario() -> None:
        async with serving() as gateway, connected(gateway, 1) as ib, bare(gateway) as vandal:
            vandal.writer.write(garbage)
            await vandal.closed()
            assert gateway.connections[-1].refused
            assert await ib.reqCurrentTimeAsync()

    run(scenario())


def test_a_client_that_vanishes_in_the_middle_of_a_message_harms_nobody() -> None:
    async def scenario() -> None:
        async with serving() as gateway, connected(gateway, 1) as ib:
            async with bare(gateway, 2) as client:
                client.writer.write(b"\0\0\0\x50" + b"3\0")
                client.writer.transport.abort()
            await until(lambda: gateway.connections[-1].closed_at)
            assert await ib.reqCurrentTimeAsync()

    run(scenario())


def test_frames_may_be_split_and_coalesced_at_will() -> None:
    async def scenario() -> None:
        async with serving() as gateway, bare(gateway, 1) as client:
            message = b"\0\0\0\x0549\x001\0"
            for byte in message:
                client.writer.write(bytes([byte]))
                await client.writer.drain()
                await asyncio.sleep(0)
            client.writer.write(message * 3)
            assert [(await client.receive())[0] for _ in range(4)] == ["49"] * 4

    run(scenario())


@pytest.mark.parametrize(
    ("message", "request_id", "code"),
    [
        ((9999, 1, 2), "-1", "505"),
        ((20, 77, 0, "SPY"), "77", "505"),
        ((92, 12, "DU1000001", ""), "12", "505"),
        ((10, 4, 31), "31", "505"),
        ((9, 8, 41, "not a number"), "41", "320"),
        ((1, 11, 51, 0, "SPY", "STK"), "51", "320"),
        ((3, 61, 0, "SPY"), "61", "320"),
        ((61, 1, "left over"), "-1", "320"),
    ],
)
def test_what_is_unknown_or_unreadable_is_answered_with_an_error(
    message: tuple[object, ...], request_id: str, code: str
) -> None:
    async def scenario() -> None:
        async with serving() as gateway, bare(gateway, 1) as client:
            client.send(*message)
            reply = await client.receive()
            assert (reply[0], reply[2], reply[3]) == ("4", request_id, code)
            client.send(49, 1)
            assert (await client.receive())[0] == "49"

    run(scenario())


def test_more_than_fifty_messages_at_once_are_told_100_and_dropped() -> None:
    async def scenario() -> None:
        async with serving() as gateway, bare(gateway, 1) as client:
            for _ in range(60):
                client.send(49, 1)
            replies = [await client.receive() for _ in range(60)]
            assert [reply[0] for reply in replies].count("49") == 50
            assert [reply[3] for reply in replies if reply[0] == "4"] == ["100"] * 10

    run(scenario())


def test_persistent_abuse_is_disconnected_when_the_scenario_says_so() -> None:
    async def scenario() -> None:
        overrides = {"gateway": {"rate_violations_before_close": 3}}
        async with serving(overrides) as gateway, bare(gateway, 1) as client:
            for _ in range(80):
                client.send(49, 1)
            await client.closed()
            assert gateway.connections[0].refused == "too many messages"

    run(scenario())


def test_ib_asyncs_own_pacing_stays_below_the_limit() -> None:
    async def scenario() -> None:
        async with serving() as gateway, connected(gateway) as ib:
            errors = errors_of(ib)
            contracts = [ib_async.Stock(symbol, "SMART", "USD") for symbol in gateway.setup.instruments]
            found = await ib.qualifyContractsAsync(*contracts)
            assert all(found)
            assert 100 not in [code for _, code in errors]

    run(scenario())


@pytest.mark.alone
def test_replies_take_the_latency_of_the_scenario_and_keep_their_order() -> None:
    async def scenario() -> None:
        async with serving({"gateway": {"latency_ms": 40}}) as gateway, connected(gateway) as ib:
            started = time.monotonic()
            await asyncio.gather(ib.reqCurrentTimeAsync(), ib.reqAllOpenOrdersAsync())
            assert 0.035 < time.monotonic() - started < 1

    run(scenario())


def test_stopping_the_gateway_closes_its_clients() -> None:
    async def scenario() -> None:
        async with serving() as gateway:
            ib = ib_async.IB()
            await ib.connectAsync(*gateway.address, clientId=1)
            gone: list[bool] = []
            ib.disconnectedEvent += lambda: gone.append(True)
            await gateway.stop()
            await until(lambda: gone)

    run(scenario())
