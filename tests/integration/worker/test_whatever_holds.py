"""Accounts leave the file and come back, files break, halts come and go, clocks step, events are removed, and workers
die amid orders, in any order: whoever touches an account's orders next leaves none of a dead run behind, and in the end
everything has ended. The worker is this process; all that it uses is real.

`WHATEVER_HOLDS_EXAMPLES=200 pytest tests/integration/worker/test_whatever_holds.py` is the long version.
"""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import yaml
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from sqlalchemy import func, select, update

from rebalancer.domain.commands import Command
from rebalancer.domain.errors import LeaseLost, RemovalRequested
from rebalancer.domain.portfolio import OrderType
from rebalancer.ledger import halts
from rebalancer.ledger.models import Event, Order
from rebalancer.ledger.run import Run
from rebalancer.ledger.session import Ledger
from rebalancer.ledger.states import ACTIVE, WAITING, EventState
from rebalancer.runner.servers import RunningServer
from sandbox.gateway.server import Gateway
from tests.integration.ibkr.serving import connected, order
from tests.integration.state_machine.site import GRACE, LEASE, Site, an_order
from tests.integration.worker.conftest import inside_a_worker
from tests.integration.worker.test_ledger_decides import deliver
from tests.world import World, until

EXAMPLES = int(os.environ.get("WHATEVER_HOLDS_EXAMPLES", "6"))
ROUNDS = 8
ACCOUNTS = [f"DU3{number:06}" for number in range(600)]
"""Two for each example: the gateway remembers the orders of all."""
STRATEGY = "etf-blend-301-20"
some_account = st.integers(0, 1)
some_file = st.sampled_from(["whole", "without", "disabled", "broken", "absent"])
some_step_s = st.sampled_from([-7200.0, -60.0, 60.0, 7200.0])


