"""Workers that die, and connections that are cut, at a chosen step of a run."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection

from rebalancer.domain.orders import OrderRequest, OrderUpdate
from rebalancer.domain.ports import Broker
from rebalancer.ledger.session import Ledger, Session
from sandbox.gateway.behaviour import Incoming
from sandbox.gateway.fault_settings import Faults
from sandbox.gateway.faults import FaultyBehaviour


class Crash(BaseException):
    """The worker's process is gone; nothing of the program may catch this."""


class Fuse:
    """Counts the steps of the run's thread, and kills at the chosen one; at none where 0 is chosen.

    Attributes:
        burnt: where that was; ``None`` if the run had fewer steps.
        passed: every step until then.
    """

    def __init__(self, at: int, kill: Callable[[], None]) -> None:
        self.burnt: str | None = None
        self.passed: list[str] = []
        self._left = at
        self._kill = kill
        self._thread = threading.get_ident()

    def step(self, where: str) -> None:
        """One more step, if it is the run's thread that takes it."""
        if threading.get_ident() != self._thread or self.burnt is not None:
            return
        self.passed.append(where)
        self._left -= 1
        if self._left == 0:
            self.burnt = where
            self._kill()
            raise Crash(where)


class FusedLedger(Ledger):
    """Dies before a commit or after it, or after a question."""

    def __init__(self, url: str, fuse: Fuse) -> None:
        super().__init__(url)
        self._fuse = fuse

    @contextmanager
    def begin(self, connection: Connection | None = None) -> Iterator[Session]:
        with super().begin(connection) as session:
            yield session
            self._fuse.step("before a commit")
        self._fuse.step("after a commit")

    @contextmanager
    def ask(self, connection: Connection) -> Iterator[Session]:
        with super().ask(connection) as session:
            yield session
        self._fuse.step("after a question")


class FusedBroker:
    """Dies before or after any call, before any order, or at any report."""

    def __init__(self, broker: Broker, fuse: Fuse) -> None:
        self._broker = broker
        self._fuse = fuse

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._broker, name)

        def fused(*arguments: Any, **named: Any) -> Any:
            self._fuse.step(f"before {name}")
            answer = call(*arguments, **named)
            self._fuse.step(f"after {name}")
            return answer

        return fused

    def execute(
        self,
        orders: Sequence[OrderRequest],
        timeout_s: float,
        before_each: Callable[[], None],
        *rest: Callable[[], None],
    ) -> Iterator[Sequence[OrderUpdate]]:
        def checked() -> None:
            before_each()
            self._fuse.step("before an order")

        for batch in self._broker.execute(orders, timeout_s, checked, *rest):
            self._fuse.step("at a report")
            yield batch
        self._fuse.step("after the last report")


class Cutting(FaultyBehaviour):
    """A gateway that resets the connection at the chosen message of a client."""

    def __init__(self) -> None:
        super().__init__(Faults())
        self._left = 0
        self._verdict = Incoming.HANDLE

    def cut(self, at: int, verdict: Incoming) -> None:
        """Reset at that message from now, counted from 1."""
        self._verdict = verdict
        self._left = at

    def incoming(self, client_id: int, message_id: int) -> Incoming:
        if self._left:
            self._left -= 1
            if self._left == 0:
                return self._verdict
        return super().incoming(client_id, message_id)
