"""Client ids of a range: the gateway alone says which are taken, and nobody's word ends an open session."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from rebalancer.domain.errors import GatewayUnavailable
from rebalancer.ibkr import ClientIdInUse, ClientIdRange, Connection, ConnectionOptions, IbkrBroker
from rebalancer.ibkr.connection import REFUSALS_BEFORE_ANOTHER
from tests.integration.ibkr.serving import Script, ServedGateway, serving, until


@contextmanager
def ranged(served: ServedGateway, count: int = 3) -> Iterator[IbkrBroker]:
    """A broker of a process that shares the ids from 100 on."""
    link = Connection(ConnectionOptions("127.0.0.1", served.port), ClientIdRange(100, count))
    try:
        yield IbkrBroker(link)
    finally:
        link.close()


def id_of(broker: IbkrBroker) -> int | None:
    broker.managed_accounts()
    return broker._connection.status().client_id


def lose_connection(served: ServedGateway, broker: IbkrBroker) -> None:
    served.do(lambda gateway: gateway.disconnect_all())
    until(lambda: not broker._connection.status().connected)


def test_each_process_gets_the_lowest_free_id() -> None:
    with serving() as served, ranged(served) as one, ranged(served) as two, ranged(served) as three:
        assert [id_of(broker) for broker in (one, two, three)] == [100, 101, 102]


def test_processes_that_start_together_never_share_an_id() -> None:
    with serving() as served, ExitStack() as stack:
        brokers = [stack.enter_context(ranged(served, 20)) for _ in range(6)]
        threads = [threading.Thread(target=broker.managed_accounts) for broker in brokers]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(id_of(broker) or 0 for broker in brokers) == [100, 101, 102, 103, 104, 105]


def test_an_id_is_free_as_soon_as_its_connection_is_closed() -> None:
    with serving() as served, ranged(served, 2) as one, ranged(served, 2) as two:
        assert (id_of(one), id_of(two)) == (100, 101)
        one._connection.close()
        with ranged(served, 2) as three:
            assert id_of(three) == 100


def test_no_free_id_is_an_error_that_names_them_until_one_is_free() -> None:
    with serving() as served, ranged(served, 2) as one, ranged(served, 2) as two, ranged(served, 2) as three:
        assert (id_of(one), id_of(two)) == (100, 101)
        with pytest.raises(GatewayUnavailable, match=r"all 2 client ids are in use \(326\).*client id 101"):
            three.managed_accounts()
        two._connection.close()
        assert id_of(three) == 101


def test_a_lost_connection_comes_back_under_its_own_id_although_a_lower_one_is_free() -> None:
    with serving() as served, ranged(served) as one, ranged(served) as two:
        assert (id_of(one), id_of(two)) == (100, 101)
        one._connection.close()
        lose_connection(served, two)
        assert id_of(two) == 101


def test_our_own_id_is_insisted_on_before_another_is_taken() -> None:
    """A gateway keeps a dead connection's id for a while, and the orders that we sent answer to it."""
    script = Script()
    with serving(script) as served, ranged(served) as broker:
        assert id_of(broker) == 100
        script.taken.add(100)
        lose_connection(served, broker)
        for _ in range(REFUSALS_BEFORE_ANOTHER):
            with pytest.raises(ClientIdInUse, match="100 in use"):
                broker.managed_accounts()
        assert id_of(broker) == 101


def test_ids_that_somebody_else_uses_are_passed_over_at_once() -> None:
    with serving(Script(taken={100, 101})) as served, ranged(served) as broker:
        assert id_of(broker) == 102


def test_a_second_connection_under_an_id_leaves_the_first_alone() -> None:
    with serving() as served, ranged(served, 1) as one, ranged(served, 1) as two:
        assert id_of(one) == 100
        for _ in range(3):
            with pytest.raises(ClientIdInUse):
                two.managed_accounts()
        assert one.snapshot("DU1").cash == 100_000
        assert served.do(lambda gateway: gateway.connections[0].refused) is None


def test_client_id_zero_is_not_for_use() -> None:
    with pytest.raises(ValueError, match="client id 0"):
        ClientIdRange(0, 3)


def test_no_thread_is_left_after_close() -> None:
    before = threading.active_count()
    with serving() as served, ranged(served) as broker:
        broker.managed_accounts()
    until(lambda: threading.active_count() <= before)


def test_who_is_idle_leaves_a_wanted_id_and_does_not_come_back_to_it() -> None:
    with serving() as served, ranged(served) as one, ranged(served) as two:
        assert (id_of(one), id_of(two)) == (100, 101)
        one._connection.leave_to_others({100})
        until(lambda: not one._connection.status().connected)
        assert id_of(one) == 102
        two._connection.leave_to_others({100})
        lose_connection(served, two)
        assert id_of(two) == 101, "another's id is wanted, not ours"
        one._connection.leave_to_others(())
        one._connection.close()
        assert id_of(one) == 100


def test_who_is_at_work_keeps_its_id_although_it_is_wanted() -> None:
    with serving() as served, ranged(served) as broker:
        assert id_of(broker) == 100
        with broker._connection.in_use():
            broker._connection.leave_to_others({100})
            assert broker.snapshot("DU1").cash == 100_000
            assert id_of(broker) == 100
        broker._connection.leave_to_others({100})
        until(lambda: not broker._connection.status().connected)
        assert id_of(broker) == 101
        assert served.do(lambda gateway: gateway.client_ids) == [100, 101]


def test_an_only_id_that_is_wanted_is_taken_all_the_same() -> None:
    with serving() as served, ranged(served, 1) as broker:
        broker._connection.leave_to_others({100})
        assert id_of(broker) == 100


def test_the_owner_of_an_order_is_wanted_until_its_order_is_cancelled() -> None:
    theirs = {"symbol": "SPY", "side": "BUY", "quantity": 5, "limit_price": 20, "client_id": 101, "order_id": 1}
    accounts = {"DU1": {"cash": 100_000, "open_orders": [theirs]}}
    with serving(accounts=accounts) as served, ranged(served) as one, ranged(served) as two:
        assert (id_of(one), id_of(two)) == (100, 101)
        with pytest.raises(ClientIdInUse, match="client id 101 in use"):
            one.cancel_open_orders("DU1")
        assert one._connection.wanted.now() == [101]
        two._connection.leave_to_others(one._connection.wanted.now())
        until(lambda: not two._connection.status().connected)
        assert [order.client_id for order in one.cancel_open_orders("DU1")] == [101]
        assert one._connection.wanted.now() == []
