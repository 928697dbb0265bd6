"""What the broker says beforehand, over a real socket."""

from __future__ import annotations

import pytest

from rebalancer.domain.errors import Refused
from sandbox.gateway.behaviour import Delivery
from tests.integration.ibkr.serving import Script, connected, order, serving

OPEN_ORDER = "5"


def test_a_what_if_order_tells_the_margin_and_is_never_placed() -> None:
    with serving() as served, connected(served) as broker:
        change = broker.what_if(order("what-if", quantity=10), 5)
        assert change is not None
        assert 990 < change.initial < 1010
        assert change.commission == 1
        assert served.do(lambda gateway: list(gateway.orders)) == []
        assert broker.open_orders("DU1") == ()


def test_what_the_broker_would_refuse_is_refused_with_its_words() -> None:
    with serving() as served, connected(served) as broker, pytest.raises(Refused) as caught:
        broker.what_if(order("what-if", quantity=10_000), 5)
    assert caught.value.rule == "what_if_refused"
    assert caught.value.numbers["code"] == "201"
    assert "insufficient funds" in caught.value.reason


def test_an_answer_without_margins_is_waited_through_and_none_at_all_does_not_hang() -> None:
    late = Script()
    late.margins_late = lambda: True  # type: ignore[method-assign]
    with serving(late) as served, connected(served) as broker:
        change = broker.what_if(order("what-if"), 5)
        assert change is not None
    silent = Script()
    silent.change = lambda message: () if str(message[0]) == OPEN_ORDER else (Delivery(message),)
    with serving(silent) as served, connected(served) as broker:
        assert broker.what_if(order("what-if"), 0.3) is None
