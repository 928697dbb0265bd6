"""Orders that a window in the gateway keeps back: nothing is bought or sold twice, whatever the click does and when."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import func, select, update

from rebalancer.commands import Command
from rebalancer.errors import OutcomeUnknown
from rebalancer.ledger import halts
from rebalancer.ledger.models import Event, NoticeRow, Order
from rebalancer.ledger.states import EventState
from rebalancer.notify.kinds import Kind
from rebalancer.ports import Broker
from rebalancer.usecases import print_rebalance
from tests.integration.ibkr.serving import until
from tests.integration.survival.conftest import MakeBench
from tests.integration.survival.dying import Crash
from tests.integration.survival.harness import ACCOUNT, HOLDINGS, OTHER, Bench, Outcome

ONCE = {"*": {"times": 1}}


def swallow(here: Bench, **symbols: Any) -> None:
    here.fault(swallowed_orders=symbols)


def click(here: Bench, *, send: bool = True) -> None:
    """Somebody answers the windows."""
    assert here.served.do(lambda gateway: gateway.exchange.windows.answer(send=send))


def restart(here: Bench) -> None:
    """The gateway restarts, while the worker keeps trying to reach it."""
    here.link.stay_connected()
    before = here.served.do(lambda gateway: len(gateway.client_ids))

    restarting = here.served.gateway.restart(0.4)
    asyncio.run_coroutine_threadsafe(restarting, here.served.loop).result(10)
    until(lambda: here.served.do(lambda gateway: len(gateway.client_ids)) > before)


def resume(here: Bench, account: str = ACCOUNT) -> None:
    with here.ledger.begin() as session:
        assert halts.resume(session, account, "ann") is not None


def statuses(here: Bench, account: str = ACCOUNT) -> dict[str, str]:
    """Status by symbol of the account's orders, the newest of each."""
    with here.ledger.begin() as session:
        found = session.execute(
            select(Order.symbol, Order.status).where(Order.account_id == account).order_by(Order.created_at)
        )
        return {row.symbol: row.status for row in found}


def told(here: Bench) -> list[str]:
    with here.ledger.begin() as session:
        return list(session.scalars(select(NoticeRow.kind).order_by(NoticeRow.id)))


def sent(here: Bench) -> list[str]:
    """Symbols whose orders have reached the book, oldest first."""
    return here.served.do(lambda gateway: [order.symbol for order in gateway.orders])


def again(here: Bench, event_id: Any) -> Outcome:
    """The held event has come due."""
    with here.ledger.begin() as session:
        due = update(Event).where(Event.id == event_id, Event.state == EventState.HELD).values(due_at=func.now())
        session.execute(due)
    return here.attempt(event_id)


def held(here: Bench) -> Any:
    """A run whose order is swallowed; its event."""
    event_id = here.request()
    outcome = here.attempt(event_id)
    assert outcome.state is EventState.HELD, outcome
    assert "look there" in outcome.error
    return event_id


def proven(here: Bench, event_id: Any) -> None:
    """The event succeeds at its next try, on target."""
    outcome = again(here, event_id)
    assert outcome.state is EventState.SUCCEEDED, outcome
    assert here.positions == here.wanted
    here.prove_books()


def test_f26_a_swallowed_order_stops_the_batch_and_holds_the_account(here: Bench) -> None:
    swallow(here, **ONCE)
    event_id = held(here)
    assert sent(here) == []
    assert here.positions == HOLDINGS
    assert sorted(statuses(here).values()) == ["NeverSent", "Unacknowledged"], "the rest was not sent"
    assert told(here).count(Kind.UNACKNOWLEDGED) == 1
    assert again(here, event_id).state is EventState.HELD
    assert told(here).count(Kind.UNACKNOWLEDGED) == 1
    assert sent(here) == []


def test_f26_however_little_time_orders_are_given_silence_is_decided_first(here: Bench) -> None:
    here.settings["order_timeout_s"] = 0.1
    here.patience(ack_timeout_s=1)
    swallow(here, GLD={"times": 1})
    event_id = held(here)
    here.settings["order_timeout_s"] = 1
    click(here)
    proven(here, event_id)


def test_f26_an_order_that_is_clicked_later_is_accounted_for_and_counts(here: Bench) -> None:
    swallow(here, **ONCE)
    event_id = held(here)
    click(here)
    proven(here, event_id)
    assert len(sent(here)) == len(set(sent(here))), "each symbol was traded once"
    assert told(here).count(Kind.ACKNOWLEDGED) == 1


def test_f26_an_order_that_is_clicked_and_keeps_working_is_cancelled(benches: MakeBench) -> None:
    with benches(fills={"by_symbol": {"IWM": {"mode": "never"}}}) as here:
        here.aim()
        swallow(here, **ONCE)
        event_id = held(here)
        click(here)
        here.fault(fills={"*": {"mode": "instant"}})
        proven(here, event_id)


