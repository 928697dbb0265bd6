"""`python -m tests.fuzz.every SECONDS FOLDER [NAME ...]`: every target for so long, each in a process of its own.

Tells how many inputs that was. The targets are named as the folders of the corpus: importing them is left to those
processes.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.fuzz.__main__ import CORPUS

TRIED = re.compile(r"number_of_executed_units: (\d+)|: ([\d,]+) inputs")


def main(seconds: str, folder: str, *names: str) -> int:
    """1 as soon as something was found, which is shown."""
    total = 0
    for name in names or sorted(path.name for path in CORPUS.iterdir()):
        command = (sys.executable, "-m", "tests.fuzz", name, seconds, folder)
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
        found = TRIED.search(done.stdout)
        if done.returncode or found is None:
            print(done.stdout)
            print(f"{name}: see above; the input is in {Path(folder).resolve()}")
            return 1
        tried = int((found[1] or found[2]).replace(",", ""))
        total += tried
        print(f"{name:>18} {tried:>12,}", flush=True)
    print(f"{'inputs in all':>18} {total:>12,}, nothing found")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
