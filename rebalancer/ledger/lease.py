"""The right to work on an event: a time in the ledger, and a deadline of our own clock that passes before it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import copy_context
from datetime import timedelta

import structlog

from rebalancer.domain.claims import Claim
from rebalancer.domain.errors import LeaseLost, RecordUnavailable
from rebalancer.ledger import ownership
from rebalancer.ledger.session import Ledger

log = structlog.get_logger()

_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Where a machine can say how long it was suspended, that time counts: the ledger's clock ran on meanwhile."""
MARGIN = 6
"""That part of a lease is left when ours has passed; after as long it is renewed."""


class Lease:
    """One claim's lease.

    Attributes:
        removal_requested: an operator has ended the event.
    """

    def __init__(self, ledger: Ledger, claim: Claim, length: timedelta) -> None:
        self.removal_requested = claim.removed
        self._ledger = ledger
        self._claim = claim
        self._length = length
        self._margin_s = length.total_seconds() / MARGIN
        self._ended = threading.Event()
        self._extend(time.clock_gettime(_CLOCK))

    @property
    def left_s(self) -> float:
        """Seconds until our deadline; negative after it."""
        return self._deadline - time.clock_gettime(_CLOCK)

    def require(self) -> None:
        """Stop here unless the deadline is still to come. Asks nobody, so that it can be the last thing before an order
        leaves.

        Raises:
            LeaseLost: another worker may own the event.
        """
        if self.left_s <= 0:
            raise LeaseLost(f"the lease of event {self._claim.event_id} could not be renewed in time")

    def renew(self) -> None:
        """Extend it now.

        Raises:
            LeaseLost: it had run out, or another attempt owns the event.
            RecordUnavailable: nobody can say; it stays as it is.
        """
        asked_at = time.clock_gettime(_CLOCK)
        with self._ledger.begin() as session:
            removed = ownership.renew(session, self._claim, self._length)
        self.removal_requested = self.removal_requested or removed
        self._extend(asked_at)

    @contextmanager
    def kept_alive(self) -> Iterator[None]:
        """Renew it in a thread as long as the block runs."""
        name = f"lease-{self._claim.event_id}"
        # In a copy of our context, so that its lines are the run's.
        keeper = threading.Thread(target=copy_context().run, args=(self._keep,), name=name, daemon=True)
        keeper.start()
        try:
            yield
        finally:
            self._ended.set()

    def _keep(self) -> None:
        while not self._ended.wait(self._margin_s):
            try:
                self.renew()
            except LeaseLost:
                self._deadline = 0.0
                return
            except RecordUnavailable as error:
                log.warning("lease_not_renewed", error=str(error))

    def _extend(self, asked_at: float) -> None:
        self._deadline = asked_at + self._length.total_seconds() - self._margin_s
