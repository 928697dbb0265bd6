"""The rebalance use case over a real ledger, a real allocations API and a real socket to a simulated gateway, without
Celery: an event is claimed and run as a worker does it, again at once after a failure or a crash.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import select

from rebalancer.allocations import AllocationsClient
from rebalancer.config.accounts_file import Account, load_accounts
from rebalancer.config.settings import Settings
from rebalancer.domain.accounts import TradingMode
from rebalancer.domain.commands import Command
from rebalancer.domain.errors import RemovalRequested
from rebalancer.domain.ports import Broker
from rebalancer.ibkr import BrokerOptions, Connection, ConnectionOptions, FixedClientId, IbkrBroker
from rebalancer.ledger import events, ownership, signal_intake
from rebalancer.ledger.gateway_record import LedgerRecord
from rebalancer.ledger.models import Event, FillRow, Order, OrderReport
from rebalancer.ledger.run import Run
from rebalancer.ledger.session import Ledger
from rebalancer.ledger.signal_intake import Addressee, NewSignal
from rebalancer.ledger.states import EventState
from rebalancer.queueing.retry_policy import RetryPolicy, next_try
from rebalancer.usecases import Blocked, RunContext, UseCase, print_rebalance, rebalance
from rebalancer.usecases.close_out import close_out
from rebalancer.usecases.reconciliation import look_after_orders
from sandbox.allocations.server import AllocationsServer
from sandbox.gateway.behaviour import Behaviour, Delivery
from sandbox.gateway.fault_settings import Faults
from sandbox.gateway.server import Gateway
from sandbox.gateway.wire import Message
from tests.integration.ibkr.serving import ServedGateway, until

STRATEGY = "survival"
CLIENT_ID = 7
ACCOUNT, OTHER = "DU1000001", "DU1000002"
SYMBOLS = ("SPY", "VXX", "GLD", "TLT", "QQQ", "IWM", "EFA", "DBC", "AGG", "XLU", "XLE")
# Far from rounding, so that a commission more or less does not change the plan; the rest is cash.
WEIGHTS = {"SPY": 0.251, "VXX": 0.149, "GLD": 0.202, "TLT": 0.198, "QQQ": 0.193}
HOLDINGS = {"IWM": 300, "SPY": 400}
SETUP: dict[str, Any] = {
    "instruments": {symbol: {"con_id": 1000 + i, "name": symbol, "price": 100} for i, symbol in enumerate(SYMBOLS)},
    # Tests repeat within a second what a day has apart; those of the rate limit bring their own.
    "gateway": {"messages_per_window": 1000},
    "orders": {"life": os.environ.get("ORDER_LIFE", "captured")},
    # On margin, so that what a sale brings buys at once; tests of cash accounts bring their own.
    "accounts": {name: {"margin": True, "cash": 20_000, "positions": HOLDINGS} for name in (ACCOUNT, OTHER)},
}
HASTY: dict[str, Any] = {
    "order_timeout_s": 1,
    "broker_grace_s": 0.1,
    "reconnect_timeout_s": 5,
    "ib_port": 4002,
}
LEASE = timedelta(seconds=300)
POSITION, VALUE = 71, 73


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one attempt ended."""

    state: EventState
    error: str = ""
    result: Mapping[str, Any] | None = None
    needs_attention: bool = False


