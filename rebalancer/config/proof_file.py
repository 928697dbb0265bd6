"""A file that is as old as the newest proof that its process works: a health check need only look at its age.

Docker asks each process every half minute. An interpreter for each of these questions would cost more than all the work
of a quiet day.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import structlog

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Proof:
    """What a process proves by one file.

    Attributes:
        path: ``None`` where nobody asks.
    """

    path: Path | None

    def give(self) -> None:
        """Now it works."""
        if self.path is None:
            return
        try:
            self.path.touch()
        except OSError as error:
            log.warning("proof_not_given", path=str(self.path), error=str(error))

    def given_within(self, seconds: float) -> bool:
        """Whether it has proven that it works, so lately."""
        try:
            return self.path is None or time.time() - self.path.stat().st_mtime <= seconds
        except FileNotFoundError:
            return False

    def of_part(self, name: str) -> Proof:
        """A proof of its own for a part of the process."""
        return Proof(None if self.path is None else self.path.with_name(f"{self.path.name}.{name}"))


NOBODY_ASKS = Proof(None)
