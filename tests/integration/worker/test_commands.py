"""The six commands, executed by a real Celery worker against the simulated gateway. Each test has its account."""

from __future__ import annotations

from collections import Counter

import httpx
from sqlalchemy import func, select

from rebalancer.domain.commands import Command
from rebalancer.ledger.models import FillRow, Order
from tests.integration.ibkr.serving import connected, limit
from tests.world import World, held, until

PLACE_ORDER = 3
TARGETS = {"EDC", "QLD", "QQQ", "BTAL", "SPXL", "TQQQ"}


def orders_of(working: World, account: str) -> list[str]:
    """Order refs that the gateway has seen for an account."""
    return working.gateway.do(
        lambda gateway: [one.ticket.order_ref for one in gateway.orders if one.account == account]
    )


def test_print_positions_records_what_the_gateway_holds(working: World) -> None:
    result = working.finish(working.submit("DU1000006", Command.PRINT_POSITIONS)).result
    assert result is not None
    recorded = {row["symbol"]: row["quantity"] for row in result["positions"]}
    assert recorded == {symbol: str(quantity) for symbol, quantity in held(working, "DU1000006").items()}
    assert recorded["QQQ"] == "4.3127"


def test_print_equity_records_net_liquidation(working: World) -> None:
    result = working.finish(working.submit("DU1000001", Command.PRINT_EQUITY)).result
    assert result is not None
    assert (result["net_liquidation"], result["cash"]) == ("250000.00", "250000.00")


def test_preview_and_live_agree_and_live_ends_on_target(working: World) -> None:
    preview = working.finish(working.submit("DU1000007", Command.PRINT_REBALANCE)).result
    assert preview is not None
    assert preview["execution_mode"] == "dry_run"
    assert Counter(order["action"] for order in preview["orders"]) == {"SELL": 2, "BUY": 6}
    assert orders_of(working, "DU1000007") == []

    live = working.finish(working.submit("DU1000007", Command.REBALANCE)).result
    assert live is not None
    assert [order["status"] for order in live["orders"]] == ["Filled"] * 8
    sent = [(order["action"], order["symbol"], order["quantity"]) for order in live["orders"]]
    assert sent == [(order["action"], order["symbol"], order["quantity"]) for order in preview["orders"]]
    assert set(held(working, "DU1000007")) == TARGETS

    left = working.finish(working.submit("DU1000007", Command.PRINT_REBALANCE)).result
    assert left is not None
    assert left["orders"] == []


def test_the_ledger_knows_every_order_fill_and_cent(working: World) -> None:
    report = working.finish(working.submit("DU1000005", Command.REBALANCE))
    with working.ledger.begin() as session:
        refs = session.scalars(select(Order.order_ref).where(Order.account_id == "DU1000005")).all()
        paid = session.scalar(select(func.sum(FillRow.commission)).where(FillRow.account_id == "DU1000005"))
        unsettled = session.scalar(select(func.count()).where(Order.final_at.is_(None)))
    assert sorted(orders_of(working, "DU1000005")) == sorted(refs)
    assert report.commissions == paid
    assert paid == working.gateway.do(
        lambda gateway: sum(one.commission for one in gateway.executions if one.order.account == "DU1000005")
    )
    assert unsettled == 0


def test_sells_are_filled_before_the_first_buy_is_sent(working: World) -> None:
    working.finish(working.submit("DU1000002", Command.REBALANCE))
    orders = working.gateway.do(lambda gateway: [one for one in gateway.orders if one.account == "DU1000002"])
    last_sell = max(order.ended_at for order in orders if order.side == "SELL" and order.ended_at)
    assert min(order.placed_at for order in orders if order.side == "BUY") >= last_sell


def test_an_account_on_target_is_left_alone(working: World) -> None:
    working.finish(working.submit("DU1000004", Command.REBALANCE))
    assert orders_of(working, "DU1000004") == []


def test_open_orders_are_shown_then_cancelled(working: World) -> None:
    contract_id = working.gateway.do(lambda gateway: gateway.setup.instruments["QQQ"].con_id)
    foreign = limit("by-another-client", "10", account_id="DU1000001", contract_id=contract_id, symbol="QQQ")
    with connected(working.gateway, client_id=900) as broker:
        next(broker.execute([foreign], 30, lambda: None))
        until(lambda: bool(broker.open_orders("DU1000001")))
    shown = working.finish(working.submit("DU1000001", Command.PRINT_ORDERS)).result
    assert shown is not None
    assert [order["symbol"] for order in shown["orders"]] == ["QQQ"]
    cancelled = working.finish(working.submit("DU1000001", Command.CANCEL_ORDERS)).result
    assert cancelled is not None
    assert [order["order_ref"] for order in cancelled["cancelled_orders"]] == ["by-another-client"]
    left = working.finish(working.submit("DU1000001", Command.PRINT_ORDERS)).result
    assert left is not None
    assert left["orders"] == []


def test_the_gateway_is_asked_once_and_never_polled(working: World) -> None:
    working.finish(working.submit("DU1000001", Command.PRINT_REBALANCE))
    before = working.gateway.do(lambda gateway: gateway.message_counts)
    working.finish(working.submit("DU1000001", Command.REBALANCE))
    asked = working.gateway.do(lambda gateway: gateway.message_counts) - before
    assert asked.pop(PLACE_ORDER) == 6
    assert max(asked.values()) <= 6, asked  # what is asked per symbol is asked once


def test_the_ira_holds_the_replacement_instead(working: World) -> None:
    url = f"{working.allocations.url}/etf-blend-301-20/allocations"
    shares = {"SPY": 0.6, "UVXY": 0.2, "VXX": 0.2}
    body = {"allocations": [{"symbol": symbol, "allocation": share} for symbol, share in shares.items()]}
    httpx.put(url, json=body, headers={"x-api-key": "sandbox"}).raise_for_status()
    working.finish(working.submit("DU1000003", Command.REBALANCE))
    assert set(held(working, "DU1000003")) == {"SPY", "VXX"}