class Bench:
    """One gateway, one ledger, and the runs of one account's event."""

    def __init__(
        self, ledger: Ledger, allocations: AllocationsServer, served: ServedGateway, accounts: Mapping[str, Account]
    ) -> None:
        self.ledger = ledger
        self.served = served
        self.account = ACCOUNT
        self.client_id = CLIENT_ID
        self.lease = LEASE
        self.settings: dict[str, Any] = dict(HASTY)
        self.options = BrokerOptions(
            request_timeout_s=3,
            quote_timeout_s=1,
            cancel_timeout_s=3,
            commission_grace_s=0.3,
            verify_after_s=0.1,
            books_timeout_s=2,
            ack_timeout_s=0.5,
        )
        self.connecting = ConnectionOptions(
            "127.0.0.1", served.port, connect_timeout_s=5, request_timeout_s=1.5, messages_per_s=900
        )
        self._accounts = accounts
        self._allocations = allocations
        self._targets = AllocationsClient(allocations.url, "sandbox", 5)
        self.wanted: dict[str, Decimal] = {}
        self._open()

    # -- what a worker does ---------------------------------------------------------------------------------------

    def request(self, command: Command = Command.REBALANCE) -> UUID:
        """A new event of the account."""
        with self.ledger.begin() as session:
            signal = NewSignal(STRATEGY, uuid4().hex, command, {})
            return signal_intake.record(session, signal, [Addressee(self.account, STRATEGY)]).served[0].event_id

    def attempt(self, event_id: UUID, use_case: UseCase = rebalance, broker: Broker | None = None) -> Outcome:
        """Claim the event and run it once, as a worker does."""
        claim = ownership.claim(self.ledger, event_id, "bench", self.lease)
        assert claim is not None
        run = Run(self.ledger, claim, self.lease)
        context = self.context(run, broker)
        with run.kept_alive():
            try:
                look_after_orders(context)
                outcome = use_case(context)
            except RemovalRequested:
                close_out(context)
                return Outcome(run.end(lambda session: events.stop(session, claim)))
            except Exception as error:  # noqa: BLE001 - the edge of the worker
                return self._failed(run, error)
        if isinstance(outcome, Blocked):
            held = outcome
            return Outcome(run.end(lambda session: events.hold(session, claim, held)), held.reason)
        result = outcome
        return Outcome(run.end(lambda session: events.succeed(session, claim, result)), result=result)

    def finish(self, event_id: UUID, attempts: int = 6) -> Outcome:
        """Run until it succeeds."""
        errors = []
        for _ in range(attempts):
            outcome = self.attempt(event_id)
            if outcome.state is EventState.SUCCEEDED:
                return outcome
            errors.append(outcome.error)
        raise AssertionError(f"no success after {attempts} attempts: {errors}")

    def rebalance(self) -> Outcome:
        """A new event, run once."""
        return self.attempt(self.request())

    def sever(self) -> None:
        """End the socket as the death of its process does: what was not written yet never leaves."""
        gone = threading.Event()

        def drop() -> None:
            for session in (self.link._session, *self.link._beside.values()):
                if session is not None:
                    session.drop("killed")
            gone.set()

        self.link.post(drop)
        gone.wait(1)

    def crash(self) -> None:
        """The worker dies: its socket, its lease and all that it knew are gone; the next one takes over."""
        self.sever()
        self.link.close()
        with self.ledger.begin() as session:
            events.reap(session, timedelta(), timedelta(), ["bench"])
        self._open()

    def state(self, event_id: UUID) -> EventState:
        """Where the event is."""
        with self.ledger.begin() as session:
            return EventState(session.get_one(Event, event_id).state)

    def context(self, run: Run, broker: Broker | None = None) -> RunContext:
        """What the use case works with."""
        return RunContext.of(
            Settings.from_flat(self.settings),
            run,
            self._accounts[self.account],
            broker=broker or self.broker,
            targets=self._targets,
            replacements=(),
        )

    def _open(self) -> None:
        address = Settings.from_flat(self.settings).broker.gateway_address
        record = LedgerRecord(self.ledger, address, patience_s=3)
        self.link = Connection(self.connecting, FixedClientId(self.client_id), record)
        self.broker = IbkrBroker(self.link, self.options)

    def reconnect(self, client_id: int | None = None, **connecting: Any) -> None:
        """Work through a new connection, perhaps under another client id."""
        self.link.close()
        self.client_id = client_id or self.client_id
        self.connecting = replace(self.connecting, **connecting)
        self._open()

    def _failed(self, run: Run, error: Exception) -> Outcome:
        claim, policy = run.claim, RetryPolicy(timedelta(seconds=60), timedelta(hours=1), 1)
        tried = next_try(error, claim.failures, claim.refusals, policy)
        text = f"{type(error).__name__}: {error}"
        asks = {"refused": tried.refused, "needs_attention": tried.needs_attention}
        state = run.end(lambda session: events.fail(session, claim, text, timedelta(), **asks))
        return Outcome(state, text, needs_attention=tried.needs_attention)

    def patience(self, **options: Any) -> None:
        """Change some of the broker's deadlines; the connection stays."""
        self.options = replace(self.options, **options)
        self.broker = IbkrBroker(self.link, self.options)

    def remove(self, event_id: UUID) -> None:
        """An operator ends the event, and the worker hears of it."""
        with self.ledger.begin() as session:
            events.remove(session, event_id, "removed by operator")

    # -- what the gateway has seen --------------------------------------------------------------------------------

    def fault(self, **faults: Any) -> None:
        """Switch faults on; none heals the gateway."""
        self.served.do(lambda gateway: gateway.set_faults(Faults.model_validate(faults)))

    @contextmanager
    def targets(self, weights: dict[str, float]) -> Iterator[None]:
        """Other targets of the strategy, for a while."""
        self._allocations.publish(STRATEGY, weights)
        try:
            yield
        finally:
            self._allocations.publish(STRATEGY, WEIGHTS)

    def beside(self, account: str, client_id: int) -> Bench:
        """Another account's worker at the same gateway and ledger; to be closed."""
        other = Bench(self.ledger, self._allocations, self.served, self._accounts)
        other.account = account
        other.reconnect(client_id)
        return other

    def close(self) -> None:
        """Disconnect."""
        self.link.close()

    def heal(self) -> None:
        """Switch all faults off; on the gateway's thread."""
        self.served.gateway.set_faults(Faults())

    @property
    def positions(self) -> dict[str, Decimal]:
        """Holdings of the account at the gateway."""
        return self.served.do(lambda gateway: gateway.positions(self.account))

    @property
    def refs(self) -> list[str]:
        """Order refs of the account that reached the gateway, oldest first."""
        return self.served.do(
            lambda gateway: [one.ticket.order_ref for one in gateway.orders if one.account == self.account]
        )

    def codes(self) -> set[int]:
        """Codes that the ledger keeps with the account's orders."""
        with self.ledger.begin() as session:
            ours = select(Order.order_ref).where(Order.account_id == self.account)
            found = session.scalars(select(OrderReport.code).where(OrderReport.order_ref.in_(ours)))
            return {code for code in found if code is not None}

    def aim(self) -> None:
        """Remember where the account has to end, before anything happens."""
        self.wanted = self.planned()

    def planned(self) -> dict[str, Decimal]:
        """Holdings that a dry run, made before anything happened, wants."""
        outcome = self.attempt(self.request(Command.PRINT_REBALANCE), print_rebalance)
        assert outcome.result is not None, outcome
        wanted = {symbol: Decimal(shares) for symbol, shares in self.positions.items()}
        for order in outcome.result["orders"]:
            signed = order["quantity"] if order["action"] == "BUY" else -order["quantity"]
            wanted[order["symbol"]] = wanted.get(order["symbol"], Decimal(0)) + signed
        return {symbol: shares for symbol, shares in wanted.items() if shares}

    def prove_books(self, foreign: Collection[str] = ()) -> None:
        """Nothing twice, nothing orphaned, nothing borrowed, though the broker would lend; the ledger has every fill of
        ours, to the cent, and nothing else.
        """
        assert self.served.do(lambda gateway: gateway.cash(self.account)) >= 0, "money was borrowed"
        refs = [ref for ref in self.refs if ref not in foreign]
        assert len(refs) == len(set(refs)), "an order ref was sent twice"
        open_now = self.served.do(lambda gateway: gateway.exchange.book.open_orders(self.account))
        assert open_now == [], "an order was left open"
        with self.ledger.begin() as session:
            orders = session.scalars(select(Order).where(Order.account_id == self.account)).all()
            fills = session.scalars(select(FillRow).where(FillRow.account_id == self.account)).all()
        assert [order.order_ref for order in orders if order.final_at is None] == []
        assert set(refs) <= {order.order_ref for order in orders}, "an order without an intent"
        ledger = sorted((row.order_ref, row.execution, row.quantity, row.price, row.commission) for row in fills)
        assert ledger == self.served.do(lambda gateway: _executions(gateway, set(refs)))
        by_ref = {order.order_ref: order.filled for order in orders if order.filled}
        assert by_ref == self.served.do(lambda gateway: _filled(gateway, set(refs)))


