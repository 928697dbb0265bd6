"""The connection's life: one socket, quick failures, recovery, and a fork that harms nobody."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator

import pytest

from rebalancer.domain.errors import GatewayUnavailable
from rebalancer.ibkr import ClientIdInUse, Connection, ConnectionOptions, FixedClientId, IbkrBroker
from sandbox.gateway.behaviour import Admission, Delivery, Incoming
from sandbox.gateway.exchange_events import SystemNotice
from tests.integration.ibkr.serving import Script, ServedGateway, burst, connected, serving, until

NEXT_IDS, CURRENT_TIME, OPEN_ORDERS_END, POSITIONS, COMPLETED_ORDERS = 8, 49, 53, 74, 99


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
def served(script: Script) -> Iterator[ServedGateway]:
    with serving(script) as served:
        yield served


def test_one_socket_serves_every_call_of_every_thread(served: ServedGateway) -> None:
    with connected(served) as broker:
        threads = [threading.Thread(target=broker.snapshot, args=(account,)) for account in ["DU1", "DU2"] * 5]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert broker.snapshot("DU1").cash == 100_000
        assert served.do(lambda gateway: gateway.client_ids) == [7]


def test_nothing_is_connected_before_the_first_call(served: ServedGateway) -> None:
    with connected(served):
        assert served.do(lambda gateway: gateway.connections) == []


@pytest.mark.alone
def test_client_id_in_use_fails_at_once(served: ServedGateway, script: Script) -> None:
    script.taken.add(7)
    with connected(served) as broker:
        started = time.monotonic()
        with pytest.raises(ClientIdInUse, match=r"client id 7 in use \(326\)"):
            broker.managed_accounts()
        assert time.monotonic() - started < 1


def test_the_same_client_id_works_once_the_gateway_lets_go_of_it(served: ServedGateway, script: Script) -> None:
    script.taken.add(7)
    with connected(served) as broker:
        with pytest.raises(ClientIdInUse):
            broker.managed_accounts()
        script.taken.clear()
        assert broker.managed_accounts() == {"DU1", "DU2"}


def test_closed_port_fails_at_once() -> None:
    with serving() as served:
        port = served.port
    connection = Connection(ConnectionOptions("127.0.0.1", port), FixedClientId(7))
    with pytest.raises(GatewayUnavailable, match=r"127\.0\.0\.1"):
        IbkrBroker(connection).managed_accounts()
    connection.close()


def test_gateway_that_accepts_and_says_nothing_is_given_up(served: ServedGateway, script: Script) -> None:
    script.greeting = Admission.SILENCE
    with connected(served, connect_timeout_s=0.3) as broker:
        started = time.monotonic()
        with pytest.raises(GatewayUnavailable):
            broker.managed_accounts()
        assert time.monotonic() - started < 2


@pytest.mark.alone
def test_gateway_that_resets_the_greeting_fails_at_once(served: ServedGateway, script: Script) -> None:
    script.greeting = Admission.RESET
    with connected(served) as broker:
        started = time.monotonic()
        with pytest.raises(GatewayUnavailable):
            broker.managed_accounts()
        assert time.monotonic() - started < 1


@pytest.mark.alone
def test_read_only_gateway_is_named_at_once(served: ServedGateway, script: Script) -> None:
    """It answers the request for open orders with 321 instead of a list; ib_async would wait for the list."""
    refusal = (4, 2, -1, 321, "The API interface is currently in Read-Only mode.", "")
    script.change = lambda message: (Delivery(refusal if message[0] == OPEN_ORDERS_END else message),)
    with connected(served) as broker:
        started = time.monotonic()
        with pytest.raises(GatewayUnavailable, match=r"321.*Read-Only"):
            broker.managed_accounts()
        assert time.monotonic() - started < 1


def test_an_idle_connection_comes_back_by_itself_until_it_is_closed(served: ServedGateway, script: Script) -> None:
    with connected(served) as broker:
        link = broker._connection
        link.stay_connected()
        until(lambda: link.status().connected)
        script.greeting = Admission.RESET
        served.do(lambda gateway: gateway.disconnect_all())
        until(lambda: served.do(lambda gateway: len(gateway.connections)) >= 3)
        assert not link.status().connected
        script.greeting = Admission.WELCOME
        until(lambda: link.status().connected)
        assert broker.snapshot("DU1").cash == 100_000
    tried = served.do(lambda gateway: len(gateway.connections))
    until(lambda: served.do(lambda gateway: not gateway._clients))
    assert served.do(lambda gateway: len(gateway.connections)) == tried


def test_lost_connection_is_renewed_by_the_next_call(served: ServedGateway) -> None:
    with connected(served) as broker:
        broker.snapshot("DU1")
        served.do(lambda gateway: gateway.disconnect_all())
        until(lambda: not broker._connection.status().connected)
        assert broker.snapshot("DU1").cash == 100_000
        assert served.do(lambda gateway: gateway.client_ids) == [7, 7]


def test_no_answer_is_an_error_not_an_empty_account(served: ServedGateway, script: Script) -> None:
    with connected(served, request_timeout_s=0.2) as broker:
        broker.snapshot("DU1")
        script.requests[POSITIONS] = Incoming.IGNORE
        with pytest.raises(GatewayUnavailable, match="no answer to the request for positions"):
            broker.snapshot("DU1")


def test_unanswered_shared_request_ends_the_connection(served: ServedGateway, script: Script) -> None:
    """A late answer would be taken for the next request's."""
    with connected(served, request_timeout_s=0.2) as broker:
        broker.snapshot("DU1")
        script.requests[COMPLETED_ORDERS] = Incoming.IGNORE
        with pytest.raises(GatewayUnavailable):
            broker.order_refs("DU1")
        script.requests.clear()
        assert broker.snapshot("DU1").cash == 100_000
        assert served.do(lambda gateway: gateway.client_ids) == [7, 7]


