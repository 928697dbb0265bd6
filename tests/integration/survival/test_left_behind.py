"""Orders that outlive whoever sent them: found late, of ended events, or behind a window of the gateway."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import pytest
from sqlalchemy import select

from rebalancer.domain.commands import Command
from rebalancer.domain.outcomes import FOREVER
from rebalancer.domain.portfolio import OrderType
from rebalancer.ledger import events, halts, ownership, unaccounted_orders
from rebalancer.ledger.models import Event, Order
from rebalancer.ledger.run import Run
from rebalancer.ledger.states import EventState
from sandbox.gateway.server import Gateway
from tests.integration.ibkr.serving import connected, order, until
from tests.integration.state_machine.site import an_order
from tests.integration.survival.harness import ACCOUNT, LEASE, Bench
from tests.integration.survival.windows import ONCE, again, click, held, restart, resume, swallow


def never_sent(here: Bench, event_id: UUID) -> str:
    """A run of the event settles its order as never sent, and fails; the order's ref."""
    claim = ownership.claim(here.ledger, event_id, "bench", LEASE)
    assert claim is not None
    run = Run(here.ledger, claim, LEASE)
    proposed, request = an_order(claim, 1)
    run.intend([(proposed, request)])
    run.never_sent([request.order_ref], "in none of the broker's lists")
    run.end(lambda session: events.fail(session, claim, "boom", timedelta()))
    return request.order_ref


@contextmanager
def working(here: Bench, ref: str) -> Iterator[None]:
    """The order reaches the broker after all, and works."""
    far = order(ref, account_id=ACCOUNT, order_type=OrderType.LIMIT, limit_price=Decimal(10), contract_id=1000)
    with connected(here.served, client_id=55) as late:
        updates = late.execute([far], 20, lambda: None)
        next(updates)
        until(lambda: ref in here.refs)
        updates.close()  # type: ignore[attr-defined]
    yield


def open_orders(here: Bench) -> int:
    def count(gateway: Gateway) -> int:
        return len(gateway.exchange.book.open_orders(ACCOUNT))

    return here.served.do(count)


def unsettled(here: Bench) -> list[str]:
    with here.ledger.begin() as session:
        return list(session.scalars(select(Order.order_ref).where(Order.final_at.is_(None))))


def event(here: Bench, event_id: UUID) -> Event:
    with here.ledger.begin() as session:
        return session.get_one(Event, event_id)


def test_an_order_that_comes_to_light_after_it_was_settled_is_cancelled(here: Bench) -> None:
    """Case: an account on target kept it: only a plan with orders cleared the table."""
    here.finish(here.request())
    event_id = here.request()
    ref = never_sent(here, event_id)
    with working(here, ref):
        assert open_orders(here) == 1
        assert here.attempt(event_id).state is EventState.SUCCEEDED
    assert open_orders(here) == 0
    assert unsettled(here) == []
    assert here.positions == here.wanted


# -- removed, and a window keeps its order back --------------------------------------------------------------------


def removed_behind_a_window(here: Bench) -> UUID:
    swallow(here, **ONCE)
    event_id: UUID = held(here)
    here.remove(event_id)
    assert here.attempt(event_id).state is EventState.HELD, "nobody knows what became of its order"
    soon = event(here, event_id).due_at - datetime.now(UTC)
    assert timedelta(minutes=1) < soon < timedelta(minutes=6)
    return event_id


def test_a_removed_event_ends_when_the_window_was_confirmed(here: Bench) -> None:
    event_id = removed_behind_a_window(here)
    click(here)
    assert again(here, event_id).state is EventState.REMOVED
    here.prove_books()


def test_a_removed_event_ends_when_the_gateway_has_restarted(here: Bench) -> None:
    event_id = removed_behind_a_window(here)
    restart(here)
    assert again(here, event_id).state is EventState.REMOVED
    here.prove_books()


def test_a_removed_event_ends_when_a_person_has_looked(here: Bench) -> None:
    event_id = removed_behind_a_window(here)
    click(here, send=False)
    resume(here)
    assert again(here, event_id).state is EventState.REMOVED
    here.prove_books()


def test_a_persons_halt_keeps_nobody_from_asking_again_for_a_silent_order(here: Bench) -> None:
    swallow(here, GLD={"times": 1})
    event_id = here.request()

    def wary() -> None:
        until(lambda: here.served.do(lambda gateway: len(gateway.exchange.windows.waiting)) > 0, 20)
        with here.ledger.begin() as session:
            halts.halt_too(session, ACCOUNT, "wary", "ann")

    halting = threading.Thread(target=wary)
    halting.start()
    assert here.attempt(event_id).state is EventState.HELD
    halting.join()
    assert again(here, event_id).state is EventState.HELD
    assert event(here, event_id).due_at < datetime.now(UTC) + timedelta(minutes=16)
    click(here)
    assert again(here, event_id).state is EventState.HELD
    assert open_orders(here) == 0
    assert unsettled(here) == []
    assert event(here, event_id).due_at == FOREVER


# -- of ended events -----------------------------------------------------------------------------------------------


def left_by_an_ended_event(here: Bench) -> str:
    """As an older program may have left it: the event ended, its order did not."""
    event_id = here.request()
    claim = ownership.claim(here.ledger, event_id, "bench", LEASE)
    assert claim is not None
    run = Run(here.ledger, claim, LEASE)
    proposed, request = an_order(claim, 1)
    run.intend([(proposed, request)])
    run.end(lambda session: events.succeed(session, claim, {}))
    return request.order_ref


def adopted(here: Bench) -> list[UUID]:
    with here.ledger.begin() as session:
        return unaccounted_orders.adopt(session)


@pytest.mark.parametrize("command", [None, Command.PRINT_EQUITY])
def test_an_event_is_opened_for_them_once_if_no_other_looks_after_orders(here: Bench, command: Command | None) -> None:
    ref = left_by_an_ended_event(here)
    if command is not None:
        here.request(command)
    with working(here, ref):
        (event_id,) = adopted(here)
        assert adopted(here) == []
        assert here.attempt(event_id).state is EventState.REMOVED
    assert open_orders(here) == 0
    assert unsettled(here) == []
    assert here.refs == [ref], "it trades nothing"


@pytest.mark.parametrize("command", [Command.REBALANCE, Command.CANCEL_ORDERS])
def test_whoever_touches_orders_next_looks_after_them(here: Bench, command: Command) -> None:
    ref = left_by_an_ended_event(here)
    event_id = here.request(command)
    assert adopted(here) == []
    with here.ledger.begin() as session:
        assert events.remove(session, event_id, "by hand") is EventState.QUEUED, "it looks after them before it ends"
    with working(here, ref):
        assert here.attempt(event_id).state is EventState.REMOVED
    assert open_orders(here) == 0
    assert unsettled(here) == []


def test_an_account_without_such_orders_is_left_alone(here: Bench) -> None:
    here.finish(here.request())
    assert adopted(here) == []
    event_id = here.request()
    with here.ledger.begin() as session:
        assert events.remove(session, event_id, "by hand") is EventState.REMOVED
