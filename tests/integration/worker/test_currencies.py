"""An account in euros from file to fills, over every real part: its conversion is on record like any order."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest
from redis import Redis
from sqlalchemy import select

from rebalancer.domain.commands import Command
from rebalancer.ledger.models import Attempt, FillRow, Order, SnapshotRow
from rebalancer.ledger.queries import portfolio
from rebalancer.ledger.session import Ledger
from rebalancer.runner.servers import RunningServer
from tests.integration.gateway.test_currencies import EURO_PAIR
from tests.integration.ibkr.serving import Script
from tests.world import DEFAULT_SCENARIO, World, held, world

ACCOUNT = "DU1000002"
EUROS = 80_000


@pytest.fixture
def euros(tmp_path: Path, ledger: Ledger, redis_server: RunningServer, script: Script) -> Iterator[World]:
    Redis.from_url(redis_server.url).flushall()
    own = {
        "base_currency": "EUR",
        "cash": 412,
        "other_cash": {"EUR": EUROS},
        "margin": True,
        "positions": {"AAPL": 100},
    }
    instruments = {**DEFAULT_SCENARIO["instruments"], "EUR.USD": EURO_PAIR}
    scenario = {"currencies": {"EUR": "1.25"}, "instruments": instruments, "accounts": {ACCOUNT: own}}
    with world(tmp_path, ledger, redis_server.url, script, **scenario) as made:
        (made.folder / "accounts.yaml").write_text(
            f"accounts:\n  - account_id: {ACCOUNT}\n    type: paper\n    strategy_name: etf-blend-301-20\n"
            "    fx: convert\n    fx_reserve: 10000\n"
        )
        yield made


def test_preview_and_live_convert_alike_and_all_of_it_is_on_record(euros: World) -> None:
    euros.start_worker()
    preview = euros.finish(euros.submit(ACCOUNT, Command.PRINT_REBALANCE)).result
    live = euros.finish(euros.submit(ACCOUNT, Command.REBALANCE)).result
    assert preview is not None
    assert live is not None
    pair = [one for one in preview["orders"] if one["symbol"] == "EUR.USD"]
    assert [(one["action"], one["quantity"]) for one in pair] == [
        (one["action"], one["quantity"]) for one in live["orders"] if one["symbol"] == "EUR.USD"
    ]
    assert live["equity_info"]["base"]["currency"] == "EUR"
    with euros.ledger.begin() as session:
        order = session.scalars(select(Order).where(Order.security_type == "CASH")).one()
        fill = session.scalars(select(FillRow).where(FillRow.security_type == "CASH")).one()
        seen = list(session.scalars(select(SnapshotRow.base)))
        found = portfolio.portfolio(session, ACCOUNT)
        others = session.scalars(select(Order.security_type).where(Order.symbol != "EUR.USD")).all()
    assert (order.symbol, order.side, order.status, order.order_type) == ("EUR.USD", "SELL", "Filled", "LMT")
    assert (fill.currency, fill.quantity) == ("EUR", order.quantity)
    assert set(others) == {"STK"}
    assert all(one["currency"] == "EUR" for one in seen)
    assert found is not None
    assert found.base is not None
    assert found.base.cash == EUROS - order.quantity - fill.commission.quantize(Decimal("0.01"))
    assert found.base.cash >= 10_000
    assert sum(held(euros, ACCOUNT).values()) > 0
    again = euros.finish(euros.submit(ACCOUNT, Command.PRINT_REBALANCE)).result
    assert again is not None
    assert again["orders"] == []


def test_the_way_back_is_previewed_sent_last_and_on_record(euros: World) -> None:
    """Of the targets only SPXL is to be traded, so that what AAPL brings lies idle."""
    file = euros.folder / "accounts.yaml"
    file.write_text(file.read_text() + "    fx_back: convert\n    hold: [EDC, QLD, QQQ, BTAL, TQQQ]\n")
    euros.start_worker()
    preview = euros.finish(euros.submit(ACCOUNT, Command.PRINT_REBALANCE)).result
    live = euros.finish(euros.submit(ACCOUNT, Command.REBALANCE)).result
    assert preview is not None
    assert live is not None
    shown, sent = ([(one["action"], one["symbol"]) for one in result["orders"]] for result in (preview, live))
    assert shown == sent == [("SELL", "AAPL"), ("BUY", "SPXL"), ("BUY", "EUR.USD")]
    with euros.ledger.begin() as session:
        order = session.scalars(select(Order).where(Order.security_type == "CASH")).one()
        plan = session.scalars(select(Attempt.plan).where(Attempt.event_id == order.event_id)).one()
        found = portfolio.portfolio(session, ACCOUNT)
    assert (order.side, order.status, order.order_type) == ("BUY", "Filled", "LMT")
    assert plan["conversion"]["order"] is None
    assert plan["conversion"]["back"]["quantity"] == preview["orders"][-1]["quantity"]
    assert order.quantity <= plan["conversion"]["back"]["quantity"]
    assert found is not None
    assert found.base is not None
    assert found.base.cash > EUROS + order.quantity - 3
    again = euros.finish(euros.submit(ACCOUNT, Command.PRINT_REBALANCE)).result
    assert again is not None
    assert again["orders"] == []
