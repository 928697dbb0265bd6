"""Windows at the gateway, for the tests: opened, answered, forgotten, and what the program made of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from sqlalchemy import func, select, update

from rebalancer.ledger import halts
from rebalancer.ledger.models import Event, NoticeRow, Order
from rebalancer.ledger.states import EventState
from tests.integration.ibkr.serving import until
from tests.integration.survival.harness import ACCOUNT, Bench, Outcome

ONCE = {"*": {"times": 1}}


def swallow(here: Bench, **symbols: Any) -> None:
    here.fault(swallowed_orders=symbols)


def click(here: Bench, *, send: bool = True) -> None:
    """Somebody answers the windows."""
    assert here.served.do(lambda gateway: gateway.exchange.windows.answer(send=send))


def restart(here: Bench) -> None:
    """The gateway restarts, while the worker keeps trying to reach it."""
    before = here.served.do(lambda gateway: len(gateway.client_ids))
    restarting = asyncio.run_coroutine_threadsafe(here.served.gateway.restart(1.5), here.served.loop)
    until(lambda: here.served.do(lambda gateway: not gateway.listening))
    here.link.stay_connected()
    restarting.result(10)
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


def together(*runs: Callable[[], Outcome]) -> list[Outcome]:
    """Runs in threads of their own."""
    with ThreadPoolExecutor(len(runs)) as pool:
        return [future.result(20) for future in [pool.submit(run) for run in runs]]


def sent_by(here: Bench) -> list[str]:
    return here.served.do(lambda gateway: [order.symbol for order in gateway.orders if order.account == here.account])