def test_frozen_gateway_is_noticed_by_the_heartbeat(served: ServedGateway, script: Script) -> None:
    with connected(served, heartbeat_s=0.05, heartbeat_timeout_s=0.1) as broker:
        broker.managed_accounts()
        script.requests[CURRENT_TIME] = Incoming.IGNORE
        until(lambda: not broker._connection.status().connected)
        assert "heartbeat" in (broker._connection.status().trouble or "")


def test_heartbeat_does_not_wait_behind_other_requests(served: ServedGateway) -> None:
    """A hundred queued requests would otherwise make a living gateway look dead."""
    with connected(served, heartbeat_s=0.3, heartbeat_timeout_s=0.5, messages_per_s=20) as broker:
        broker.managed_accounts()
        broker._connection.post(lambda: burst(broker, 24))
        until(lambda: served.do(lambda gateway: gateway.message_counts[NEXT_IDS]) == 24)
        assert served.do(lambda gateway: gateway.message_counts[CURRENT_TIME]) > 2
        assert broker._connection.status().connected


def test_frozen_gateway_fails_by_the_deadline(served: ServedGateway, script: Script) -> None:
    with connected(served, request_timeout_s=0.3) as broker:
        broker.snapshot("DU1")
        script.change = lambda _message: ()
        started = time.monotonic()
        with pytest.raises(GatewayUnavailable):
            broker.snapshot("DU1")
        assert time.monotonic() - started < 2


def test_while_ibkr_is_away_nothing_is_asked(served: ServedGateway) -> None:
    with connected(served) as broker:
        broker.managed_accounts()
        served.do(lambda gateway: gateway._broadcast(SystemNotice(1100, "Connectivity has been lost.")))
        until(lambda: broker._connection.status().trouble is not None)
        with pytest.raises(GatewayUnavailable, match="1100"):
            broker.snapshot("DU1")
        served.do(lambda gateway: gateway._broadcast(SystemNotice(1102, "Connectivity has been restored.")))
        until(lambda: broker._connection.status().trouble is None)
        assert broker.snapshot("DU1").cash == 100_000


def test_when_ibkr_stays_away_the_connection_is_made_anew(served: ServedGateway) -> None:
    """A gateway that forgot to say 1102 must not block the process for ever."""
    with connected(served, upstream_patience_s=0.0) as broker:
        broker.managed_accounts()
        served.do(lambda gateway: gateway._broadcast(SystemNotice(1100, "Connectivity has been lost.")))
        until(lambda: broker._connection.status().trouble is not None)
        with pytest.raises(GatewayUnavailable, match="1100"):
            broker.snapshot("DU1")
        assert broker.snapshot("DU1").cash == 100_000


def test_messages_stay_below_the_limit_and_none_is_lost() -> None:
    with serving(gateway={"messages_per_window": 50, "message_window_s": "0.9"}) as served, connected(served) as broker:
        for _ in range(40):
            broker.snapshot("DU1")
        refused = [record.refused for record in served.do(lambda gateway: gateway.connections)]
        assert refused == [None]


def test_child_of_a_fork_connects_anew_and_leaves_the_parents_socket_alone(served: ServedGateway) -> None:
    with connected(served) as broker:
        broker.snapshot("DU1")
        child = os.fork()
        if child == 0:
            os._exit(child_work(broker))
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == 0
        assert broker.snapshot("DU1").cash == 100_000
        assert served.do(lambda gateway: gateway.client_ids) == [7, 8]


def child_work(broker: IbkrBroker) -> int:
    """Exit code 0 if the inherited broker works in the child, under an id of its own."""
    try:
        broker._connection._client_ids = FixedClientId(8)
        cash = broker.snapshot("DU1").cash
        broker._connection.close()
    except Exception:  # noqa: BLE001 - the edge of a process
        return 1
    return 0 if cash == 100_000 else 2


def test_garbled_bytes_end_in_an_error_not_in_values(served: ServedGateway, script: Script) -> None:
    with connected(served, request_timeout_s=0.3) as broker:
        broker.snapshot("DU1")
        script.change = lambda message: (Delivery((message[0], "?")),)
        with pytest.raises(GatewayUnavailable):
            broker.snapshot("DU1")