def _executions(gateway: Gateway, refs: set[str]) -> list[tuple[str, str, Decimal, Decimal, Decimal]]:
    return sorted(
        (one.order.ticket.order_ref, one.execution_id.rpartition(".")[0], one.quantity, one.price, one.commission)
        for one in gateway.executions
        if one.order.ticket.order_ref in refs
    )


def _filled(gateway: Gateway, refs: set[str]) -> dict[str, Decimal]:
    return {one.ticket.order_ref: one.filled for one in gateway.orders if one.ticket.order_ref in refs and one.filled}


@contextmanager
def bench(
    folder: Path,
    ledger: Ledger,
    allocations: AllocationsServer,
    behaviour: Behaviour | None = None,
    **scenario: Any,
) -> Iterator[Bench]:
    """A bench around the small scenario; keyword arguments replace its parts."""
    served = ServedGateway({**SETUP, **scenario}, behaviour)
    made = None
    try:
        made = Bench(ledger, allocations, served, _accounts(folder, scenario.get("accounts", SETUP["accounts"])))
        yield made
    finally:
        if made is not None:
            made.close()
        served.stop()


def _accounts(folder: Path, known: Collection[str]) -> dict[str, Account]:
    path = folder / "accounts.yaml"
    mode = TradingMode.PAPER if all(name.startswith("D") for name in known) else TradingMode.LIVE
    rows = "".join(f"  - account_id: {name}\n    type: {mode}\n    strategy_name: {STRATEGY}\n" for name in known)
    path.write_text(f"accounts:\n{rows}", encoding="utf-8")
    loaded = load_accounts(path, {}, mode)
    return {name: loaded.get(name) for name in known}


