"""Answers that were asked for together: each is given out once, while it is fresh and nothing was sent since."""

from __future__ import annotations

from datetime import timedelta

import pytest

from rebalancer.ibkr import ahead
from sandbox.gateway.server import Gateway
from tests.integration.ibkr.serving import ServedGateway, connected, executing, limit, serving

POSITIONS, OPEN_ORDERS, COMPLETED, EXECUTIONS, VALUES, TIME = 74, 16, 99, 7, 76, 49


def asked(served: ServedGateway) -> list[int]:
    """How often each of the questions has reached the gateway."""

    def count(gateway: Gateway) -> list[int]:
        return [gateway.message_counts[one] for one in (POSITIONS, OPEN_ORDERS, COMPLETED, EXECUTIONS, VALUES, TIME)]

    return served.do(count)


def test_what_was_asked_ahead_is_not_asked_again() -> None:
    with serving() as served, connected(served) as broker:
        broker.snapshot("DU1")
        before = asked(served)
        broker.look_ahead("DU1", first=True)
        refs, snapshot = broker.order_refs("DU1"), broker.snapshot("DU1")
        assert (refs, broker.open_orders("DU1"), snapshot.cash) == ({}, (), 100_000)
        assert broker.clock_ahead() == timedelta(), "as the heartbeat of the handshake has found"
        assert [after - earlier for earlier, after in zip(before, asked(served), strict=True)] == [1] * 5 + [0]


def test_each_answer_is_given_out_once() -> None:
    with serving() as served, connected(served) as broker:
        broker.look_ahead("DU1")
        broker.snapshot("DU1")
        before = asked(served)[0]
        broker.snapshot("DU1")
        assert asked(served)[0] == before + 1


def test_another_account_has_answers_of_its_own() -> None:
    with serving() as served, connected(served) as broker:
        broker.look_ahead("DU1")
        assert broker.snapshot("DU2").cash == 50_000


def test_after_an_order_everything_is_asked_anew() -> None:
    with serving() as served, connected(served) as broker:
        broker.look_ahead("DU1")
        assert len(list(executing(broker, [limit("a", "500")], 5))) > 1
        snapshot = broker.snapshot("DU1")
        assert {one.symbol: one.quantity for one in snapshot.positions}["SPY"] == 60
        assert list(broker.order_refs("DU1")) == ["a"]


def test_what_nobody_took_in_time_is_asked_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(gateway={"clock_ahead_s": 30}) as served, connected(served) as broker:
        broker.snapshot("DU1")
        broker.look_ahead("DU1")
        for _ in range(2):
            broker.clock_ahead()  # whose answer comes after those
        monkeypatch.setattr(ahead, "FRESH_S", -1.0)
        broker.open_orders("DU1")
        broker.snapshot("DU1")
        assert asked(served)[:2] == [3, 2], (
            "a snapshot, what was asked ahead, and once more; the handshake asks for open orders of its own"
        )
