"""Only a backup of ours is restored, whole and unchanged; and whatever stands in one is data and nothing else."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pyrage
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import NullPool, create_engine, text
from typer.testing import CliRunner

from rebalancer.backup import BackupFailed, BackupKey, Sealing, identity, make_backup, recipient, restore
from rebalancer.backup.archive import MAGIC, opened
from rebalancer.backup.sealing import SEAL, Seal
from rebalancer.cli.main import app
from rebalancer.domain.errors import ConfigurationError
from rebalancer.ledger.admin import refilling
from rebalancer.ledger.session import Ledger
from tests.backup_keys import IN_ENVIRONMENT, KEY, SEALING
from tests.ledger_rows import seeded

NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
ANOTHER = BackupKey("another-installation" * 2)


@pytest.fixture
def backup(ledger: Ledger, tmp_path: Path) -> Path:
    seeded(ledger)
    ledger.close()
    return make_backup(ledger.url, tmp_path / "a.dump", NOW, SEALING).path


def is_untouched(url: str) -> bool:
    with create_engine(url, poolclass=NullPool).connect() as connection:
        return connection.scalar(text("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'")) == 0


def taken_apart(path: Path) -> tuple[bytes, dict[str, object], bytes]:
    """Header as bytes and as JSON, and the rows in the clear."""
    first, second, rest = path.read_bytes().split(b"\n", 2)
    return first + b"\n" + second + b"\n", json.loads(second), gzip.decompress(rest[:-SEAL])


def put_together(path: Path, header: bytes, rows: bytes, key: BackupKey) -> None:
    """A file as its maker, or whoever holds a key, could write it."""
    whole = header + gzip.compress(rows)
    seal = Seal(key)
    seal.update(whole)
    path.write_bytes(whole + seal.text())


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "half": lambda whole: whole[: len(whole) // 2],
    "a byte less": lambda whole: whole[:-1],
    "a byte more": lambda whole: whole + b"\0",
    "no seal": lambda whole: whole[:-SEAL],
    "an empty seal": lambda whole: whole[:-SEAL] + bytes(SEAL),
    "half a seal": lambda whole: whole[: -SEAL // 2],
    "empty": lambda _: b"",
    "a name and no more": lambda _: MAGIC,
    "text": lambda _: b"-- PostgreSQL database dump\n",
    "another day": lambda whole: whole.replace(b"2026-11-21", b"2026-11-20"),
    "deep": lambda whole: MAGIC + b"[" * 9_000 + b"\n" + whole,
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
@pytest.mark.parametrize("key", [KEY, None], ids=["proven", "unproven"])
def test_a_damaged_file_changes_nothing(
    backup: Path, place: str, damage: Callable[[bytes], bytes], key: BackupKey | None
) -> None:
    backup.write_bytes(damage(backup.read_bytes()))
    with pytest.raises(BackupFailed):
        restore(place, backup, key)
    assert is_untouched(place)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_flipped_bit_goes_unnoticed(backup: Path, data: st.DataObject) -> None:
    """Opening is all that is tried: nothing of the database is needed to refuse a file."""
    whole = bytearray(backup.read_bytes())
    at = data.draw(st.integers(0, len(whole) * 8 - 1))
    whole[at // 8] ^= 1 << at % 8
    changed = backup.with_name("changed.dump")
    changed.write_bytes(whole)
    with changed.open("rb") as file, pytest.raises(BackupFailed), opened(file, KEY) as found:
        pytest.fail(f"believed: {found.header}")


def test_another_installations_backup_is_refused_by_name(ledger: Ledger, place: str, tmp_path: Path) -> None:
    path = make_backup(ledger.url, tmp_path / "a.dump", NOW, Sealing(ANOTHER)).path
    ledger.close()
    with pytest.raises(BackupFailed, match=f"key {ANOTHER.name}, not with ours, {KEY.name}"):
        restore(place, path, KEY)
    renamed = path.read_bytes().replace(ANOTHER.name.encode(), KEY.name.encode())
    path.write_bytes(renamed)
    with pytest.raises(BackupFailed, match="seal does not fit"):
        restore(place, path, KEY)
    assert is_untouched(place)


PROGRAM = "COPY public.signals FROM PROGRAM 'touch {proof}'"
TABLES = {
    "a program for a table": b'{"table": "signals FROM PROGRAM \'touch PROOF\' --", "columns": ["id"]}\n',
    "a program for a column": b'{"table": "signals", "columns": ["id) FROM PROGRAM \'touch PROOF\' --"]}\n',
    "a quote that is closed": b'{"table": "signals\\" FROM PROGRAM \'touch PROOF\' --", "columns": ["id"]}\n',
    "a table of the server's": b'{"table": "pg_authid", "columns": ["rolname"]}\n',
    "the versions": b'{"table": "alembic_version", "columns": ["version_num"]}\n',
}


@pytest.mark.parametrize("told", TABLES.values(), ids=TABLES.keys())
def test_what_a_forged_backup_says_is_not_executed(backup: Path, place: str, tmp_path: Path, told: bytes) -> None:
    """The worst case: its maker has the key, and the database's role is a superuser."""
    proof = tmp_path / "proof"
    header, _, rows = taken_apart(backup)
    put_together(backup, header, told.replace(b"PROOF", str(proof).encode()) + b"x\n\\.\n" + rows, KEY)
    with pytest.raises(BackupFailed, match="is none of the schema"):
        restore(place, backup, KEY)
    assert not proof.exists()
    assert is_untouched(place)


