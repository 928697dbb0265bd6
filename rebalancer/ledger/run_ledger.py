"""The ledger as one run uses it: patient while PostgreSQL is away, and shut to a run whose event another one owns."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from itertools import chain, repeat
from typing import Concatenate, ParamSpec, TypeVar

import structlog

from rebalancer.domain.claims import Claim
from rebalancer.domain.errors import RecordUnavailable
from rebalancer.ledger import ownership
from rebalancer.ledger.kept_connection import KeptConnection
from rebalancer.ledger.lease import Lease
from rebalancer.ledger.session import Ledger, Session

P = ParamSpec("P")
T = TypeVar("T")
log = structlog.get_logger()

_PAUSES_S = (0.05, 0.1, 0.2, 0.5)
"""Between two tries; the last one repeats."""


class RunLedger:
    """Transactions of one run. One that PostgreSQL's absence interrupted is made again until the lease has passed: what
    the broker said meanwhile waits, and nobody else may look after the run's orders before.
    """

    def __init__(self, ledger: Ledger, claim: Claim, lease: Lease) -> None:
        self._connection = KeptConnection(ledger)
        self._claim = claim
        self._lease = lease

    def kept(self) -> AbstractContextManager[None]:
        """Keep one connection for as long as the block runs."""
        return self._connection.kept()

    def read(self, question: Callable[Concatenate[Session, P], T], *arguments: P.args, **named: P.kwargs) -> T:
        """Ask the ledger what changes and locks nothing.

        Raises:
            RecordUnavailable: PostgreSQL was away until the lease had passed, or refuses.
        """

        def asked() -> T:
            with self._connection.ask() as session:
                return question(session, *arguments, **named)

        return self.patiently(asked)

    def do(self, work: Callable[Concatenate[Session, P], T], *arguments: P.args, **named: P.kwargs) -> T:
        """Do something in one transaction.

        Raises:
            RecordUnavailable: as of :meth:`read`.
        """

        def done() -> T:
            with self._connection.begin() as session:
                return work(session, *arguments, **named)

        return self.patiently(done)

    def write(self, change: Callable[Concatenate[Session, P], T], *arguments: P.args, **named: P.kwargs) -> T:
        """Change the ledger, if the event is still the run's when that is committed.

        Raises:
            LeaseLost: another attempt owns the event; nothing was changed.
            RecordUnavailable: as of :meth:`read`.
        """

        def owned(session: Session) -> T:
            ownership.require_owned(session, self._claim)
            return change(session, *arguments, **named)

        return self.do(owned)

    def patiently(self, work: Callable[[], T]) -> T:
        """Do what uses the ledger, again while it is away."""
        for pause_s in self._pauses():
            try:
                return work()
            except RecordUnavailable as error:
                if not error.away:
                    raise
                log.warning("ledger_away", error=str(error).splitlines()[0], patience_s=round(self._lease.left_s))
                threading.Event().wait(pause_s)
        return work()

    def _pauses(self) -> Iterator[float]:
        """As long as the lease lasts."""
        for pause_s in chain(_PAUSES_S, repeat(_PAUSES_S[-1])):
            if self._lease.left_s <= pause_s:
                return
            yield pause_s
