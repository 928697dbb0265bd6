"""The ledger as a database: who may do what in it, and its copies."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape

from rebalancer.backup import BackupFailed, BackupKey, Sealing, recipient
from rebalancer.backup import identity as identity_in
from rebalancer.backup import make_backup as make
from rebalancer.backup import restore as bring_back
from rebalancer.config.configuration import resolve_all
from rebalancer.config.running_stack import announce, running_in, typed, world_of
from rebalancer.config.settings import Settings, load_settings
from rebalancer.domain.errors import ConfigurationError, RequestRefused
from rebalancer.ledger.admin import retention, roles
from rebalancer.ledger.session import Ledger
from rebalancer.runner.databases import database_of
from rebalancer.runner.folder import delete_contents, folder_at, only_runner
from rebalancer.runner.postgres import cluster_pid
from rebalancer.runner.secrets import kept_secret

console = Console(highlight=False, soft_wrap=True)

Data = Annotated[
    Path | None,
    typer.Option(help="Data folder of `rebalancer up`, whose PostgreSQL is meant, whether it runs or not."),
]


def backup(
    target: Annotated[Path, typer.Argument(help="A folder, in which the file is named by time; or the file itself.")],
    keep: Annotated[int | None, typer.Option(min=1, help="Keep so many of the folder's newest backups only.")] = None,
    data: Data = None,
) -> None:
    """Copy the ledger into a file while everything runs, seal it, and read the copy back."""
    settings = load_settings()
    to = None if settings.backup.backup_recipient is None else recipient(settings.backup.backup_recipient)
    with _told(), _database(data) as url:
        made = make(url, target, datetime.now(UTC), Sealing(_sealing_key(settings), to), keep)
    done = "read back and complete" if to is None else "encrypted, its seal read back"
    console.print(f"{escape(str(made.path))}: {made.rows:,} rows, {made.size:,} bytes, {done}")
    for old in made.removed:
        console.print(f"removed {escape(str(old))}")


def restore(
    file: Annotated[Path, typer.Argument(help="A file that `rebalancer backup` made.")],
    replace: Annotated[bool, typer.Option("--replace", help="Give up the ledger that is there.")] = False,
    data: Data = None,
    identity: Annotated[Path | None, typer.Option(help="File with the secret key of an encrypted backup.")] = None,
    unproven: Annotated[
        bool, typer.Option("--unproven", help="The backup key is lost: believe the file, whoever made it.")
    ] = False,
) -> None:
    """Bring a backup of ours back while nothing runs; everything is halted until `rebalancer resume`."""
    key = None if unproven else _proving_key(load_settings())
    opens = None if identity is None else identity_in(identity)
    with _told(), _database(data) as url:
        back = bring_back(url, file, key, opens, replace=replace)
    migrated = ", brought to today's schema" if back.migrated else ""
    console.print(
        f"{back.rows:,} rows of {back.created_at:%Y-%m-%d %H:%M:%S} UTC are back{migrated}; all trading is halted"
    )
    console.print("If the application has a role of its own: `rebalancer grant ROLE`. Then start everything, compare")
    console.print("`rebalancer rebalance ACCOUNT --dry-run` with the broker, and `rebalancer resume`: docs/backup.md.")


def delete_ledger(
    data: Annotated[
        Path, typer.Argument(help="Data folder of a `rebalancer up` that is down, for example .rebalancer.")
    ],
    confirm: Annotated[str | None, typer.Option(help="Its name, typed beforehand by a script.")] = None,
) -> None:
    """Delete a ledger with everything that its stack keeps, for good; asks for the folder's name."""
    folder = folder_at(data)
    if world_of(folder.root) is None:
        raise ConfigurationError([f"{data} is no data folder of `rebalancer up`: nothing was deleted"])
    with only_runner(folder):
        if cluster_pid(folder.postgres) is not None or running_in(data) is not None:
            raise ConfigurationError([f"{data} is in use: stop it with `rebalancer down --data {data}` first"])
        console.print(f"{escape(str(folder.root))}: every event, order and fill on record there will be lost.")
        console.print(f"A copy first: `rebalancer backup FOLDER --data {escape(str(data))}`.")
        typed_name = confirm or typer.prompt(f"Type {data} to delete it for good", err=True)
        if typed_name.strip() != str(data):
            raise RequestRefused(f"nothing was deleted: {typed_name!r} is not {data}")
        delete_contents(folder)
    console.print(f"deleted the ledger in {escape(str(folder.root))}")


def grant(
    role: Annotated[str, typer.Argument(help="Role that the application connects as.")],
    password_file: Annotated[
        Path | None, typer.Option(help="File with its password; without one the password stays as it is.")
    ] = None,
) -> None:
    """Give the application's database role what it needs and no more; DATABASE_URL names the owner of the tables.

    Run it after each migration: it may be repeated at will. The role may not forget who asked for which change, so what
    is older than RETENTION_DAYS is deleted here.
    """
    password = None if password_file is None else _password(password_file)
    settings = _settings()
    ledger = Ledger(settings.stores.database_url)
    with ledger.begin() as session:
        made = roles.grant(session, role, password)
    forgotten = True
    while forgotten:
        with ledger.begin() as session:
            forgotten = bool(
                retention.forget_changes(session, timedelta(days=settings.events.retention_days), limit=10_000)
            )
    console.print(f"role {role} {'was made and ' if made else ''}may read and write rows, and nothing else")


def _sealing_key(settings: Settings) -> BackupKey:
    """The key of BACKUP_KEY, or that of the file, which is made at first use."""
    if settings.backup.backup_key is not None:
        return BackupKey(settings.backup.backup_key.get_secret_value())
    path = _key_file(settings)
    is_new = not path.exists()
    try:
        key = BackupKey(kept_secret(path))
    except OSError as refused:
        raise ConfigurationError(
            [f"{path}: the key of the backups cannot be made or read there ({refused.strerror}): set BACKUP_KEY_FILE"]
        ) from refused
    if is_new:
        console.print(f"{escape(str(path))} is new: keep a copy of it elsewhere; without it no backup is believed")
    return key


def _proving_key(settings: Settings) -> BackupKey:
    """The same, which has to be there."""
    path = _key_file(settings)
    if settings.backup.backup_key is None and not path.is_file():
        raise ConfigurationError(
            [
                f"the key that proves a backup is missing: set BACKUP_KEY, or put the file that was kept to {path}; "
                f"if it is lost for good, --unproven believes the backup as it is"
            ]
        )
    return _sealing_key(settings)


def _key_file(settings: Settings) -> Path:
    return settings.files.accounts_file.absolute().with_name("backup-key")


@contextmanager
def _database(data: Path | None) -> Iterator[str]:
    if (folder := data or typed()) is None:
        yield _settings().stores.database_url
        return
    with database_of(folder) as url:
        yield url


def _settings() -> Settings:
    settings, origin = resolve_all()
    announce(origin)
    return settings


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except BackupFailed as failure:
        console.print(f"[red]error:[/] {escape(str(failure))}")
        raise typer.Exit(1) from failure


def _password(path: Path) -> str:
    try:
        found = path.read_text(encoding="utf-8").strip()
    except OSError as unreadable:
        raise ConfigurationError([f"{path}: cannot be read: {unreadable}"]) from unreadable
    if not found:
        raise ConfigurationError([f"{path}: is empty; it has to hold the role's password"])
    return found
