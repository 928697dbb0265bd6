"""A process says in the ledger, every few seconds, that it is at work."""

from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import count
from types import TracebackType
from typing import Any, Self

import structlog

from rebalancer.config.proof_file import NOBODY_ASKS, Proof
from rebalancer.domain.errors import RecordUnavailable
from rebalancer.ledger import heartbeats
from rebalancer.ledger.session import Ledger, Session

log = structlog.get_logger()

EVERY_S = 5.0
SHED_AFTER = 12
"""Words; then connections that the process has no more use for are given back."""


class Presence:
    """In a thread of its own, so that it says nothing of a process that does not run.

    Args:
        name: which kind of process.
        host: which one, see :func:`rebalancer.queueing.process_identity.this_process`.
        detail: what else it says.
        proof: what is proven by that, besides.
        say: notes it, and may hear at the same time what others say.
    """

    def __init__(  # noqa: PLR0917 - what it says and hears
        self,
        ledger: Ledger,
        name: str,
        host: str,
        detail: Callable[[], dict[str, Any]],
        proof: Proof = NOBODY_ASKS,
        say: Callable[[Session, str, str, dict[str, Any]], None] = heartbeats.seen,
    ) -> None:
        self._ledger, self._name, self._host, self._detail = ledger, name, host, detail
        self._proof, self._say = proof, say
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._tell, name="presence", daemon=True)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Sign off."""
        self._ended.set()
        self._thread.join()
        try:
            with self._ledger.begin() as session:
                heartbeats.gone(session, self._name, self._host)
        except RecordUnavailable as error:
            log.warning("sign_of_life_left", error=str(error))

    def _tell(self) -> None:
        began = False
        for number in count(1):
            try:
                with self._ledger.singly() as session:
                    if not began:
                        heartbeats.forget_ended(session, self._name)
                    self._say(session, self._name, self._host, self._detail())
                began = True
                self._proof.give()
                if number % SHED_AFTER == 0:
                    self._ledger.shed()
            except RecordUnavailable as error:
                log.warning("sign_of_life_missed", error=str(error))
            if self._ended.wait(EVERY_S):
                return
