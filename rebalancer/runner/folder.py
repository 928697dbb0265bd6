"""The data folder: everything that one stack keeps, in one place."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rebalancer.config.running_stack import PID_FILE, WORLD
from rebalancer.domain.errors import ConfigurationError
from rebalancer.runner.secrets import write_private
from rebalancer.runner.sockets import socket_folder, socket_place

LOCK = "runner.lock"
SOCKET = "supervisor.sock"
LONGEST_SOCKET = f"{SOCKET}.4194304"  # supervisord binds supervisor.sock.<pid> first
OTHERS = 0o077


@dataclass(frozen=True, slots=True)
class Folder:
    """Paths inside the data folder; ``root`` is absolute and resolved."""

    root: Path

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def secrets(self) -> Path:
        return self.root / "secrets"

    @property
    def ports(self) -> Path:
        return self.root / "ports"

    @property
    def postgres(self) -> Path:
        return self.root / "postgres"

    @property
    def redis(self) -> Path:
        return self.root / "redis"

    @property
    def supervisor_config(self) -> Path:
        return self.root / "supervisord.conf"

    @property
    def supervisor_pid(self) -> Path:
        return self.root / PID_FILE

    @property
    def addresses(self) -> Path:
        return self.root / "addresses.json"

    def log(self, program: str) -> Path:
        """Where the program's output goes."""
        return self.logs / f"{program}.log"

    def supervisor_socket(self) -> Path:
        """Where supervisord listens."""
        return socket_place(self.root / "run", LONGEST_SOCKET) / SOCKET

    def make_supervisor_socket(self) -> Path:
        """The same, in a folder that exists from now on; nothing of a killed predecessor is left there, over which
        supervisord would pause.
        """
        path = socket_folder(self.root / "run", LONGEST_SOCKET) / SOCKET
        path.unlink(missing_ok=True)
        return path

    def exists(self) -> bool:
        """Whether a stack was ever started here."""
        return self.root.is_dir()


def folder_at(path: Path) -> Folder:
    """The folder at a path, which need not exist yet."""
    return Folder(path.resolve())


def open_folder(path: Path, *, sandbox: bool) -> Folder:
    """Make the folder at first use.

    Raises:
        ConfigurationError: it holds the other world's data. What was left waiting in a sandbox must never be carried
            out at a real broker.
    """
    folder = folder_at(path)
    folder.root.mkdir(mode=0o700, parents=True, exist_ok=True)
    for part in (folder.logs, folder.secrets, folder.ports):
        part.mkdir(mode=0o700, exist_ok=True)
    _close(folder.root)
    ours, mark = "sandbox" if sandbox else "broker", folder.root / WORLD
    if not mark.exists():
        write_private(mark, f"{ours}\n")
    elif (theirs := mark.read_text().strip()) != ours:
        raise ConfigurationError(
            [f"{folder.root} belongs to the {theirs}: name another folder for the {ours} with --data"]
        )
    return folder


def delete_contents(folder: Folder) -> None:
    """Delete everything that a stack keeps, but not another stack's folder inside; for who holds the folder."""
    for path in folder.root.iterdir() if folder.exists() else ():
        if (path / WORLD).exists() or path.name == LOCK:
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _close(root: Path) -> None:
    """Nobody else reads what lies here: an earlier release's programs wrote as they liked, and where PostgreSQL has a
    system user of its own, others can pass through.
    """
    for path in root.iterdir():
        if path.is_file() and not path.is_symlink() and path.stat().st_mode & OTHERS:
            path.chmod(path.stat().st_mode & ~OTHERS)


@contextmanager
def only_runner(folder: Folder) -> Iterator[None]:
    """Keep a second runner out of the folder; the kernel gives the lock back however this process ends.

    Raises:
        ConfigurationError: another runner is at work here.
    """
    with (folder.root / LOCK).open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as held:
            lock.seek(0)
            remedy = "see `rebalancer ps`, stop it with `rebalancer down`, or name another folder with --data"
            message = f"{folder.root} is already up (pid {lock.read().strip()}): {remedy}"
            raise ConfigurationError([message]) from held
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield
