"""`python -m tests.tools.mutants`: what became of the mutants of `make mutants`, by module, and those that survived."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

FOLDER = Path("mutants")
COLUMNS = {
    "killed": {1, 3},
    "refused by mypy": {37},
    "timeout": {-24, 24, 36, 152, 255},
    "survived": {0},
    "without a test": {5, 33},
    "not run": {None, 2, 34},
}
"""What mutmut 3.8 means by its exit codes; any other is a crash."""


def outcome(code: int | None) -> str:
    """The column of an exit code."""
    return next((name for name, codes in COLUMNS.items() if code in codes), "crashed")


def main() -> None:
    """Print a table in Markdown, and the names that `mutmut show` takes."""
    left: list[str] = []
    totals: Counter[str] = Counter()
    print(f"| module | {' | '.join(COLUMNS)} |\n|---|{'---:|' * len(COLUMNS)}")
    for file in sorted(FOLDER.rglob("*.py.meta")):
        codes: dict[str, int | None] = json.loads(file.read_text(encoding="utf-8"))["exit_code_by_key"]
        if not codes:
            continue
        counts = Counter(map(outcome, codes.values()))
        totals += counts
        left += [f"{name}: {outcome(code)}" for name, code in codes.items() if outcome(code) not in _NOTICED]
        _row(str(file.relative_to(FOLDER))[: -len(".meta")].removeprefix("rebalancer/"), counts)
    _row("all", totals)
    print("\n".join(["", *left]))


_NOTICED = {"killed", "refused by mypy", "timeout"}


def _row(name: str, counts: Counter[str]) -> None:
    print(f"| {name} | {' | '.join(str(counts[column]) for column in COLUMNS)} |")


if __name__ == "__main__":
    main()
