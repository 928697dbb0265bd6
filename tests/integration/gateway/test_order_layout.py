"""The layout of placeOrder at every version."""

from __future__ import annotations

import math

import ib_async
import pytest

from tests.integration.gateway.clients import (
    ACCOUNT,
    GATED_VERSIONS,
    bare,
    errors_of,
    limit,
    market,
    order_fields,
    run,
    serving,
    stock,
    wire,
)

COMBINATION = ib_async.Contract(
    secType="BAG",
    symbol="SPY",
    exchange="SMART",
    currency="USD",
    comboLegs=[
        ib_async.ComboLeg(conId=756733, ratio=1, action="BUY", exchange="SMART"),
        ib_async.ComboLeg(conId=265598, ratio=1, action="SELL", exchange="SMART"),
    ],
)
KINDS_OF_ORDERS = (
    market("BUY", 1, "plain"),
    limit("BUY", 1, 700.0, "limit"),
    market("BUY", 1, "whatif", whatIf=True),
    market("BUY", 1, "neutral", deltaNeutralOrderType="None"),
    market("BUY", 1, "hedged", hedgeType="D", hedgeParam="1"),
    market("BUY", 1, "scaled", scalePriceIncrement=0.5, scaleInitLevelSize=1),
    market("BUY", 1, "algo", algoStrategy="Adaptive", algoParams=[ib_async.TagValue("adaptivePriority", "Normal")]),
    market("BUY", 1, "price", conditions=[ib_async.PriceCondition(price=1, conId=756733, exch="SMART")]),
    market("BUY", 1, "time", conditions=[ib_async.TimeCondition(time="20261123 10:00:00")]),
    market("BUY", 1, "percent", conditions=[ib_async.PercentChangeCondition(), ib_async.MarginCondition()]),
    market("BUY", 1, "volume", conditions=[ib_async.VolumeCondition(), ib_async.ExecutionCondition()]),
    ib_async.Order(orderType="PEG BENCH", action="BUY", totalQuantity=1, account=ACCOUNT),
    ib_async.Order(orderType="PEG MID", action="BUY", totalQuantity=1, account=ACCOUNT),
    ib_async.Order(
        orderType="PEG BEST",
        action="BUY",
        totalQuantity=1,
        account=ACCOUNT,
        competeAgainstBestOffset=math.inf,
    ),
)


@pytest.mark.parametrize("version", GATED_VERSIONS)
def test_no_order_leaves_anything_over_at_any_version(version: int) -> None:
    async def scenario() -> None:
        async with serving({"gateway": {"messages_per_window": 1000}}) as gateway:
            ib = ib_async.IB()
            ib.client.MaxClientVersion, ib.client.MaxRequests = version, 0
            await ib.connectAsync(*gateway.address, clientId=1)
            errors = errors_of(ib)
            for order in KINDS_OF_ORDERS:
                for contract in (stock("SPY"), ib_async.Stock("SPY", "IBKRATS", "USD"), COMBINATION):
                    wire(ib).placeOrder(ib.client.getReqId(), contract, order)
            await ib.reqCurrentTimeAsync()
            assert gateway.message_counts[3] == 3 * len(KINDS_OF_ORDERS)
            assert not {320, 505} & {code for _, code in errors}
            ib.disconnect()

    run(scenario())


@pytest.mark.parametrize("version", GATED_VERSIONS)
def test_the_bare_clients_layout_is_the_one_that_each_version_prescribes(version: int) -> None:
    async def scenario() -> None:
        async with serving() as gateway, bare(gateway, 1, f"v157..{version}") as client:
            assert client.version == version
            client.send(3, 1, *order_fields(version, ref="bare"))
            await client.receive_until(59)
            client.send(3, 2, *order_fields(version), "one too many")
            reply = (await client.receive_until(4))[-1]
            assert (reply[2], reply[3]) == ("2", "320")

    run(scenario())
