"""The use cases over a record in memory and a real socket to the simulated gateway: no PostgreSQL, no Celery."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pytest

from rebalancer.config.settings import Settings
from rebalancer.domain.accounts import Account, AccountRules, TradingMode
from rebalancer.domain.portfolio import Replacement, Targets, TargetWeight
from rebalancer.ibkr import BrokerOptions, IbkrBroker
from rebalancer.usecases import RunContext
from sandbox.gateway.fault_settings import Faults
from tests import memory_record
from tests.integration.ibkr.serving import ServedGateway, connected, serving, until
from tests.memory_record import MemoryLedger, MemoryRun

ACCOUNT = "DU1"
WEIGHTS = {"SPY": "0.251", "VXX": "0.149", "GLD": "0.202", "TLT": "0.198", "QQQ": "0.193"}
HOLDINGS = {"IWM": 300, "SPY": 400}
AN_OPTION = {"con_id": 888, "name": "an option", "symbol": "SPY", "price": 3, "security_type": "OPT", "multiplier": 100}
OPTIONS = BrokerOptions(
    request_timeout_s=3,
    quote_timeout_s=1,
    cancel_timeout_s=3,
    commission_grace_s=0.3,
    verify_after_s=0.1,
    books_timeout_s=2,
    ack_timeout_s=0.5,
)
SETTINGS = {"order_timeout_s": 1, "broker_grace_s": 0.1, "reconnect_timeout_s": 5, "ib_port": 4002}


@dataclass
class FixedTargets:
    """A strategy that says the same until a test changes it."""

    weights: dict[str, str] = field(default_factory=lambda: dict(WEIGHTS))

    def fetch(self, strategy: str) -> Targets:
        return Targets(strategy, tuple(TargetWeight(symbol, Decimal(one)) for symbol, one in self.weights.items()))


@dataclass
class Desk:
    """One account on margin with 300 IWM, 400 SPY and 20000 USD, everything at 100 USD, and its record."""

    served: ServedGateway
    broker: IbkrBroker
    ledger: MemoryLedger = field(default_factory=MemoryLedger)
    targets: FixedTargets = field(default_factory=FixedTargets)
    settings: dict[str, Any] = field(default_factory=lambda: dict(SETTINGS))
    rules: AccountRules = field(default_factory=AccountRules)
    substitutes: tuple[Replacement, ...] = ()

    def claim(self) -> MemoryRun:
        return memory_record.claim(self.ledger, ACCOUNT)

    def context(self, run: MemoryRun) -> RunContext:
        account = Account(
            account_id=ACCOUNT,
            type=TradingMode.PAPER,
            enabled=True,
            strategy="blend",
            cash_reserve_percent=Decimal(1),
            replacement_set=None,
            pdt_protection_enabled=False,
            rules=self.rules,
        )
        settings = Settings.from_flat(self.settings)
        return RunContext.of(
            settings,
            run,
            account,
            broker=self.broker,
            targets=self.targets,
            replacements=(),
            substitutes=self.substitutes,
        )

    def fault(self, **faults: Any) -> None:
        """Faults of the gateway; none heals it."""
        self.served.do(lambda gateway: gateway.set_faults(Faults.model_validate(faults)))

    @contextmanager
    def amid_orders(self, action: Callable[[], object], number: int = 1) -> Iterator[None]:
        """Do something as soon as so many orders work at the broker, and the run has heard of it."""
        failures: list[BaseException] = []

        def watch() -> None:
            try:
                until(lambda: len(self.open_refs) >= number and self._heard(), 10)
                action()
            except BaseException as error:  # noqa: BLE001 - raised again below
                failures.append(error)

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            yield
        finally:
            watcher.join(30)
        for failure in failures:
            raise failure

    def _heard(self) -> bool:
        return all(self.ledger.orders[ref].status != "Planned" for ref in self.open_refs)

    @property
    def refs(self) -> list[str]:
        """Of our orders that reached the gateway, oldest first."""
        return self.served.do(lambda gateway: [one.ticket.order_ref for one in gateway.orders])

    @property
    def open_refs(self) -> Sequence[str]:
        return self.served.do(
            lambda gateway: [one.ticket.order_ref for one in gateway.exchange.book.open_orders(ACCOUNT)]
        )

    @property
    def positions(self) -> dict[str, Decimal]:
        return self.served.do(lambda gateway: dict(gateway.positions(ACCOUNT)))

    def statuses(self) -> dict[str, str]:
        """By order ref, as on record."""
        return {ref: order.status for ref, order in self.ledger.orders.items()}


@contextmanager
def desk(positions: Mapping[str, Any] = HOLDINGS, funds_lag_ms: int = 0, **scenario: Any) -> Iterator[Desk]:
    account = {"margin": True, "cash": 20_000, "positions": positions, "funds_lag_ms": funds_lag_ms}
    with (
        serving(accounts={ACCOUNT: account}, gateway={"messages_per_window": 1000}, **scenario) as served,
        connected(served, options=OPTIONS, messages_per_s=900) as broker,
    ):
        yield Desk(served, broker)


@pytest.fixture
def here() -> Iterator[Desk]:
    """At a healthy gateway."""
    with desk() as made:
        yield made
