"""What is in a backup, read from the file itself."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from rebalancer.backup.failure import BackupFailed
from rebalancer.backup.tools import Tools

_COPY = re.compile(rb"COPY public\.(\w+) \(.*\) FROM stdin;\n")
_CREATED = re.compile(r"Archive created at (\S+ \S+) UTC")
_END = b"\\.\n"
_OF_NEWER_SERVERS = b"SET transaction_timeout = 0;\n"
"""Programs of 17 and newer write it for whatever server; an older one would refuse the whole backup for it."""


@dataclass(frozen=True, slots=True)
class Contents:
    """A backup that could be read from its first to its last byte.

    Attributes:
        created_at: by the clock of the machine that made it.
        revision: of the schema; ``None`` when it is no backup of a ledger.
        rows: by table.
    """

    created_at: datetime
    revision: str | None
    rows: Mapping[str, int]


def read(tools: Tools, path: Path) -> Contents:
    """Read the whole file, so that no damage goes unnoticed.

    Raises:
        BackupFailed: it is no backup, or damaged.
    """
    created = _CREATED.search(tools.run("pg_restore", "--list", str(path)))
    if created is None:
        raise BackupFailed(f"{path}: does not say when it was made: is it from `rebalancer backup`?")
    rows: dict[str, int] = {}
    revision = None
    table: str | None = None
    for line in script(tools, "--data-only", str(path)):
        if table is None:
            if begin := _COPY.fullmatch(line):
                table = begin[1].decode()
                rows[table] = 0
        elif line == _END:
            table = None
        else:
            rows[table] += 1
            revision = line.decode().strip() if table == "alembic_version" else revision
    moment = datetime.strptime(created[1], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
    return Contents(moment, revision, rows)


def script(tools: Tools, *arguments: str) -> Iterator[bytes]:
    """Lines of the SQL that brings the contents back.

    Raises:
        BackupFailed: at the end, when pg_restore could not read everything.
    """
    with tempfile.TemporaryFile() as complaints:
        process = subprocess.Popen(  # noqa: S603 - PostgreSQL's own program
            tools.command("pg_restore", "--file=-", "--schema=public", "--no-owner", "--no-privileges", *arguments),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=complaints,
            env=dict(tools.environment),
        )
        with process:
            assert process.stdout is not None  # noqa: S101 - asked for above
            yield from (line for line in process.stdout if line != _OF_NEWER_SERVERS)
        if process.returncode:
            raise BackupFailed(f"pg_restore cannot read the backup: {_text(complaints)}")


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace").strip()
