"""`python -m tests.fuzz TARGET SECONDS FOLDER`: guided by coverage where atheris is installed, else by chance.

New inputs and findings go into the folder. The exit code is 0 when nothing was found.
"""

from __future__ import annotations

import importlib.util
import io
import random
import sys
import time
from collections.abc import Callable
from contextlib import redirect_stderr
from pathlib import Path
from types import ModuleType

CORPUS = Path(__file__).with_name("corpus")
LONGEST = 4_096
SLOWEST_S = 10
GUIDED = importlib.util.find_spec("atheris") is not None
INSTRUMENTED = ["rebalancer", "listener", "api", "ib_async", "yaml", "dotenv"]


def load() -> ModuleType:
    """The targets; what they try tells atheris, where it is installed, which way each input took."""
    if GUIDED:
        import atheris  # noqa: PLC0415 - there are no wheels of it for each platform

        names = io.StringIO()  # of three hundred modules
        with redirect_stderr(names), atheris.instrument_imports(include=INSTRUMENTED):
            from tests.fuzz import targets  # noqa: PLC0415 - instrumented
    else:
        from tests.fuzz import targets  # noqa: PLC0415 - as above
    targets.quiet()
    return targets


def fuzz(target: Callable[[bytes], None], name: str, seconds: int, folder: Path) -> None:
    """One target; guided, this does not return: libFuzzer ends the process itself."""
    folder.mkdir(parents=True, exist_ok=True)
    if GUIDED:
        guided(target, name, seconds, folder)
    print(f"{name}: {by_chance(target, name, seconds, folder):,} inputs, nothing found")


def guided(target: Callable[[bytes], None], name: str, seconds: int, folder: Path) -> None:
    """Does not return."""
    import atheris  # noqa: PLC0415 - as above

    (grown := folder / "corpus" / name).mkdir(parents=True, exist_ok=True)
    options = (
        f"-max_total_time={seconds}",
        f"-max_len={LONGEST}",
        f"-timeout={SLOWEST_S}",
        "-rss_limit_mb=1024",
        "-print_final_stats=1",
        "-verbosity=0",
        f"-artifact_prefix={folder}/{name}-",
    )
    atheris.Setup([sys.argv[0], *options, str(grown), str(CORPUS / name)], target)
    atheris.Fuzz()


def by_chance(
    target: Callable[[bytes], None], name: str, seconds: int, folder: Path, chance: random.Random | None = None
) -> int:
    """Change what lies in the corpus, a little at a time; how many inputs were tried."""
    seeds = [path.read_bytes() for path in sorted((CORPUS / name).iterdir())]
    chance, tried, end = random.Random(), 0, time.monotonic() + seconds
    while time.monotonic() < end:
        data = changed(chance, seeds)
        try:
            target(data)
        except BaseException:
            (folder / f"{name}-crash").write_bytes(data)
            raise
        tried += 1
    return tried


def changed(chance: random.Random, seeds: list[bytes]) -> bytes:
    """A seed with some bytes flipped, cut, repeated, or joined with another seed's."""
    data = bytearray(chance.choice(seeds))
    for _ in range(chance.randint(1, 6)):
        start, end = sorted((chance.randint(0, len(data)), chance.randint(0, len(data))))
        part = chance.choice((b"", chance.randbytes(2), bytes(data[start:end]) * 2, chance.choice(seeds), b"[" * 500))
        data[start : end if chance.random() < 0.5 else start + 1] = part[:LONGEST]
    return bytes(data[:LONGEST])


def main() -> None:
    name, seconds, folder = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    fuzz(load().TARGETS[name], name, seconds, folder)


if __name__ == "__main__":
    main()
