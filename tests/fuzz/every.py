"""`python -m tests.fuzz.every SECONDS FOLDER [NAME ...]`: every target for so long, each in a process of its own.

Tells how many inputs that was. They are forks of this one, which loads the targets once for all.
"""

from __future__ import annotations

import multiprocessing
import os
import re
import sys
import tempfile
from pathlib import Path
from types import ModuleType

from tests.fuzz.__main__ import fuzz, load

TRIED = re.compile(r"number_of_executed_units: (\d+)|: ([\d,]+) inputs")


def main(seconds: str, folder: str, *names: str) -> int:
    """1 as soon as something was found, which is shown."""
    targets = load()
    total = 0
    for name in names or sorted(targets.TARGETS):
        ended, said = _forked(targets, name, int(seconds), Path(folder))
        found = TRIED.search(said)
        if ended or found is None:
            print(said)
            print(f"{name}: see above; the input is in {Path(folder).resolve()}")
            return 1
        tried = int((found[1] or found[2]).replace(",", ""))
        total += tried
        print(f"{name:>18} {tried:>12,}", flush=True)
    print(f"{'inputs in all':>18} {total:>12,}, nothing found")
    return 0


def _forked(targets: ModuleType, name: str, seconds: int, folder: Path) -> tuple[int | None, str]:
    """How it ended, and all that it said."""
    with tempfile.TemporaryFile("w+", errors="replace") as output:

        def become() -> None:
            os.dup2(output.fileno(), 1)
            os.dup2(output.fileno(), 2)
            fuzz(targets.TARGETS[name], name, seconds, folder)

        process = multiprocessing.get_context("fork").Process(target=become)
        process.start()
        process.join()
        output.seek(0)
        return process.exitcode, output.read()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