@pytest.mark.parametrize("click_ms", [20, 90, 110, 300, 480, 495, 505, 520, 560, 620, 700])
def test_f26_a_click_around_the_verdict_is_no_second_order(here: Bench, click_ms: int) -> None:
    """Before a look, between deadline, cancel and the last look, and after it: the symbol is traded once."""
    swallow(here, **{"*": {"times": 1, "click_ms": click_ms}})
    event_id = here.request()
    outcome = here.attempt(event_id)
    until(lambda: not here.served.do(lambda gateway: gateway.exchange.windows.waiting))
    for _ in range(3):
        if outcome.state is EventState.HELD:
            outcome = again(here, event_id)
    assert outcome.state is EventState.SUCCEEDED, outcome
    assert here.positions == here.wanted
    here.prove_books()


def test_f26_after_a_restart_of_the_gateway_it_is_gone_and_planned_again(here: Bench) -> None:
    swallow(here, **ONCE)
    event_id = held(here)
    restart(here)
    proven(here, event_id)
    assert "NeverSent" not in {statuses(here)[symbol] for symbol in here.wanted if symbol in statuses(here)}
    with here.ledger.begin() as session:
        assert session.scalars(select(Order.status).where(Order.status == "Released")).all() == ["Released"]


def test_f26_clicked_before_the_restart_it_counts(here: Bench) -> None:
    swallow(here, **ONCE)
    event_id = held(here)
    click(here)
    restart(here)
    proven(here, event_id)


def test_f26_a_lost_connection_alone_proves_no_restart(here: Bench) -> None:
    swallow(here, **ONCE)
    event_id = held(here)
    here.link.stay_connected()
    for _ in range(3):
        here.served.do(lambda gateway: gateway.disconnect_all())
        assert again(here, event_id).state is not EventState.SUCCEEDED
        until(lambda: here.link.status().connected)
    assert again(here, event_id).state is EventState.HELD
    assert sent(here) == []
    click(here)
    proven(here, event_id)


def test_f26_a_connection_that_breaks_during_the_silence_forgets_nothing(here: Bench) -> None:
    """The order was on record as unacknowledged before the worker lost the gateway, or died."""
    swallow(here, **ONCE)
    event_id = here.request()
    here.patience(ack_timeout_s=5)

    def cut() -> None:
        until(lambda: "Unacknowledged" in statuses(here).values())
        here.served.do(lambda gateway: gateway.disconnect_all())

    threading.Thread(target=cut, daemon=True).start()
    assert here.attempt(event_id).state is EventState.HELD
    assert sent(here) == []
    click(here)
    proven(here, event_id)


def test_f26_a_worker_that_dies_during_the_silence_leaves_it_on_record(here: Bench) -> None:
    swallow(here, **ONCE)
    event_id = here.request()
    here.patience(ack_timeout_s=30)
    dead = here.link

    def die() -> None:
        until(lambda: "Unacknowledged" in statuses(here).values())
        dead.post(lambda: dead._drop("killed"))

    threading.Thread(target=die, daemon=True).start()

    with pytest.raises(Crash):
        here.attempt(event_id, broker=DiesWithItsSocket(here.broker))
    here.crash()
    assert here.attempt(event_id).state is EventState.HELD
    assert sent(here) == []
    click(here)
    proven(here, event_id)


def test_f26_a_person_says_that_it_is_gone(here: Bench) -> None:
    swallow(here, **ONCE)
    event_id = held(here)
    click(here, send=False)
    assert again(here, event_id).state is EventState.HELD, "nobody can tell but a person"
    resume(here)
    proven(here, event_id)
    assert "Released" in _all_statuses(here)


def test_f26_a_person_who_clicks_and_resumes_buys_nothing_twice(here: Bench) -> None:
    swallow(here, **ONCE)
    event_id = held(here)
    click(here)
    resume(here)
    proven(here, event_id)
    assert len(sent(here)) == len(set(sent(here)))


def test_f26_one_symbol_among_several(here: Bench) -> None:
    """The others complete; what they brought is planned with later."""
    swallow(here, GLD={"times": 1})
    event_id = held(here)
    silent = [symbol for symbol, status in statuses(here).items() if status != "Filled"]
    assert silent == ["GLD"]
    assert len(sent(here)) > 2
    click(here)
    proven(here, event_id)
    assert len(sent(here)) == len(set(sent(here)))


