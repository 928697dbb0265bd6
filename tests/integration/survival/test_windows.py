"""Orders that a window in the gateway keeps back: nothing is bought or sold twice, whatever the click does and when."""

from __future__ import annotations

import threading
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import func, select, update

from rebalancer.domain.commands import Command
from rebalancer.domain.errors import OutcomeUnknown
from rebalancer.domain.notices import NoticeKind
from rebalancer.domain.ports import Broker
from rebalancer.ledger import halts
from rebalancer.ledger.models import Event, Order, SnapshotRow
from rebalancer.ledger.states import EventState
from rebalancer.usecases import print_rebalance
from sandbox.gateway.windows import Window
from tests.integration.ibkr.serving import until
from tests.integration.survival.conftest import MakeBench
from tests.integration.survival.dying import Crash
from tests.integration.survival.harness import ACCOUNT, HOLDINGS, WEIGHTS, Behind, Bench
from tests.integration.survival.windows import (
    ONCE,
    again,
    click,
    held,
    proven,
    restart,
    resume,
    sent,
    statuses,
    swallow,
    told,
)


def test_f26_a_swallowed_order_stops_the_batch_and_holds_the_account(here: Bench) -> None:
    swallow(here, **ONCE)
    event_id = held(here)
    assert sent(here) == []
    assert here.positions == HOLDINGS
    assert sorted(statuses(here).values()) == ["NeverSent", "Unacknowledged"], "the rest was not sent"
    assert told(here).count(NoticeKind.UNACKNOWLEDGED) == 1
    assert again(here, event_id).state is EventState.HELD
    assert told(here).count(NoticeKind.UNACKNOWLEDGED) == 1
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
    assert told(here).count(NoticeKind.ACKNOWLEDGED) == 1


def test_f26_a_clicked_fill_is_in_the_books_before_anything_is_planned(benches: MakeBench) -> None:
    behind = BehindAWindow()
    with benches(behind) as here:
        here.aim()
        here.patience(books_timeout_s=0.3)
        behind.windows = 1
        event_id = held(here)
        _long_ago(here)
        behind.frozen = True
        click(here)
        outcome = again(here, event_id)
        assert outcome.state is EventState.RETRYING
        assert "does not show our fills yet" in outcome.error
        behind.frozen = False
        proven(here, event_id)
        assert len(sent(here)) == len(set(sent(here)))


class BehindAWindow(Behind):
    """Opens so many windows, besides."""

    windows = 0

    def window(self, symbol: str) -> Window | None:
        del symbol
        self.windows -= 1
        return Window() if self.windows >= 0 else None


def _long_ago(here: Bench) -> None:
    """What was seen before is older than the broker's books can lag."""
    with here.ledger.begin() as session:
        session.execute(update(SnapshotRow).values(at=SnapshotRow.at - timedelta(hours=1)))


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

    def die() -> None:
        until(lambda: "Unacknowledged" in statuses(here).values())
        here.sever()

    threading.Thread(target=die, daemon=True).start()

    with pytest.raises(Crash):
        here.attempt(event_id, broker=DiesWithItsSocket(here.broker))
    here.crash()
    assert here.attempt(event_id).state is EventState.HELD
    assert sent(here) == []
    click(here)
    proven(here, event_id)


def dies_at_once(here: Bench, symbol: str) -> Any:
    """A worker sends everything and dies before it has put any silence on record; its event."""
    event_id = here.request()
    here.patience(verify_after_s=30, ack_timeout_s=30)

    def die() -> None:
        until(lambda: here.served.do(lambda gateway: len(gateway.exchange.windows.waiting)) == 1)
        until(lambda: _number(here, symbol) is not None)
        here.sever()

    threading.Thread(target=die, daemon=True).start()
    with pytest.raises(Crash):
        here.attempt(event_id, broker=DiesWithItsSocket(here.broker))
    here.patience(verify_after_s=0.1, ack_timeout_s=0.5)
    here.crash()
    return event_id