def test_statements_among_rows_are_rows_that_do_not_fit(backup: Path, place: str, tmp_path: Path) -> None:
    proof = tmp_path / "proof"
    header, _, rows = taken_apart(backup)
    first, _, rest = rows.partition(b"\n")
    planted = f"\\.;\nCOPY (SELECT 1) TO PROGRAM 'touch {proof}';\n\\! touch {proof}\n".encode()
    put_together(backup, header, first + b"\n" + planted + rest, KEY)
    with pytest.raises(BackupFailed, match="PostgreSQL refused"):
        restore(place, backup, KEY)
    assert not proof.exists()
    assert is_untouched(place)


@pytest.mark.parametrize("kind", ["superuser", "owner"])
def test_the_role_that_takes_rows_in_can_run_no_program(place: str, tmp_path: Path, kind: str) -> None:
    """Even a statement of ours gone wrong could not."""
    proof, url = tmp_path / "proof", place
    if kind == "owner":
        with create_engine(place, isolation_level="AUTOCOMMIT").connect() as connection:
            connection.execute(text("CREATE ROLE plain LOGIN"))
            connection.execute(text(f"ALTER DATABASE {place.partition('@/')[2].partition('?')[0]} OWNER TO plain"))
        url = place.replace("postgres@", "plain@")
    ledger = Ledger(url)
    with (
        pytest.raises(Exception, match="permission denied to COPY to or from an external program"),
        refilling.refilling(ledger, "0001", "test", "infinity") as refill,
    ):
        refill._session.execute(text(PROGRAM.format(proof=proof)))
    ledger.close()
    assert not proof.exists()
    assert is_untouched(place)


def test_the_ledger_that_is_there_outlives_a_restore_that_fails(backup: Path, place: str) -> None:
    """Up to the last step: its tables were dropped already when the rows turned out to be too few."""
    restore(place, backup, KEY)
    header, _, rows = taken_apart(backup)
    put_together(backup, header, rows.replace(b'"rows": {', b'"rows": {"more": 1, '), KEY)
    with pytest.raises(BackupFailed, match="does not hold all rows"):
        restore(place, backup, KEY, replace=True)
    with create_engine(place, poolclass=NullPool).connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM events")) == 3


def test_no_role_is_left_over(backup: Path, place: str) -> None:
    restore(place, backup, KEY)
    with create_engine(place).connect() as connection:
        assert not connection.scalar(text("SELECT count(*) FROM pg_roles WHERE rolname LIKE 'rebalancer_restore%'"))


def test_a_file_that_changes_while_it_is_read_is_not_believed(backup: Path) -> None:
    """It was checked; then somebody who can write to it puts other rows there."""
    whole = backup.read_bytes()
    header, _, rows = taken_apart(backup)
    with backup.open("rb", buffering=0) as file, opened(file, KEY) as found:
        put_together(backup, header, rows, ANOTHER)
        assert backup.read_bytes() != whole
        for _, lines in found.tables():
            while lines.read(1 << 20):
                pass
        with pytest.raises(BackupFailed, match="changed while it was read"):
            found.totals()


