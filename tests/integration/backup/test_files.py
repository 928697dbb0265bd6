"""Backup files: complete or absent, private, so many as wanted; and every restore that could do harm is refused."""

from __future__ import annotations

import fcntl
import os
import stat
import subprocess
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from typer.testing import CliRunner

from rebalancer.backup import BackupFailed, make_backup, making, restore
from rebalancer.cli.main import app
from rebalancer.domain.errors import ConfigurationError
from rebalancer.ledger.admin import schema
from rebalancer.ledger.session import Ledger
from rebalancer.runner.folder import folder_at
from rebalancer.runner.postgres import cluster_pid
from rebalancer.runner.programs import rebalancer_command
from rebalancer.runner.servers import running_postgres
from tests.backup_keys import IN_ENVIRONMENT, KEY, SEALING
from tests.ledger_rows import add_event, seeded

NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)


@pytest.fixture
def filled(ledger: Ledger) -> str:
    """URL of a ledger with some rows."""
    seeded(ledger)
    ledger.close()
    return ledger.url


def events(url: str) -> int:
    ledger = Ledger(url)
    with ledger.begin() as session:
        found = session.scalar(text("SELECT count(*) FROM events"))
    ledger.close()
    return int(found or 0)


def test_a_folder_keeps_the_newest_and_touches_nothing_else(filled: str, tmp_path: Path) -> None:
    strange = tmp_path / "rebalancer-notes.dump"
    strange.write_text("mine")
    made = [make_backup(filled, tmp_path, NOW + timedelta(days=day), SEALING, keep=2) for day in range(3)]
    assert made[2].removed == (made[0].path,)
    assert sorted(tmp_path.iterdir()) == sorted([made[1].path, made[2].path, strange])
    assert stat.S_IMODE(made[2].path.stat().st_mode) == 0o600


def test_a_backup_goes_on_while_rows_are_written(filled: str, tmp_path: Path) -> None:
    """It holds one moment: no row without the rows that it needs."""
    ended = threading.Event()

    def write() -> None:
        ledger = Ledger(filled)
        number = 0
        while not ended.is_set():
            number += 1
            with ledger.begin() as session:
                add_event(session, f"DU2{number:06d}")
        ledger.close()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        made = [make_backup(filled, tmp_path / f"{number}.dump", NOW, SEALING) for number in range(3)]
    finally:
        ended.set()
        writer.join()
    assert made[0].rows < made[2].rows


def test_a_disk_that_is_full_leaves_no_file_and_says_so(filled: str, tmp_path: Path) -> None:
    command = f"ulimit -f 1; exec {rebalancer_command()} backup {tmp_path}"
    environment = {**os.environ, "ENV_FILE": os.devnull, "DATABASE_URL": filled, **IN_ENVIRONMENT}
    done = subprocess.run(["sh", "-c", command], env=environment, capture_output=True, text=True, check=False)  # noqa: S607
    assert done.returncode == 1, done
    assert "the backup cannot be written there" in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_backup_left_is_in_nobodys_way(filled: str, tmp_path: Path) -> None:
    (tmp_path / ".rebalancer-backup.part").write_bytes(b"half" * 100_000)
    made = make_backup(filled, tmp_path, NOW, SEALING)
    assert list(tmp_path.iterdir()) == [made.path]


def test_a_ledger_that_is_there_stays_unless_it_is_given_up(filled: str, place: str, tmp_path: Path) -> None:
    path = make_backup(filled, tmp_path / "a.dump", NOW, SEALING).path
    restore(place, path, KEY)
    with pytest.raises(ConfigurationError, match=r"3 events.*--replace"):
        restore(place, path, KEY)
    restore(place, path, KEY, replace=True)
    assert events(place) == 3


def test_an_empty_ledger_is_in_nobodys_way(filled: str, place: str, tmp_path: Path) -> None:
    """`rebalancer up` migrates at its first start."""
    schema.upgrade(place)
    restore(place, make_backup(filled, tmp_path / "a.dump", NOW, SEALING).path, KEY)
    assert events(place) == 3


def test_nobody_may_be_connected(filled: str, place: str, tmp_path: Path) -> None:
    path = make_backup(filled, tmp_path / "a.dump", NOW, SEALING).path
    with create_engine(place).connect() as connection:
        connection.execute(text("SELECT 1"))
        with pytest.raises(ConfigurationError, match="stop everything"):
            restore(place, path, KEY)


def test_a_backup_of_a_newer_program_is_refused(ledger: Ledger, place: str, tmp_path: Path) -> None:
    with ledger.begin() as session:
        session.execute(text("UPDATE alembic_version SET version_num = 'z999'"))
    try:
        path = make_backup(ledger.url, tmp_path / "a.dump", NOW, SEALING).path
    finally:
        with ledger.begin() as session:
            session.execute(text("UPDATE alembic_version SET version_num = :head"), {"head": schema.revisions()[0]})
    with pytest.raises(ConfigurationError, match=r"z999 is not known.*the version that made it"):
        restore(place, path, KEY)


def test_a_database_without_a_ledger_is_not_backed_up(place: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="holds no ledger"):
        make_backup(place, tmp_path, NOW, SEALING)
    assert list(tmp_path.iterdir()) == []


def test_a_second_backup_into_the_same_folder_waits_for_nobody(filled: str, tmp_path: Path) -> None:
    with (tmp_path / ".rebalancer-backup.part").open("wb") as busy:
        fcntl.flock(busy, fcntl.LOCK_EX)
        with pytest.raises(BackupFailed, match="another backup"):
            make_backup(filled, tmp_path, NOW, SEALING)


def test_a_backup_that_finishes_while_another_begins_keeps_its_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second has opened the unfinished file when the first gives it its name."""
    part, finished = tmp_path / ".part", tmp_path / "finished"
    part.write_text("a whole backup")
    lock = fcntl.flock

    def first_finishes(descriptor: int, how: int) -> None:
        if not finished.exists():
            part.rename(finished)
        lock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", first_finishes)
    with making._unfinished(part) as mine:
        assert mine.read_text() == ""
    assert finished.read_text() == "a whole backup"
    assert not part.exists()


def test_a_backup_that_has_its_name_leaves_the_next_ones_file_alone(tmp_path: Path) -> None:
    part = tmp_path / ".part"
    with making._unfinished(part):
        part.rename(tmp_path / "first")
        with making._unfinished(part):
            part.write_text("the second, amid its work")
            part.rename(tmp_path / "second")
            part.write_text("a third")
    assert part.read_text() == "a third"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("restore", "missing.dump"), 2, "there is no such file"),
        (("backup", "no/such/folder/a.dump"), 2, "cannot be written"),
        (("backup", "a.dump", "--keep", "3"), 2, "is no folder"),
        (("backup", ".", "--data", "nothing-here"), 2, "holds no database"),
        (("restore", __file__), 1, "is no file that `rebalancer backup` made"),
    ],
    ids=["no file", "no folder to write to", "a file that keeps", "no data folder", "no archive"],
)
def test_the_command_line_says_what_is_wrong(
    place: str, tmp_path: Path, arguments: tuple[str, ...], code: int, words: str
) -> None:
    done = subprocess.run(
        [rebalancer_command(), *arguments],
        cwd=tmp_path,
        env={**os.environ, "ENV_FILE": os.devnull, "DATABASE_URL": place, **IN_ENVIRONMENT},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, words in done.stdout + done.stderr) == (code, True), done


def test_the_data_folder_of_a_stack_that_is_down_can_be_copied_and_restored(filled: str, tmp_path: Path) -> None:
    """Its PostgreSQL is started for it, and stopped again."""
    data, backups = tmp_path / "data", tmp_path / "backups"
    backups.mkdir()
    with running_postgres(folder_at(data).postgres):
        pass
    path = make_backup(filled, tmp_path / "a.dump", NOW, SEALING).path
    for arguments in (["restore", str(path), "--data", str(data)], ["backup", str(backups), "--data", str(data)]):
        done = CliRunner().invoke(app, arguments, env={"ENV_FILE": os.devnull, **IN_ENVIRONMENT})
        assert done.exit_code == 0, (done.output, done.exception)
        assert cluster_pid(folder_at(data).postgres) is None
    assert len(list(backups.iterdir())) == 1