@pytest.mark.parametrize("symbol", ["IWM", "GLD"])
def test_f26_a_worker_that_dies_before_the_silence_is_told_sends_nothing_twice(here: Bench, symbol: str) -> None:
    """One symbol's order is kept back, a sell or a buy; the others are not, so that the gateway looks healthy."""
    swallow(here, **{symbol: {"times": 1}})
    event_id = dies_at_once(here, symbol)
    outcome = here.attempt(event_id)
    assert (outcome.state, sent(here).count(symbol)) == (EventState.HELD, 0)
    assert "look there" in outcome.error
    click(here)
    proven(here, event_id)
    assert sent(here).count(symbol) == 1


def test_f26_such_an_order_is_gone_with_the_gateway(here: Bench) -> None:
    swallow(here, GLD={"times": 1})
    event_id = dies_at_once(here, "GLD")
    restart(here)
    proven(here, event_id)


def test_f26_an_order_that_counts_as_lost_and_comes_back_is_not_bought_on_top(here: Bench) -> None:
    """Somebody resumes the account, and clicks while the next run is selling."""
    swallow(here, GLD={"times": 1})
    event_id = held(here)
    resume(here)
    with here.targets({**WEIGHTS, "SPY": 0.1, "TLT": 0.349}):
        with here.ledger.begin() as session:
            session.execute(update(Event).where(Event.id == event_id).values(due_at=func.now()))
        outcome = here.attempt(event_id, broker=ClicksAfterTheSells(here))
        assert "does not show our fills yet: cash is" in outcome.error, "what the sells brought is less by the click"
        with here.ledger.begin() as session:
            session.execute(update(Order).values(final_at=Order.final_at - timedelta(hours=1)))
        here.finish(event_id, attempts=1)
    assert sent(here).count("GLD") == 1
    assert abs(here.positions["GLD"] * 100 - Decimal("0.202") * 90_000) < 500
    here.prove_books()


def refuse(here: Bench) -> None:
    """Whatever is sent from now on."""
    here.fault(rejections={"*": {"code": 201, "text": "no thanks"}})


def test_f26_an_order_that_is_clicked_and_refused_waits_for_nobody(here: Bench) -> None:
    """It is in no list afterwards; what the gateway says of it comes when its batch has long ended."""
    swallow(here, **ONCE)
    event_id = held(here)
    refuse(here)
    click(here)
    until(lambda: "Refused" in statuses(here).values())
    here.fault()
    proven(here, event_id)
    assert 201 in here.codes()
    assert told(here).count(NoticeKind.ACKNOWLEDGED) == 1


def test_f26_a_refusal_that_nobody_heard_is_for_a_person(here: Bench) -> None:
    swallow(here, **ONCE)
    event_id = held(here)
    refuse(here)
    here.link.close()
    click(here)
    here.fault()
    here.reconnect()
    assert again(here, event_id).state is EventState.HELD, "it may still wait, as far as anybody can tell"
    resume(here)
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


def test_f26_a_halt_that_is_in_force_already_is_lifted_by_nobody_but_a_person(here: Bench) -> None:
    swallow(here, GLD={"times": 1})

    event_id = here.request()

    def wary() -> None:
        until(lambda: here.served.do(lambda gateway: gateway.exchange.windows.waiting))
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


def _all_statuses(here: Bench) -> set[str]:
    with here.ledger.begin() as session:
        return set(session.scalars(select(Order.status)).all())


def _number(here: Bench, symbol: str) -> int | None:
    with here.ledger.begin() as session:
        return session.scalar(select(Order.order_id).where(Order.symbol == symbol))


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


class ClicksAfterTheSells:
    """A broker at whose screen somebody answers every window once the first orders have ended."""

    def __init__(self, here: Bench) -> None:
        self._here = here
        self._clicked = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._here.broker, name)

    def execute(self, *arguments: Any) -> Any:
        yield from self._here.broker.execute(*arguments)
        if not self._clicked:
            self._clicked = True
            click(self._here)
