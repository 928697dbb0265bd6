r"""The form of a backup file: a line that names it, a line of JSON about it, the rows compressed, and the seal.

The rows are data and nothing else: for each table a line of JSON with its name and columns, then its rows as
PostgreSQL's COPY writes them, then ``\.``; at the end what all of them came to. Nothing in the file is ever executed.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

from rebalancer.backup.encryption import Identity, decrypted, encrypted_to
from rebalancer.backup.failure import BackupFailed
from rebalancer.backup.sealing import BackupKey, Seal, Sealing, check_seal
from rebalancer.ledger.admin.consistent_copy import Form, Moment

MAGIC = b"rebalancer backup 2\n"
OLDER = b"PGDMP"
_END = b"\\.\n"
LONGEST_HEADER = 10_000
UNREADABLE = (
    OSError,
    EOFError,
    zlib.error,
    ArithmeticError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
    RecursionError,
)


@dataclass(frozen=True, slots=True)
class Header:
    """What a file says of itself; to be believed only when its seal fits.

    Attributes:
        created_at: by the clock of the machine that made it.
        revision: of the schema that the rows are of.
        key: name of the key that sealed it.
        encrypted: to an age recipient.
    """

    created_at: datetime
    revision: str
    key: str
    encrypted: bool


@dataclass(frozen=True, slots=True)
class Totals:
    """What stands at the end.

    Attributes:
        rows: by table.
        sequences: last value, and whether it was given out, by name.
    """

    rows: Mapping[str, int]
    sequences: Mapping[str, tuple[int, bool]]


class Rows:
    """The rows of one table, line by line up to their end; a file to whoever reads it."""

    def __init__(self, lines: BinaryIO) -> None:
        self._lines = lines
        self._over = False

    def read(self, size: int = -1, /) -> bytes:
        """At least one row as long as there is one; nothing at the end."""
        found = bytearray()
        while not self._over and (not found or len(found) < size):
            line = self._lines.readline()
            self._over = line == _END
            if not line:
                raise BackupFailed("the backup ends amid a table's rows")
            found += b"" if self._over else line
        return bytes(found)


def write(moment: Moment, file: BinaryIO, created_at: datetime, sealing: Sealing) -> None:
    """Write one moment of the ledger, sealed; encrypted, if there is a recipient."""
    header = Header(created_at, str(moment.revision), sealing.key.name, sealing.recipient is not None)
    told = asdict(header) | {"created_at": created_at.isoformat()}
    sealed = _Sealed(file, Seal(sealing.key))
    sealed.write(MAGIC + json.dumps(told).encode() + b"\n")
    folder = Path(str(file.name)).parent
    with (
        encrypted_to(sealing.recipient, sealed, folder) as sink,
        gzip.GzipFile(fileobj=sink, mode="wb", mtime=0) as packed,
    ):
        for form in moment.forms:
            packed.write(_line({"table": form.table, "columns": form.columns}))
            moment.write(form, packed)
            packed.write(_END)
        packed.write(_line({"rows": moment.rows, "sequences": moment.sequences}))
    sealed.finish()


class Archive:
    """A file whose seal fits, open for one reading from start to end."""

    def __init__(self, header: Header, lines: BinaryIO, part: _Part) -> None:
        self.header = header
        self._lines = lines
        self._part = part
        self._totals: Totals | None = None

    def tables(self) -> Iterator[tuple[Form, Rows]]:
        """Each table, whose rows have to be read before the next one."""
        while (told := self._told()).get("table"):
            yield Form(str(told["table"]), tuple(map(str, told["columns"]))), Rows(self._lines)
        sequences = {name: (int(last), bool(given)) for name, (last, given) in told["sequences"].items()}
        self._totals = Totals({name: int(count) for name, count in told["rows"].items()}, sequences)
        if self._lines.read(1):
            raise BackupFailed("the backup goes on after its end")

    def totals(self) -> Totals:
        """What all tables came to, once they are read.

        Raises:
            BackupFailed: what was read is not what was checked before: somebody changed the file meanwhile.
        """
        if self._totals is None or not self._part.is_as_sealed():
            raise BackupFailed("the backup was changed while it was read; nothing was restored")
        return self._totals

    def _told(self) -> dict[str, Any]:
        found = json.loads(self._lines.readline())
        if not isinstance(found, dict):
            raise BackupFailed("the backup is not of the form that was agreed")
        return found


@contextmanager
def opened(file: BinaryIO, key: BackupKey | None, identity: Identity | None = None) -> Iterator[Archive]:
    """Check a file, then give what is in it.

    Args:
        key: ``None`` takes any sealed file that is not damaged, whoever made it.
        identity: opens what is encrypted.

    Raises:
        BackupFailed: it is no backup, damaged, changed, another installation's, or cannot be decrypted.
    """
    header, start = _header(file)
    if key is not None and header.key != key.name:
        raise BackupFailed(
            f"{file.name}: was sealed with the key {header.key}, not with ours, {key.name}: it is another "
            f"installation's, or BACKUP_KEY was exchanged since; restore it with the key of then"
        )
    part = _Part(file, start, check_seal(file, key), Seal(key))
    try:
        with decrypted(part, header.encrypted, identity) as source, gzip.GzipFile(fileobj=source, mode="rb") as lines:
            yield Archive(header, lines, part)  # type: ignore[arg-type]  # reads and nothing else is asked of it
    except UNREADABLE as broken:
        raise BackupFailed(f"{file.name}: cannot be read: {type(broken).__name__}: {broken}") from broken


def _header(file: BinaryIO) -> tuple[Header, int]:
    """What the file says of itself, and where its rows begin."""
    file.seek(0)
    first = file.readline(LONGEST_HEADER)
    if first.startswith(OLDER):
        raise BackupFailed(
            f"{file.name}: was made by an older release, and nothing proves by whom. Restoring such a file runs what "
            f"it says, so this release does not: see docs/backup.md, Older backups"
        )
    if first != MAGIC:
        raise BackupFailed(f"{file.name}: is no file that `rebalancer backup` made")
    try:
        told = json.loads(file.readline(LONGEST_HEADER))
        moment = datetime.fromisoformat(told["created_at"])
        header = Header(moment, str(told["revision"]), str(told["key"]), told["encrypted"] is True)
    except UNREADABLE as broken:
        raise BackupFailed(f"{file.name}: is damaged: it does not say what it is") from broken
    return header, file.tell()


def _line(told: Mapping[str, object]) -> bytes:
    return json.dumps(told).encode() + b"\n"


class _Sealed:
    """A file whose seal grows with it."""

    def __init__(self, file: BinaryIO, seal: Seal) -> None:
        self._file = file
        self._seal = seal

    def write(self, data: bytes) -> int:
        self._seal.update(data)
        return self._file.write(data)

    def flush(self) -> None:
        self._file.flush()

    def finish(self) -> None:
        """Nothing comes after it."""
        self._file.write(self._seal.text())
        self._file.flush()


class _Part:
    """The rows' part of a file, from its start; what was read is held against the seal once more."""

    def __init__(self, file: BinaryIO, start: int, end: int, seal: Seal) -> None:
        self._file = file
        self._end = end
        self._seal = seal
        file.seek(0)
        seal.update(file.read(start))

    def read(self, size: int = -1) -> bytes:
        left = max(self._end - self._file.tell(), 0)
        data = self._file.read(left if size < 0 else min(size, left))
        self._seal.update(data)
        return data

    def is_as_sealed(self) -> bool:
        """Whether all that was read fits the seal that follows it."""
        self.read()
        return self._seal.fits(self._file.read())
