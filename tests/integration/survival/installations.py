"""Two installations at one gateway: each with a ledger of its own, nothing in common but the broker."""

from __future__ import annotations

import random
import threading
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import create_engine, text, update

from rebalancer.domain.commands import Command
from rebalancer.domain.order_refs import OrderRef
from rebalancer.domain.rule_names import Rule
from rebalancer.ledger import installations, signal_intake
from rebalancer.ledger.models import Event
from rebalancer.ledger.session import Ledger
from rebalancer.ledger.signal_intake import Addressee, NewSignal
from rebalancer.ledger.states import EventState
from sandbox.allocations.server import AllocationsServer
from tests.integration.ibkr.serving import ServedGateway
from tests.integration.survival.harness import HOLDINGS, SETUP, STRATEGY, WEIGHTS, Bench, Outcome, _accounts
from tests.tools.clusters import migrate

MARGIN, CASH, IRA = ("DU1000001", "DU1000002"), ("DU1000003", "DU1000004"), ("DU1000005", "DU1000006")
KINDS: Mapping[str, Mapping[str, bool]] = {
    **{account: {"margin": True} for account in MARGIN},
    **{account: {"margin": False} for account in CASH},
    **{account: {"margin": False, "settled_cash_only": True} for account in IRA},
}
START_CASH, PRICE = 20_000, 100
WORKERS = 3
TRIES = 40


def second_ledger(url: str) -> Ledger:
    """An empty ledger in another database of the same server."""
    with create_engine(url, isolation_level="AUTOCOMMIT").connect() as connection:
        connection.execute(text("DROP DATABASE IF EXISTS elsewhere WITH (FORCE)"))
        connection.execute(text("CREATE DATABASE elsewhere"))
    other = url.replace("@/postgres?", "@/elsewhere?")
    migrate(other)
    return Ledger(other)


def elsewhere(here: Bench, ledger: Ledger, client_id: int = 77) -> Bench:
    """The same account's worker of another installation; to be closed."""
    other = Bench(ledger, here._allocations, here.served, here._accounts)
    other.account = here.account
    other.reconnect(client_id)
    return other


@dataclass(slots=True)
class Installation:
    """Workers over one ledger."""

    name: str
    ledger: Ledger
    workers: list[Bench]
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    waited: int = 0

    @property
    def identity(self) -> str:
        with self.ledger.begin() as session:
            return installations.current(session)

    def signal(self, accounts: Collection[str]) -> dict[str, UUID]:
        """What the listener makes of one message."""
        with self.ledger.begin() as session:
            addressees = [Addressee(account, STRATEGY) for account in accounts]
            signal = NewSignal(STRATEGY, uuid4().hex, Command.REBALANCE, {})
            recorded = signal_intake.record(session, signal, addressees)
        return {account: one.event_id for account, one in zip(accounts, recorded.served, strict=True)}

    def work(self, worker: Bench, jobs: SimpleQueue[tuple[str, UUID]], chance: random.Random) -> None:
        """One worker process: event after event, each until it is done or waits for a person."""
        while True:
            try:
                account, event_id = jobs.get_nowait()
            except Empty:
                return
            threading.Event().wait(chance.random() * 0.3)
            worker.account = account
            self.outcomes[account] = self._until_done(worker, event_id, chance)

    def _until_done(self, worker: Bench, event_id: UUID, chance: random.Random) -> Outcome:
        for _ in range(TRIES):
            outcome = worker.attempt(event_id)
            turn_taken = outcome.state is EventState.HELD and "in use" in outcome.error
            if outcome.state is not EventState.RETRYING and not turn_taken:
                return outcome
            self.waited += turn_taken
            threading.Event().wait(0.2 + chance.random() * 0.3)
            with self.ledger.begin() as session:
                session.execute(update(Event).where(Event.id == event_id).values(due_at=_now()))
        return outcome


def _now() -> datetime:
    return datetime.now(UTC) - timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Result:
    """What one seed came to, at the gateway's books.

    Attributes:
        wrong: what must not be, in words.
        traded: by installation, accounts in which it has filled orders.
        stopped: accounts in which an installation was held because of the other.
        waited: times a turn was taken.
    """

    seed: int
    wrong: tuple[str, ...]
    traded: Mapping[str, int]
    stopped: int
    waited: int


