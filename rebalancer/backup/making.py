"""Making a copy of the ledger while everything runs."""

from __future__ import annotations

import fcntl
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from rebalancer.backup import archive
from rebalancer.backup.archive import Rows
from rebalancer.backup.failure import BackupFailed
from rebalancer.backup.sealing import BLOCK, Sealing, check_seal
from rebalancer.domain.errors import ConfigurationError
from rebalancer.ledger.admin import consistent_copy
from rebalancer.ledger.session import Ledger

NAME = re.compile(r"rebalancer-\d{8}T\d{6}Z\.dump")
"""Names that a backup into a folder gives, and the only ones that it ever removes; their order is that of time."""


@dataclass(frozen=True, slots=True)
class Made:
    """A backup that was read back and found complete.

    Attributes:
        rows: in all tables.
        removed: older backups that left the folder.
    """

    path: Path
    rows: int
    size: int
    removed: tuple[Path, ...]


def make_backup(url: str, target: Path, now: datetime, sealing: Sealing, keep: int | None = None) -> Made:
    """Copy one moment of the ledger, read the copy back, and only then give it its name.

    Args:
        url: DATABASE_URL.
        target: a folder, in which the file is named by time; or the file itself, which is replaced.
        keep: so many of a folder's newest backups stay; ``None`` for all.

    Raises:
        ConfigurationError: the target cannot be written, or there is no ledger.
        BackupFailed: the copy is not complete; no file is left.
        RecordUnavailable: PostgreSQL is away.
    """
    if keep is not None and not target.is_dir():
        raise ConfigurationError(
            [f"{target} is no folder, so there is nothing to keep the newest of: leave --keep out"]
        )
    path = target / f"rebalancer-{now:%Y%m%dT%H%M%SZ}.dump" if target.is_dir() else target
    with _unfinished(path.with_name(".rebalancer-backup.part")) as part:
        rows = _copy(url, part, now, sealing)
        _keep_through_power_loss(part)
        part.replace(path)
    _keep_through_power_loss(path.parent)
    return Made(path, sum(rows.values()), path.stat().st_size, _remove_old(path.parent, keep))


def _copy(url: str, part: Path, now: datetime, sealing: Sealing) -> Mapping[str, int]:
    ledger = Ledger(url)
    try:
        with consistent_copy.frozen(ledger) as moment:
            if moment.revision is None:
                raise ConfigurationError(["the database holds no ledger: does DATABASE_URL name the right one?"])
            with part.open("r+b") as file:
                archive.write(moment, file, now, sealing)
                _verify(file, sealing, moment.rows)
            return moment.rows
    except OSError as full:
        raise BackupFailed(f"{part.parent}: the backup cannot be written there: {full.strerror}") from full
    finally:
        ledger.close()


def _verify(file: BinaryIO, sealing: Sealing, rows: Mapping[str, int]) -> None:
    """Read it back; of what is encrypted only its seal can be checked, since its secret key is elsewhere."""
    if sealing.recipient is not None:
        check_seal(file, sealing.key)
        return
    with archive.opened(file, sealing.key) as written:
        found = {form.table: _count(lines) for form, lines in written.tables()}
    if found != rows:
        different = sorted(table for table in {*rows, *found} if rows.get(table) != found.get(table))
        counts = ", ".join(f"{table}: {found.get(table)} instead of {rows.get(table)}" for table in different)
        raise BackupFailed(f"the copy does not hold the rows of the ledger ({counts}); nothing was kept, try again")


def _count(rows: Rows) -> int:
    return sum(block.count(b"\n") for block in iter(lambda: rows.read(BLOCK), b""))


@contextmanager
def _unfinished(part: Path) -> Iterator[Path]:
    """A private file that vanishes unless it is renamed; what a killed backup left is overwritten."""
    descriptor = _locked(part)
    try:
        os.ftruncate(descriptor, 0)
        try:
            yield part
        finally:
            if _is(part, descriptor):  # else it has its name, and the one of this name is another backup's
                part.unlink()
    finally:
        os.close(descriptor)


def _locked(part: Path) -> int:
    """The file of this name, which nobody else has: between opening and locking another backup may have finished, and
    what was opened is then its result.
    """
    while True:
        try:
            descriptor = os.open(part, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as refused:
            raise ConfigurationError([f"{part.parent}: cannot be written: {refused.strerror}"]) from refused
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as busy:
            os.close(descriptor)
            raise BackupFailed(f"another backup is being written in {part.parent}: wait for it") from busy
        if _is(part, descriptor):
            return descriptor
        os.close(descriptor)


def _is(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _keep_through_power_loss(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove_old(folder: Path, keep: int | None) -> tuple[Path, ...]:
    if keep is None:
        return ()
    known = sorted((path for path in folder.iterdir() if NAME.fullmatch(path.name)), reverse=True)
    for path in known[keep:]:
        path.unlink()
    return tuple(known[keep:])
