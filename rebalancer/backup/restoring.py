"""Bringing a copy of the ledger back: in one transaction, after which nothing trades before a person says so."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from rebalancer.backup import archive
from rebalancer.backup.archive import Contents
from rebalancer.backup.failure import BackupFailed
from rebalancer.backup.tools import Tools, tools_for
from rebalancer.errors import ConfigurationError
from rebalancer.ledger import copies, schema
from rebalancer.ledger.copies import Place
from rebalancer.ledger.events import FOREVER
from rebalancer.ledger.roles import VERSIONS
from rebalancer.ledger.session import Ledger

AFTERMATH = Path(__file__).with_name("aftermath.sql")


@dataclass(frozen=True, slots=True)
class Restored:
    """A ledger that is back, and halted.

    Attributes:
        created_at: when the backup was made: what happened since is not on record.
        rows: in all tables.
        migrated: the backup's schema was older than the program's.
    """

    created_at: datetime
    rows: int
    migrated: bool


def restore(url: str, path: Path, *, replace: bool = False) -> Restored:
    """Restore a backup. Everything is halted afterwards, see docs/backup.md.

    Args:
        url: DATABASE_URL of the tables' owner.
        replace: give up the ledger that is there.

    Raises:
        ConfigurationError: no such file, a ledger is there already, somebody is connected to it, the backup's schema is
            not known to this program, or PostgreSQL's programs are missing.
        BackupFailed: the backup is damaged, or PostgreSQL refused it; the database is as it was.
        LedgerError: PostgreSQL is away.
    """
    if not path.is_file():
        raise ConfigurationError([f"{path}: there is no such file"])
    ledger = Ledger(url)
    try:
        place = copies.place(ledger)
    finally:
        ledger.close()
    _require_free(place, replace=replace)
    tools = tools_for(url, place.server)
    contents = archive.read(tools, path)
    migrated = _must_migrate(path, contents)
    _load(tools, path, place, contents)
    if migrated:
        schema.upgrade(url)
    return Restored(contents.created_at, sum(contents.rows.values()), migrated)


def _require_free(place: Place, *, replace: bool) -> None:
    if place.sessions:
        raise ConfigurationError(
            [f"others are connected to the database ({', '.join(place.sessions)}): stop everything that uses it first"]
        )
    taken = ", ".join(f"{count} {table}" for table, count in place.rows.items() if count)
    if taken and not replace:
        raise ConfigurationError(
            [f"the database holds a ledger already ({taken}): name an empty one, or give that one up with --replace"]
        )


def _must_migrate(path: Path, contents: Contents) -> bool:
    known = schema.revisions()
    if contents.revision is None or "halts" not in contents.rows:
        raise ConfigurationError([f"{path}: is no backup of a ledger that this program can read"])
    if contents.revision not in known:
        raise ConfigurationError(
            [
                f"{path}: its schema {contents.revision} is not known to this program, whose newest is {known[0]}: "
                f"restore it with the version that made it, or a newer one"
            ]
        )
    return contents.revision != known[0]


def _load(tools: Tools, path: Path, place: Place, contents: Contents) -> None:
    """One transaction: all of it, counted and halted, or nothing."""
    why = f"restored from the backup of {contents.created_at:%Y-%m-%d %H:%M} UTC: check, then resume"
    variables = (f"--set=why={why}", f"--set=forever={FOREVER.isoformat()}", "--set=ON_ERROR_STOP=1")
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(  # noqa: S603 - PostgreSQL's own program
            tools.command("psql", "--no-psqlrc", "--quiet", "--no-password", *variables, tools.address),
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=output,
            env=dict(tools.environment),
        )
        with process:
            assert process.stdin is not None  # noqa: S101 - asked for above
            try:
                process.stdin.writelines(_transaction(tools, path, place, contents))
            except BrokenPipeError:
                pass  # it has said why
            except BackupFailed:
                process.kill()  # before it commits
                raise
        output.seek(0)
        if process.returncode:
            raise BackupFailed(f"PostgreSQL refused the backup: {output.read().decode(errors='replace').strip()}")


def _transaction(tools: Tools, path: Path, place: Place, contents: Contents) -> Iterator[bytes]:
    yield b"BEGIN;\nSET client_min_messages = warning;\n"
    for table in (*place.rows, VERSIONS):
        yield f'DROP TABLE IF EXISTS public."{table}" CASCADE;\n'.encode()
    yield from archive.script(tools, str(path))
    for table, rows in contents.rows.items():
        yield _counted(table, rows).encode()
    yield AFTERMATH.read_bytes()
    yield b"COMMIT;\n"


def _counted(table: str, rows: int) -> str:
    return (
        f'DO $$ BEGIN IF (SELECT count(*) FROM public."{table}") <> {rows} THEN '  # noqa: S608 - from the archive's script
        f"RAISE EXCEPTION '{table}: not all {rows} rows arrived'; END IF; END $$;\n"
    )