def test_f26_every_order_swallowed_one_after_the_other(here: Bench) -> None:
    swallow(here, **{"*": {}})
    event_id = held(here)
    for _ in range(12):
        click(here)
        outcome = again(here, event_id)
        if outcome.state is EventState.SUCCEEDED:
            break
    assert outcome.state is EventState.SUCCEEDED, outcome
    assert here.positions == here.wanted
    here.prove_books()


def test_f26_the_first_order_of_a_session_travels_alone_and_the_burst_survives(here: Bench) -> None:
    """What a fresh gateway does: it asks about the first order, and loses those that arrive meanwhile."""
    swallow(here, **{"*": {"times": 1, "each_session": True, "click_ms": 200, "drops_others": True}})
    outcome = here.rebalance()
    assert outcome.state is EventState.SUCCEEDED, outcome
    assert here.positions == here.wanted
    here.prove_books()


def test_f26_two_workers_at_once_send_one_first_order(here: Bench) -> None:
    other = here.beside(OTHER, 8)
    other.aim()
    try:
        swallow(here, **{"*": {"times": 1, "click_ms": 250, "drops_others": True}})
        outcomes = together(here.rebalance, other.rebalance)
        assert [outcome.state for outcome in outcomes] == [EventState.SUCCEEDED] * 2, outcomes
        for bench in (here, other):
            assert bench.positions == bench.wanted
            bench.prove_books()
    finally:
        other.close()


def test_f26_when_the_first_order_is_swallowed_no_other_worker_sends_any(here: Bench) -> None:
    other = here.beside(OTHER, 8)
    other.aim()
    try:
        swallow(here, **ONCE)
        outcomes = together(here.rebalance, other.rebalance)
        states = sorted(outcome.state for outcome in outcomes)
        assert states == [EventState.HELD, EventState.RETRYING], outcomes
        waiting = next(outcome for outcome in outcomes if outcome.state is EventState.RETRYING)
        assert "is not acknowledged by the gateway" in waiting.error
        assert sent(here) == []
        click(here)
        for bench in (here, other) if outcomes[0].state is EventState.HELD else (other, here):
            with bench.ledger.begin() as session:
                event_id = session.scalars(select(Event.id).where(Event.account_id == bench.account)).all()[-1]
            bench.heal() if bench is here else None
            proven(bench, event_id)
    finally:
        other.close()


def test_f26_a_worker_whose_connection_is_older_than_an_acknowledgement_sends_freely(here: Bench) -> None:
    other = here.beside(OTHER, 8)
    other.aim()
    try:
        assert here.rebalance().state is EventState.SUCCEEDED
        swallow(here, IWM={"times": 1})
        outcome = other.rebalance()
        assert outcome.state is EventState.HELD
        assert "SPY" in sent_by(other), "the second order did not wait for the first"
    finally:
        other.close()


def test_f26_a_halt_that_is_in_force_already_is_lifted_by_nobody_but_a_person(here: Bench) -> None:
    swallow(here, GLD={"times": 1})

    event_id = here.request()

    def wary() -> None:
        until(lambda: "GLD" in statuses(here))
        with here.ledger.begin() as session:
            halts.halt(session, ACCOUNT, "wary", "ann")

    threading.Thread(target=wary, daemon=True).start()
    assert here.attempt(event_id).state is EventState.HELD
    with here.ledger.begin() as session:
        (halt,) = halts.in_force(session, ACCOUNT)
    assert halt.by == "ann"
    click(here)
    assert again(here, event_id).state is EventState.HELD
    resume(here)
    proven(here, event_id)


def test_f26_the_preview_shows_the_halt(here: Bench) -> None:
    swallow(here, **ONCE)
    held(here)
    outcome = here.attempt(here.request(Command.PRINT_REBALANCE), print_rebalance)
    assert outcome.result is not None
    assert any(rule["rule"] == "halt" and "look there" in rule["reason"] for rule in outcome.result["rules"])


def together(*runs: Callable[[], Outcome]) -> list[Outcome]:
    """Runs in threads of their own."""
    with ThreadPoolExecutor(len(runs)) as pool:
        return [future.result(20) for future in [pool.submit(run) for run in runs]]


def sent_by(here: Bench) -> list[str]:
    return here.served.do(lambda gateway: [order.symbol for order in gateway.orders if order.account == here.account])


def _all_statuses(here: Bench) -> set[str]:
    with here.ledger.begin() as session:
        return set(session.scalars(select(Order.status)).all())


class DiesWithItsSocket:
    """A broker whose worker ends as soon as its connection does."""

    def __init__(self, broker: Broker) -> None:
        self._broker = broker

    def __getattr__(self, name: str) -> Any:
        return getattr(self._broker, name)

    def execute(self, *arguments: Any) -> Any:
        try:
            yield from self._broker.execute(*arguments)
        except OutcomeUnknown as lost:
            raise Crash(str(lost)) from lost
