"""Which stack: how every process of this machine finds the one that `rebalancer up` or the demo runs.

Nothing is written down for that: the stack's supervisord is asked for the environment that it was started with, which
is what all its programs work with. What ended, however it ended, is never found. In order of precedence:

1. ``DATABASE_URL`` and ``REDIS_URL``, in the environment or in ``.env``;
2. ``--data DIR``, which contradicts them or agrees with them;
3. ``REBALANCER_DATA``;
4. the stack that runs from the working directory: in ``.rebalancer``, else the demo's in ``.rebalancer/demo``.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from rebalancer.domain.errors import ConfigurationError, NothingRuns

DEFAULT = Path(".rebalancer")
DEMO = DEFAULT / "demo"
CHOICE = "REBALANCER_DATA"
MARK = "REBALANCER_STACK"
"""In the environment of every process of a stack: its folder. Never set by a person, whose shell would then be taken
for a part of the stack, and stopped with it.
"""
PID_FILE = "supervisord.pid"
WORLD = "world"
STORES = ("DATABASE_URL", "REDIS_URL")


@dataclass(frozen=True, slots=True)
class RunningStack:
    """A stack that runs on this machine.

    Attributes:
        folder: absolute.
        directory: in which it was started; relative paths in its settings start there.
        environment: what its programs were started with, secrets included.
    """

    folder: Path
    directory: Path
    environment: Mapping[str, str] = field(repr=False)

    def __str__(self) -> str:
        return f"the stack that runs in {shown(self.folder)} ({world_of(self.folder) or 'unknown'})"


@dataclass(frozen=True, slots=True)
class Origin:
    """Whose ledger and queue a process works with, and why.

    Attributes:
        stack: whose they are; ``None`` where settings name them, or nothing does.
        places: where settings name them: place by name, such as ``.env:3`` by ``DATABASE_URL``.
        passed_over: a stack that could have been meant, and is not.
    """

    stack: RunningStack | None
    places: Mapping[str, str]
    passed_over: RunningStack | None = None

    def line(self) -> str:
        """In one line for a person."""
        if self.stack is not None:
            return f"Using {self.stack}."
        if not self.places:
            return f"No stack runs in {DEFAULT} or {DEMO} here: trying the default {' and '.join(STORES)}."
        named = " and ".join(f"{name} ({place})" for name, place in self.places.items())
        return f"Using {named}{f', not {self.passed_over}' if self.passed_over else ''}."

    def remedy(self) -> str:
        """What to try when the ledger or the queue cannot be reached."""
        if self.stack is not None:
            where = shown(self.stack.folder)
            return f"`rebalancer ps --data {where}` shows what runs there, {where}/logs says why it does not answer"
        if self.places:
            named = " and ".join(f"{name} ({place})" for name, place in self.places.items())
            return f"does the server run that {named} names?"
        return (
            f"nothing runs in {DEFAULT} or {DEMO} here, and {STORES[0]} is not set: start with `rebalancer up`, name "
            f"the folder of a running stack with --data, or set {' and '.join(STORES)}"
        )


class _Chosen:
    """What was typed on this command line; one per process, since Celery reads its configuration by itself."""

    typed: Path | None = None
    told: bool = False


def choose(folder: Path | None) -> None:
    """Take note of ``--data``, or that it was not given."""
    _Chosen.typed = folder
    _Chosen.told = False


def typed() -> Path | None:
    """What ``--data`` says."""
    return _Chosen.typed


def announce(origin: Origin) -> None:
    """Say on standard error, once per process, which stack is used."""
    if not _Chosen.told:
        sys.stderr.write(f"{origin.line()}\n")
    _Chosen.told = True


def chosen() -> Path | None:
    """The folder that ``--data`` or the environment names; ``None`` where nobody has chosen."""
    named = os.environ.get(CHOICE)
    return _Chosen.typed or (Path(named) if named else None)


def folder_here() -> Path:
    """The folder that is meant: the chosen one, else one from which a stack runs, else the default."""
    if (wanted := chosen()) is not None:
        return wanted
    return next((folder for folder in (DEFAULT, DEMO) if running_in(folder)), DEFAULT)


def find() -> RunningStack | None:
    """The stack that is meant, if it runs; none for the programs of a stack, which have everything already."""
    if MARK in os.environ or chosen() == Path(os.devnull):
        return None
    return running_in(folder_here())


def running_in(folder: Path) -> RunningStack | None:
    """The stack that runs in a folder.

    Raises:
        ConfigurationError: it is somebody else's.
    """
    root = folder.resolve()
    try:
        process = psutil.Process(int((root / PID_FILE).read_text().split()[0]))
        environment = process.environ()
        if environment.get(MARK) != str(root):
            return None
        return RunningStack(root, Path(process.cwd()), environment)
    except (FileNotFoundError, NotADirectoryError, ValueError, IndexError, psutil.NoSuchProcess):
        return None
    except (PermissionError, psutil.AccessDenied) as refused:
        if isinstance(refused, psutil.AccessDenied) and (root / PID_FILE).stat().st_uid == os.geteuid():
            return None  # somebody else's process has the pid of our supervisord that ended
        remedy = "use the user that started it, or name another folder with --data"
        raise ConfigurationError([f"{shown(root)} is another user's: {remedy}"]) from refused


def decide(found: RunningStack | None, urls: Mapping[str, str], places: Mapping[str, str]) -> Origin:
    """Whether the stack that was found is used.

    Args:
        urls: those of :data:`STORES` that settings name.
        places: where, by the same names.

    Raises:
        NothingRuns: a folder was chosen in which nothing runs, and settings do not name both.
        ConfigurationError: ``--data`` was typed, and settings name other servers.
    """
    if found is None:
        if (wanted := chosen()) is not None and len(urls) < len(STORES) and wanted != Path(os.devnull):
            raise NothingRuns(_nothing_runs(wanted))
        return Origin(None, places)
    other = [name for name, url in urls.items() if found.environment.get(name) != url]
    if not other:
        return Origin(found, places)
    if typed() is not None:
        named = " and ".join(f"{name} ({places[name]})" for name in other)
        remedy = f"leave --data out, or take {' and '.join(other)} out (ENV_FILE=/dev/null reads no .env)"
        raise ConfigurationError([f"--data {typed()} and {named} name different servers: {remedy}"])
    return Origin(None, places, found)


def world_of(folder: Path) -> str | None:
    """``sandbox`` or ``broker``: what a data folder was made for; ``None`` where none was made."""
    try:
        return (folder / WORLD).read_text().strip() or None
    except (FileNotFoundError, NotADirectoryError):
        return None


def shown(path: Path) -> str:
    """A path as it would be typed from here."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def _nothing_runs(wanted: Path) -> str:
    how = f"`rebalancer up{' --sandbox' if world_of(wanted) == 'sandbox' else ''} --data {wanted}`"
    by = "--data" if typed() else CHOICE
    others = [shown(one) for one in (DEFAULT, DEMO) if one.resolve() != wanted.resolve() and running_in(one)]
    besides = f"; {' and '.join(others)} {'is' if len(others) == 1 else 'are'} up" if others else ""
    return f"nothing runs in {wanted} ({by}): start it with {how}{besides}"
