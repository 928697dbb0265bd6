"""Order styles over every real part: settings, accounts file, worker, ledger, and what is shown of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from redis import Redis
from sqlalchemy import select

from rebalancer.costs.styles import by_style
from rebalancer.domain.commands import Command
from rebalancer.domain.order_styles import OrderStyle
from rebalancer.ledger.models import Order
from rebalancer.ledger.queries import costs, exports
from rebalancer.ledger.queries.costs import OrderSpan
from rebalancer.ledger.queries.event_history import event_history
from rebalancer.ledger.session import Ledger
from rebalancer.runner.servers import RunningServer
from sandbox.gateway.fault_settings import Faults
from tests.world import World, held, kill, until, world

ACCOUNT = "DU1000002"
OWN = f"""accounts:
  - {{account_id: {ACCOUNT}, type: paper, strategy_name: etf-blend-301-20, order_style: midprice}}
order_styles:
  symbols: {{QQQ: adaptive-urgent, BTAL: walk}}
"""


@contextmanager
def styled_world(folder: Path, ledger: Ledger, redis_server: RunningServer, **scenario: Any) -> Iterator[World]:
    Redis.from_url(redis_server.url).flushall()
    with world(folder, ledger, redis_server.url, **scenario) as made:
        (made.folder / "accounts.yaml").write_text(OWN)
        yield made


@pytest.fixture
def styled(tmp_path: Path, ledger: Ledger, redis_server: RunningServer) -> Iterator[World]:
    with styled_world(tmp_path, ledger, redis_server) as made:
        yield made


def orders_of(here: World) -> list[Order]:
    with here.ledger.begin() as session:
        found = list(session.scalars(select(Order).where(Order.account_id == ACCOUNT).order_by(Order.created_at)))
        session.expunge_all()
    return found


def work(here: World, **settings: Any) -> None:
    here.start_worker(**{"STYLE_PATIENCE_S": "1", "WALK_STEP_S": "0.3", **settings})


def test_styles_are_on_record_from_preview_to_costs(styled: World) -> None:
    work(styled)
    preview = styled.finish(styled.submit(ACCOUNT, Command.PRINT_REBALANCE)).result
    event_id = styled.submit(ACCOUNT, Command.REBALANCE)
    styled.finish(event_id)
    orders = orders_of(styled)
    assert preview is not None
    shown = {one["symbol"]: (one["style"], one["style_why"]) for one in preview["orders"]}
    first = {one.symbol: (one.style, one.style_why) for one in reversed(orders)}
    assert first == shown
    assert {style for style, _ in shown.values()} >= {"midprice", "adaptive-urgent"}
    assert {why for _, why in shown.values()} <= {"account", "symbol QQQ", "symbol BTAL"}
    assert {one.order_type for one in orders if one.style == OrderStyle.MIDPRICE} == {"MIDPRICE"}
    with styled.ledger.begin() as session:
        history = event_history(session, event_id)
    assert history is not None
    (attempt,) = history.attempts
    assert attempt.plan is not None
    assert {symbol: one["style"] for symbol, one in attempt.plan["styles"].items()} == {
        symbol: style for symbol, (style, _) in shown.items()
    }
    assert all(f"; {one.style}: {one.style_why}" in one.why for one in attempt.orders)
    assert exports.orders(styled.ledger).head[-3:] == ["style", "style_why", "style_instead_of"]
    found = by_style(costs.sent_orders(styled.ledger, OrderSpan()))
    assert {one.style for one in found} == {one.style for one in orders}
    assert sum(one.costs.orders for one in found) == len([one for one in orders if one.filled])
    # A middle price costs no spread: its impact takes off what the spread adds.
    middle = next(one.costs.shortfall for one in found if one.style == OrderStyle.MIDPRICE)
    assert abs(middle.spread + middle.impact + middle.delay) < Decimal("0.01") * Decimal(middle.worth) / 100


def test_what_the_broker_refuses_for_its_style_is_sent_plainly_in_the_same_run(styled: World) -> None:
    refusing = Faults(refused_styles=frozenset({"MIDPRICE"}))
    styled.gateway.do(lambda gateway: gateway.set_faults(refusing))
    work(styled, STYLE_PATIENCE_S="30")
    styled.finish(styled.submit(ACCOUNT, Command.REBALANCE))
    orders = orders_of(styled)
    refused = [one for one in orders if one.style == OrderStyle.MIDPRICE]
    plain = [one for one in orders if one.style_instead_of == OrderStyle.MIDPRICE]
    assert refused
    assert {one.symbol for one in plain} == {one.symbol for one in refused}
    assert {(one.style, one.order_type, one.attempt) for one in plain} == {("market", "MKT", 1)}
    assert all("387" in (one.style_why or "") for one in plain)
    assert {one.filled for one in refused} == {0}
    assert "style_refused" in styled.logs()
    found = {one.style: one for one in by_style(costs.sent_orders(styled.ledger, OrderSpan()))}
    assert found["midprice"].fell_back == len(refused)


def test_a_worker_that_dies_amid_a_walk_leaves_nothing_that_the_next_does_not_find(styled: World) -> None:
    never = Faults.model_validate({"fills": {"BTAL": {"mode": "never"}}})
    styled.gateway.do(lambda gateway: gateway.set_faults(never))
    first = styled.start_worker(STYLE_PATIENCE_S="10", WALK_STEP_S="2")
    event_id = styled.submit(ACCOUNT, Command.REBALANCE)
    until(lambda: len([one for one in orders_of(styled) if one.style == OrderStyle.WALK]) >= 2)
    kill(first)
    styled.gateway.do(lambda gateway: gateway.set_faults(Faults()))
    styled.start_beat()
    work(styled)
    styled.finish(event_id)
    orders = orders_of(styled)
    assert {one.attempt for one in orders} == {1, 2}
    assert all(one.final_at is not None for one in orders)
    assert held(styled, ACCOUNT)["BTAL"] == sum(one.filled for one in orders if one.symbol == "BTAL")
    assert styled.gateway.do(lambda gateway: list(gateway.exchange.book.open_orders(ACCOUNT))) == []


def test_orders_for_the_close_rest_until_the_auction_and_end_the_event(
    tmp_path: Path, ledger: Ledger, redis_server: RunningServer
) -> None:
    closes = {"mode": "open", "closes": datetime.now(UTC) + timedelta(minutes=13)}
    cash_alone = {ACCOUNT: {"margin": True, "cash": 100_000}}
    with styled_world(tmp_path, ledger, redis_server, market=closes, accounts=cash_alone) as here:
        (here.folder / "accounts.yaml").write_text(OWN.replace("midprice", "moc"))
        work(here)
        event_id = here.submit(ACCOUNT, Command.REBALANCE)
        resting = {"EDC", "QLD", "SPXL"}

        def rest() -> set[str]:
            return here.gateway.do(
                lambda gateway: {
                    one.symbol for one in gateway.exchange.book.open_orders(ACCOUNT) if one.ticket.order_type == "MOC"
                }
            )

        until(lambda: rest() >= resting, describe=lambda: str(here.event(event_id)))
        assert set(held(here, ACCOUNT)) >= {"QQQ", "BTAL"}, "what does not wait is bought before"
        # Longer than the lease, which is renewed: the event is still the same run's.
        until(lambda: datetime.now(UTC) > sent_at(here) + timedelta(seconds=8))
        assert here.event(event_id).state == "running"
        here.gateway.do(lambda gateway: gateway.exchange.hold_auction())
        here.finish(event_id)
        assert {one.attempt for one in orders_of(here)} == {1}
        assert {one.style for one in orders_of(here) if one.symbol in resting} == {"moc"}


def sent_at(here: World) -> datetime:
    return max(one.created_at for one in orders_of(here))


def test_an_event_whose_orders_are_for_the_close_is_held_until_then(
    tmp_path: Path, ledger: Ledger, redis_server: RunningServer
) -> None:
    closes = {"mode": "open", "closes": datetime.now(UTC) + timedelta(hours=2)}
    cash_alone = {ACCOUNT: {"margin": True, "cash": 100_000}}
    with styled_world(tmp_path, ledger, redis_server, market=closes, accounts=cash_alone) as here:
        (here.folder / "accounts.yaml").write_text(OWN.replace("midprice", "loc"))
        work(here)
        event_id = here.submit(ACCOUNT, Command.REBALANCE)
        until(lambda: here.event(event_id).state == "held", describe=lambda: str(here.event(event_id)))
        event = here.event(event_id)
        assert "wait for the closing auction, orders go out from" in event.reason
        assert event.due_at > datetime.now(UTC) + timedelta(minutes=90)
        assert set(held(here, ACCOUNT)) == {"QQQ", "BTAL"}