class WhateverHolds(RuleBasedStateMachine):
    """One event per account at a time; dead and stale runs of other machines beside the worker here."""

    def __init__(self, here: World, site: Site, accounts: list[str]) -> None:
        super().__init__()
        self.accounts = accounts
        site.clear()
        self.here = here
        self.site = site
        self.path = Path(here.environment["ACCOUNTS_FILE"])
        self.stale: list[Run] = []
        self.number = 0
        self.write("whole", 0)

    # -- what happens -----------------------------------------------------------------------------------------------

    @initialize(file=some_file, halted=st.booleans())
    def a_bad_day(self, file: str, halted: bool) -> None:
        """Workers have died amid orders of both accounts, and something is wrong from the start."""
        for account in (0, 1):
            self.signal(account)
            self.die_amid_orders(account)
        self.edit(file, 0)
        self.halt_or_resume(None, on=halted)

    @rule(account=some_account)
    def signal(self, account: int) -> None:
        """As the listener records it, which keeps its roster while the file is wrong."""
        self.site.record([self.accounts[account]], Command.REBALANCE)

    @rule(account=some_account)
    def die_amid_orders(self, account: int) -> None:
        """A worker of another machine claims, sends if it may, and is heard of no more."""
        event = self.due(account)
        run = None if event is None else self.site.claim(event, "elsewhere/1/1")
        if run is not None:
            with suppress(RemovalRequested):
                self.send(run)
            self.stale.append(run)

    @rule(which=st.integers(0, 9))
    def speak_late(self, which: int) -> None:
        """It was not dead: it goes on, if it may."""
        if not self.stale:
            return
        run = self.stale[which % len(self.stale)]
        with self.site.ledger.begin() as session:
            event = session.get_one(Event, run.claim.event_id)
            mine = event.state == EventState.RUNNING and event.attempt == run.claim.attempt
        before = self.orders()
        try:
            self.send(run)
        except (LeaseLost, RemovalRequested):
            assert self.orders() == before
        else:
            assert mine, "an order of a run that had lost its event"

    @rule(file=some_file, account=some_account)
    def edit(self, file: str, account: int) -> None:
        """Somebody edits the accounts file."""
        self.write(file, account)

    @rule(account=st.none() | some_account, on=st.booleans())
    def halt_or_resume(self, account: int | None, on: bool) -> None:
        """A person throws the switch."""
        scope = halts.EVERYTHING if account is None else self.accounts[account]
        with self.site.ledger.begin() as session:
            if on:
                halts.halt(session, scope, "a fire drill", "ada")
            else:
                halts.resume(session, scope, "ada")

    @rule(account=some_account)
    def remove(self, account: int) -> None:
        """An operator ends the account's event."""
        for event_id in self.active(account):
            self.site.dispatcher.remove(event_id, "by hand")

    @rule(seconds=some_step_s)
    def step_the_clock(self, seconds: float) -> None:
        """The ledger's wall clock is set, forward or back; nothing else notices."""
        self.site.pass_time(seconds, locks=False)
        self.site.dispatcher.reap()

    @rule()
    def take_back(self) -> None:
        """Leases run out, and the dispatcher takes the events back."""
        self.site.pass_time((LEASE + GRACE).total_seconds() + 1, locks=False)
        self.site.dispatcher.reap()

    @rule(account=some_account, late=st.booleans())
    def work(self, account: int, late: bool) -> None:
        """The worker gets a message of the account's event, perhaps after another's lease has run out: afterwards no
        order of a dead run is left.
        """
        if late:
            self.take_back()
        self.make_due(account)
        event_id = self.due(account)
        if event_id is None:
            return
        before = self.attempt(event_id)
        deliver(Command.REBALANCE, [str(event_id)], {})
        if self.attempt(event_id) > before:
            assert self.open_orders(account) == 0
            assert self.unsettled(account) == 0

    # -- what must be true ------------------------------------------------------------------------------------------

    @invariant()
    def no_order_is_without_somebody_who_looks_after_it(self) -> None:
        """Whatever has ended, the dispatcher's next round finds somebody."""
        self.site.dispatcher.reap()
        for account in (0, 1):
            if self.unsettled(account) or self.open_orders(account):
                assert self.active(account), "nobody looks after these orders"

    def teardown(self) -> None:
        """With everything mended, everything comes to its end."""
        self.write("whole", 0)
        for account in (None, 0, 1):
            self.halt_or_resume(account, on=False)
        for _ in range(ROUNDS):
            self.take_back()
            for account in (0, 1):
                for _ in self.active(account):
                    self.work(account, late=False)
        for account in (0, 1):
            assert self.active(account) == []
            assert self.open_orders(account) == 0
            assert self.unsettled(account) == 0

    # -- parts ------------------------------------------------------------------------------------------------------

    def send(self, run: Run) -> None:
        """One order far from the market, which works until it is cancelled; the socket does not stay."""
        self.number += 1
        proposed, request = an_order(run.claim, self.number)
        run.intend([(proposed, request)])
        contract_id = self.here.gateway.do(lambda gateway: gateway.setup.instruments["QQQ"].con_id)
        sent = order(
            request.order_ref,
            account_id=run.claim.account_id,
            order_type=OrderType.LIMIT,
            limit_price=Decimal(10),
            contract_id=contract_id,
            symbol="QQQ",
            quantity=1,
        )
        with connected(self.here.gateway, client_id=900) as broker:
            updates = broker.execute([sent], 30, run.checkpoint, run.lease.require)
            next(updates)
            until(lambda: request.order_ref in self.orders())
            updates.close()  # type: ignore[attr-defined]

    def write(self, file: str, account: int) -> None:
        """The accounts file in one of its states."""
        rows: list[dict[str, Any]] = [
            {"account_id": name, "type": "paper", "strategy_name": STRATEGY} for name in self.accounts
        ]
        if file == "without":
            del rows[account]
        elif file == "disabled":
            rows[account]["enabled"] = False
        self.path.unlink(missing_ok=True)
        if file != "absent":
            self.path.write_text("accounts: [" if file == "broken" else yaml.safe_dump({"accounts": rows}))

    def active(self, account: int) -> list[UUID]:
        chosen = select(Event.id).where(Event.account_id == self.accounts[account], Event.state.in_(ACTIVE))
        with self.site.ledger.begin() as session:
            return list(session.scalars(chosen.order_by(Event.created_at)))

    def make_due(self, account: int) -> None:
        """Time has passed; what waits for a person goes on waiting, as a run finds."""
        waits = update(Event).where(Event.account_id == self.accounts[account], Event.state.in_(WAITING))
        with self.site.ledger.begin() as session:
            session.execute(waits.values(due_at=func.now()))

    def due(self, account: int) -> UUID | None:
        chosen = select(Event.id).where(
            Event.account_id == self.accounts[account], Event.state.in_(WAITING), Event.due_at <= datetime.now(UTC)
        )
        with self.site.ledger.begin() as session:
            return session.scalar(chosen.order_by(Event.created_at).limit(1))

    def attempt(self, event_id: UUID) -> int:
        with self.site.ledger.begin() as session:
            return session.get_one(Event, event_id).attempt

    def unsettled(self, account: int) -> int:
        chosen = (
            select(func.count())
            .select_from(Order)
            .where(Order.account_id == self.accounts[account], Order.final_at.is_(None))
        )
        with self.site.ledger.begin() as session:
            return session.scalar(chosen) or 0

    def open_orders(self, account: int) -> int:
        def count(gateway: Gateway) -> int:
            return sum(one.open for one in gateway.orders if one.account == self.accounts[account])

        return self.here.gateway.do(count)

    def orders(self) -> list[str]:
        return self.here.gateway.do(lambda gateway: [one.ticket.order_ref for one in gateway.orders])


@pytest.mark.timeout(3600)
def test_whatever_holds_an_account_no_order_is_left_behind(
    tmp_path: Path, ledger: Ledger, redis_server: RunningServer
) -> None:
    names = iter(ACCOUNTS)
    known = {name: {"margin": True, "cash": 100_000} for name in ACCOUNTS}
    with inside_a_worker(tmp_path, ledger, redis_server.url, accounts=known) as here:
        site = Site.of(ledger, redis_server.url)

        class Here(WhateverHolds):
            def __init__(self) -> None:
                super().__init__(here, site, [next(names), next(names)])

        run_state_machine_as_test(
            Here,
            settings=settings(
                max_examples=EXAMPLES,
                stateful_step_count=15,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )
