"""Bringing a copy of the ledger back: in one transaction, after which nothing trades before a person says so."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from rebalancer.backup import archive
from rebalancer.backup.archive import Archive, Header, Totals
from rebalancer.backup.encryption import Identity
from rebalancer.backup.failure import BackupFailed
from rebalancer.backup.sealing import BackupKey
from rebalancer.domain.errors import ConfigurationError, RecordUnavailable
from rebalancer.domain.outcomes import FOREVER
from rebalancer.ledger.admin import consistent_copy, refilling, schema
from rebalancer.ledger.admin.consistent_copy import Place
from rebalancer.ledger.admin.refilling import Refill
from rebalancer.ledger.session import Ledger


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


def restore(
    url: str, path: Path, key: BackupKey | None, identity: Identity | None = None, *, replace: bool = False
) -> Restored:
    """Restore a backup. Everything is halted afterwards, see docs/backup.md.

    Args:
        url: DATABASE_URL of the tables' owner.
        key: that sealed it; ``None`` takes a backup from whoever made it, if only it is not damaged.
        identity: secret keys, if it is encrypted.
        replace: give up the ledger that is there.

    Raises:
        ConfigurationError: no such file, a ledger is there already, somebody is connected to it, or the backup's schema
            is not known to this program.
        BackupFailed: the backup is damaged, changed or not ours, or PostgreSQL refused it; the database is as it was.
        RecordUnavailable: PostgreSQL is away.
    """
    try:
        file = path.open("rb")
    except OSError as missing:
        raise ConfigurationError([f"{path}: there is no such file, or it cannot be read"]) from missing
    with file, archive.opened(file, key, identity) as found:
        _require_known(path, found.header)
        ledger = Ledger(url)
        try:
            _require_free(consistent_copy.place(ledger), replace=replace)
            totals = _load(ledger, found)
        finally:
            ledger.close()
    return Restored(found.header.created_at, sum(totals.rows.values()), found.header.revision != schema.revisions()[0])


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


def _require_known(path: Path, header: Header) -> None:
    known = schema.revisions()
    if header.revision not in known:
        raise ConfigurationError(
            [
                f"{path}: its schema {header.revision} is not known to this program, whose newest is {known[0]}: "
                f"restore it with the version that made it, or a newer one"
            ]
        )


def _load(ledger: Ledger, found: Archive) -> Totals:
    """One transaction: all of it, counted and halted, or nothing."""
    header = found.header
    why = f"restored from the backup of {header.created_at:%Y-%m-%d %H:%M} UTC: check, then resume"
    try:
        with refilling.refilling(ledger, header.revision, why, FOREVER.isoformat()) as refill:
            return _refill(refill, found)
    except RecordUnavailable as refused:
        raise BackupFailed(f"PostgreSQL refused the backup: {refused}") from refused


def _refill(refill: Refill, found: Archive) -> Totals:
    arrived = {}
    for form, rows in found.tables():
        known = refill.forms.get(form.table)
        if known is None or sorted(form.columns) != sorted(known.columns):
            raise BackupFailed(f"the backup's table {form.table} is none of the schema {found.header.revision}")
        arrived[form.table] = refill.read(form, rows)
    totals = found.totals()
    if arrived != totals.rows or arrived.keys() != refill.forms.keys():
        raise BackupFailed("the backup does not hold all rows of the ledger")
    for name, (last, given_out) in totals.sequences.items():
        refill.go_on_from(name, last, given_out)
    return totals
