"""What trials have shown, kept from one command to the next: a long run may be broken off and gone on with."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sandbox.chaos.trial import Outcome

ROOT = Path(__file__).parents[2]
FILE = Path("build/chaos.jsonl")
PROGRAM = ("rebalancer", "tasks", "listener", "sandbox")


def program() -> str:
    """The state of the program and of its trials: what another one has shown says nothing of this one."""
    digest = hashlib.sha256()
    for path in sorted(path for folder in PROGRAM for path in (ROOT / folder).rglob("*.py")):
        digest.update(f"{path.relative_to(ROOT)}\n".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Caught:
    """How the judge saw a product that was broken on purpose.

    Attributes:
        seed: the first that showed it; ``None``: none did.
        seeds: so many were tried at most.
    """

    seed: int | None
    seeds: int
    finding: str = ""


class Results:
    """A file with a line for each trial of this state of the program, with everything that may go wrong, and for each
    variant. Other states' lines are left alone.
    """

    def __init__(self, file: Path = FILE) -> None:
        self._file = file
        self._program = program()
        self.trials: dict[int, Outcome] = {}
        self.variants: dict[str, Caught] = {}
        for line in file.read_text().splitlines() if file.exists() else ():
            self._read(json.loads(line))

    def add(self, seed: int, outcome: Outcome) -> None:
        """One more trial."""
        self._write({"seed": seed, "outcome": asdict(outcome)})

    def add_variant(self, name: str, caught: Caught) -> None:
        """One more variant."""
        self._write({"variant": name, "caught": asdict(caught)})

    def _write(self, row: dict[str, Any]) -> None:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with self._file.open("a") as file:
            file.write(json.dumps({"program": self._program, **row}) + "\n")
        self._read({"program": self._program, **row})

    def _read(self, row: dict[str, Any]) -> None:
        if row["program"] != self._program:
            return
        if "seed" in row:
            self.trials[row["seed"]] = Outcome(**row["outcome"])
        else:
            self.variants[row["variant"]] = Caught(**row["caught"])