def soon(delay_s: float, action: Callable[[], object]) -> None:
    """Do something a little later; on the gateway's thread."""
    asyncio.get_running_loop().call_later(delay_s, action)


def change_faults(gateway: Gateway, **changes: Any) -> None:
    """Change some faults and leave the others; on the gateway's thread."""
    gateway.set_faults(gateway.faults.model_copy(update=changes))


def when_orders_arrive(here: Bench, number: int, action: Callable[[Gateway], object]) -> None:
    """Do something on the gateway's thread as soon as the account has sent so many orders."""

    def watch() -> None:
        until(lambda: len(here.refs) >= number, 10)
        here.served.do(action)

    threading.Thread(target=watch, daemon=True).start()


def fails_without_an_order(here: Bench, *words: str) -> None:
    """An attempt ends with a reason, and nothing was sent."""
    outcome = here.rebalance()
    assert outcome.state is EventState.RETRYING
    assert all(word in outcome.error for word in words), outcome.error
    assert here.refs == []


def ends_on_target(here: Bench, attempts: int = 4) -> None:
    """The account's event reaches what was aimed at, and the books agree."""
    here.finish(here.request(), attempts)
    assert here.positions == here.wanted
    here.prove_books()


class Behind(Behaviour):
    """A gateway whose answers about the account stay as they are at the first one while ``frozen``."""

    def __init__(self) -> None:
        self.frozen = False
        self._kept: dict[Message, Message] = {}

    def outgoing(self, client_id: int, message: Message) -> tuple[Delivery, ...]:
        """Rows of positions (71) and account values (73) by account and symbol or tag."""
        del client_id
        if message[0] == POSITION:
            key: Message = (message[0], message[3], message[4])
        elif message[0] == VALUE:
            key = (message[0], message[3], message[5], message[7])
        else:
            return (Delivery(message),)
        if not self.frozen:
            self._kept[key] = message
            return (Delivery(message),)
        kept = self._kept.get(key)
        if kept is None:
            return ()
        return (Delivery((*message[:3], *kept[3:])),)
