"""What people do meanwhile: they halt, remove, reject, ask, enter orders of their own, send messages again."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import redis
from celery import Celery
from kombu.exceptions import OperationalError

from rebalancer.domain.commands import Command
from rebalancer.domain.errors import ConfigurationError, RecordUnavailable, RequestRefused
from rebalancer.domain.trading_sessions import is_weekday, market_open, trading_day
from rebalancer.ledger import cash_plans
from rebalancer.ledger.queries import invariants
from rebalancer.operations import halts_and_approvals, requests
from rebalancer.operations.idle_cash import IdleCash
from rebalancer.queueing.celery_queues import LIVE_QUEUE
from sandbox.fault_trials.hand_halts import HandHalt
from sandbox.fault_trials.stage import Stage

PERSON = "trial"
SEEN_S = 6.0
DAY, WEEK = timedelta(days=1), timedelta(days=7)
NEVER_FILLED = "1.00"
"""USD per share, at which nobody sells."""


@contextmanager
def if_possible() -> Iterator[None]:
    """What cannot be done, since something is down or was done before, is not done."""
    try:
        yield
    except (ConfigurationError, RecordUnavailable, RequestRefused, OperationalError, redis.RedisError):
        return


def account_of_next_order(stage: Stage) -> str:
    """Waits for an order to reach the broker, and gives its account; any, if none comes."""
    seen = len(_orders(stage))
    stage.wait_until(lambda: len(_orders(stage)) > seen, SEEN_S)
    orders = _orders(stage)
    return str(orders[-1]["account"] if orders else stage.cast.accounts[0]["account_id"])


def _orders(stage: Stage) -> list[dict[str, Any]]:
    books = [] if stage.is_stopped("gateway") else stage.books()
    return sorted((order for one in books for order in one["orders"]), key=lambda order: str(order["placed_at"]))


def halt_amid_orders(stage: Stage, _chance: random.Random) -> None:
    """Of the account whose order was seen. What left before the halt is read by then, however busy the gateway is: it
    has looked at all its connections since.
    """
    account_id = account_of_next_order(stage)
    with if_possible():
        if halts_and_approvals.halt(stage.services, account_id, "seen by the owner", PERSON):
            for _ in range(2):
                _orders(stage)
            stage.halts.append(HandHalt(account_id, datetime.now(UTC)))


def resume_all(stage: Stage, _chance: random.Random) -> None:
    """Whatever is halted, by a person or not."""
    for halt in stage.halts:
        halt.until = halt.until or datetime.now(UTC)
    with if_possible():
        for found in halts_and_approvals.halted(stage.services):
            halts_and_approvals.resume(stage.services, found.scope, PERSON)


def reject_all(stage: Stage, _chance: random.Random) -> None:
    """Every plan that waits."""
    with if_possible():
        for plan in halts_and_approvals.waiting(stage.services):
            halts_and_approvals.reject(stage.services, plan.event_id, PERSON)


def remove_one(stage: Stage, chance: random.Random) -> None:
    """An event, active or not."""
    known: list[tuple[UUID, str]] = []
    with if_possible(), stage.ledger.begin() as session:
        known = invariants.every_event(session)
    if known:
        with if_possible():
            stage.services.dispatcher.remove(chance.choice(known)[0], "by the trial")


def ask(command: Command) -> Any:
    """A person's own request for an account."""

    def asked(stage: Stage, chance: random.Random) -> None:
        account_id = str(chance.choice(stage.cast.accounts)["account_id"])
        with if_possible():
            requests.ask(stage.services, account_id, command, {}, source="cli", note=lambda: None)

    return asked


def cancel_amid_orders(stage: Stage, _chance: random.Random) -> None:
    """Of the account whose order was seen."""
    account_id = account_of_next_order(stage)
    with if_possible():
        requests.ask(stage.services, account_id, Command.CANCEL_ORDERS, {}, source="cli", note=lambda: None)


def pay_out(stage: Stage, account_id: str, amount: int) -> None:
    """Cash that was wanted days ago by a day to come, and whose time to sell is now."""
    now = datetime.now(UTC)
    with if_possible(), stage.ledger.begin() as session:
        cash_plans.add(
            session, account_id, Decimal(amount), by=trading_day(now) + WEEK, sells_at=now, created_by=PERSON
        )


def look_at_cash(stage: Stage) -> None:
    """As beat does on a weekday after more than a day."""
    day = trading_day(datetime.now(UTC))
    while not is_weekday(day) or market_open(day) - datetime.now(UTC) < DAY:
        day += DAY
    with if_possible():
        IdleCash(stage.services, lambda: market_open(day) + timedelta(hours=1)).look()


def enter_order(stage: Stage, chance: random.Random) -> None:
    """By hand, and so that it never fills."""
    account_id = chance.choice(stage.cast.accounts)["account_id"]
    order = {"account": account_id, "symbol": "KO", "side": "BUY", "quantity": "1", "limit_price": NEVER_FILLED}
    if not stage.is_stopped("gateway"):
        stage.ask_gateway("POST", "/orders", order)
        stage.orders_by_hand[account_id] += 1


def send_messages_again(stage: Stage, _chance: random.Random) -> None:
    """Of every event there ever was, twice each."""
    environment = stage.stack.site.environment
    known: list[tuple[UUID, str]] = []
    with if_possible(), stage.ledger.begin() as session:
        known = invariants.every_event(session)
    patience = {"socket_timeout": 2, "socket_connect_timeout": 2}
    with (
        if_possible(),
        Celery(broker=environment["REDIS_URL"], set_as_current=False, broker_transport_options=patience) as app,
    ):
        for event_id, command in (*known, *known):
            app.send_task(command, args=(str(event_id),), task_id=f"{event_id}.1", queue=LIVE_QUEUE, retry=False)