def test_numbers_go_on_where_they_were(backup: Path, ledger: Ledger, place: str) -> None:
    """Also those of rows that are gone."""
    query = text("SELECT sequencename, last_value FROM pg_sequences WHERE schemaname = 'public' ORDER BY 1")
    restore(place, backup, KEY)
    with create_engine(place).connect() as back, ledger.begin() as session:
        known = dict(session.execute(query).all())
        found = dict(back.execute(query).all())
    assert found["halts_id_seq"] == (known.pop("halts_id_seq") or 0) + 1
    assert {name: found[name] for name in known} == known


@contextmanager
def keys(folder: Path) -> Iterator[tuple[str, Path]]:
    """Public key, and the file with the secret one."""
    made = pyrage.x25519.Identity.generate()
    (file := folder / "identity").write_text(f"# created: today\n# public key: {made.to_public()}\n{made}\n")
    yield str(made.to_public()), file


def test_an_encrypted_backup_tells_nothing_and_comes_back(ledger: Ledger, place: str, tmp_path: Path) -> None:
    seeded(ledger)
    ledger.close()
    with keys(tmp_path) as (public, secret):
        path = make_backup(ledger.url, tmp_path / "a.dump", NOW, Sealing(KEY, recipient(public))).path
        assert b"age-encryption.org" in path.read_bytes()
        with pytest.raises(ConfigurationError, match="--identity"):
            restore(place, path, KEY)
        (folder := tmp_path / "other").mkdir()
        with keys(folder) as (_, wrong), pytest.raises(BackupFailed, match="cannot be decrypted"):
            restore(place, path, KEY, identity(wrong))
        assert is_untouched(place)
        assert restore(place, path, KEY, identity(secret)).rows > 0


def test_a_changed_encrypted_backup_is_refused_before_it_is_decrypted(ledger: Ledger, tmp_path: Path) -> None:
    """Whoever knows the public key can encrypt; only the key of the backups proves."""
    with keys(tmp_path) as (public, secret):
        path = make_backup(ledger.url, tmp_path / "a.dump", NOW, Sealing(ANOTHER, recipient(public))).path
        ledger.close()
        path.write_bytes(path.read_bytes().replace(ANOTHER.name.encode(), KEY.name.encode()))
        with (
            path.open("rb") as file,
            pytest.raises(BackupFailed, match="seal does not fit"),
            opened(file, KEY, identity(secret)),
        ):
            pytest.fail("believed")


def test_an_older_releases_backup_is_refused_with_the_remedy(place: str, tmp_path: Path) -> None:
    (old := tmp_path / "old.dump").write_bytes(b"PGDMP\x01\x0f\x00" + bytes(100))
    with pytest.raises(BackupFailed, match=r"older release.*docs/backup\.md, Older backups"):
        restore(place, old, KEY)


def run(place: str, *arguments: str, **environment: str) -> tuple[int, str]:
    given_ = {"ENV_FILE": os.devnull, "DATABASE_URL": place, **environment}
    done = CliRunner().invoke(app, arguments, env=given_)
    return done.exit_code, done.output + str(done.exception or "")


def test_the_first_backup_makes_the_key_and_says_so(
    ledger: Ledger, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seeded(ledger)
    ledger.close()
    monkeypatch.chdir(tmp_path)
    accounts = {"ACCOUNTS_FILE": str(tmp_path / "config/accounts.yaml")}
    (tmp_path / "config").mkdir()
    key = tmp_path / "config/backup-key"
    code, said = run(ledger.url, "backup", "a.dump", **accounts)
    assert (code, "keep a copy of it elsewhere" in said, key.stat().st_mode & 0o777) == (0, True, 0o600)
    assert "is new" not in run(ledger.url, "backup", "b.dump", **accounts)[1]

    kept = key.read_text()
    key.unlink()
    code, said = run(place, "restore", "a.dump", **accounts)
    assert code != 0
    assert f"put the file that was kept to {key}" in said
    assert is_untouched(place)
    assert "another installation's" in run(place, "restore", "a.dump", **accounts, **IN_ENVIRONMENT)[1]
    key.write_text(kept)
    assert run(place, "restore", "a.dump", **accounts)[0] == 0


def test_whoever_lost_the_key_may_say_so(backup: Path, place: str) -> None:
    assert run(place, "restore", str(backup), "--unproven")[0] == 0


def test_a_weak_key_is_refused(place: str, tmp_path: Path) -> None:
    code, said = run(place, "backup", str(tmp_path), BACKUP_KEY="short")
    assert code != 0
    assert "BACKUP_KEY = (not shown) is refused: use at least 32 printable ASCII characters" in said