def trial(
    seed: int, folder: Path, ledgers: tuple[Ledger, Ledger], allocations: AllocationsServer, *, turns: bool = True
) -> Result:
    """One signal for two installations at one gateway with all kinds of accounts and delayed fills."""
    chance = random.Random(seed)
    fills = {"mode": chance.choice(("delayed", "partial")), "delay_ms": chance.randint(50, 500)}
    setup: dict[str, Any] = {
        **SETUP,
        "fills": fills,
        "accounts": {name: {**kind, "cash": START_CASH, "positions": HOLDINGS} for name, kind in KINDS.items()},
    }
    served = ServedGateway(setup, None)
    known = _accounts(folder, KINDS)
    both = [Installation(name, ledger, []) for name, ledger in zip("ab", ledgers, strict=True)]
    for one, first in zip(both, (100, 140), strict=True):
        for client_id in range(first, first + WORKERS):
            worker = Bench(one.ledger, allocations, served, known)
            worker.settings |= {"order_timeout_s": 8}
            worker.options = replace(worker.options, account_turns=turns)
            worker.reconnect(client_id)
            one.workers.append(worker)
    try:
        _run(both, chance)
        return _judge(seed, served, both)
    finally:
        for worker in (worker for one in both for worker in one.workers):
            worker.close()
        served.stop()


def _run(both: list[Installation], chance: random.Random) -> None:
    threads = []
    for one in both:
        events = one.signal(sorted(KINDS))
        jobs: SimpleQueue[tuple[str, UUID]] = SimpleQueue()
        for account in chance.sample(sorted(events), len(events)):
            jobs.put((account, events[account]))
        for worker in one.workers:
            own = random.Random(chance.random())
            threads.append(threading.Thread(target=one.work, args=(worker, jobs, own)))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _judge(seed: int, served: ServedGateway, both: list[Installation]) -> Result:
    names = {one.identity: one.name for one in both}
    wrong: list[str] = []
    traded = {one.name: 0 for one in both}
    for account in sorted(KINDS):
        books = served.do(lambda gateway, account=account: (gateway.positions(account), gateway.cash(account)))
        filled = served.do(lambda gateway, account=account: _filled(gateway, account))
        hands = {names[ref.installation or ""] for text in filled if (ref := OrderRef.read(text))}
        wrong += [f"seed {seed}: {account} {words}" for words in _wrongs(*books, sum(filled.values()), hands)]
        for name in hands:
            traded[name] += 1
    ends = [outcome for one in both for outcome in one.outcomes.values()]
    stopped = sum(outcome.state is EventState.HELD and Rule.OTHER_INSTALLATION in outcome.error for outcome in ends)
    strange = [f"seed {seed}: {outcome}" for outcome in ends if outcome.state is EventState.RETRYING]
    return Result(seed, (*wrong, *strange), traded, stopped, sum(one.waited for one in both))


def _filled(gateway: Any, account: str) -> dict[str, Decimal]:
    """USD by order ref."""
    found: dict[str, Decimal] = {}
    for one in gateway.executions:
        if one.order.account == account:
            ref = one.order.ticket.order_ref
            found[ref] = found.get(ref, Decimal(0)) + one.quantity * one.price
    return found


def _wrongs(held: Mapping[str, Decimal], cash: Decimal, turnover: Decimal | int, hands: set[str]) -> list[str]:
    """Against the targets, by the books: nothing beyond them, nothing borrowed, nothing traded twice."""
    equity = Decimal(START_CASH + PRICE * sum(HOLDINGS.values()))
    wanted = {symbol: equity * Decimal(str(weight)) for symbol, weight in WEIGHTS.items()}
    before = {symbol: Decimal(PRICE * shares) for symbol, shares in HOLDINGS.items()}
    found = []
    if cash < 0:
        found.append(f"has borrowed {-cash:.0f} USD, gross is {(equity - cash) / equity:.0%} of equity")
    for symbol, shares in held.items():
        value = shares * PRICE
        most = max(wanted.get(symbol, Decimal(0)), before.get(symbol, Decimal(0))) + equity / 100
        if not 0 <= value <= most:
            found.append(f"holds {value:.0f} USD of {symbol}, at most {most:.0f} are right")
    symbols = wanted.keys() | before.keys()
    needed = sum(abs(wanted.get(one, Decimal(0)) - before.get(one, Decimal(0))) for one in symbols)
    if turnover > needed + equity / 50:
        found.append(f"has traded {turnover:.0f} USD, {needed:.0f} were needed")
    if len(hands) > 1:
        found.append("was traded by both")
    return found
