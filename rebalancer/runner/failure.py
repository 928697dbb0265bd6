"""Why the stack did not start, in words for its owner."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rebalancer.domain.errors import RebalancerError

TAIL_LINES = 15
TAIL_BYTES = 16_384


@dataclass
class StartFailed(RebalancerError):
    """A program did not start; what had been started was stopped again.

    Attributes:
        program: its name, as in ``rebalancer ps`` and the log folder.
        reason: one sentence.
        log: its log file, None when it never got so far.
        remedy: what to try.
    """

    program: str
    reason: str
    log: Path | None
    remedy: str

    def __str__(self) -> str:
        return f"{self.program}: {self.reason}"

    def log_tail(self) -> str:
        """The last lines that the program wrote."""
        return "" if self.log is None else tail(self.log)


def tail(path: Path, lines: int = TAIL_LINES) -> str:
    """The last lines of a text file, empty when there is none."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - TAIL_BYTES))
            text = file.read().decode(errors="replace")
    except FileNotFoundError:
        return ""
    return "\n".join(text.splitlines()[-lines:])
