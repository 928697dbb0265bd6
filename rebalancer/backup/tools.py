"""PostgreSQL's own programs for copies: pg_dump, pg_restore and psql, of a version that suits the server."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit, urlunsplit

from rebalancer.backup.failure import BackupFailed
from rebalancer.errors import ConfigurationError
from rebalancer.runner.binaries import postgres_folder


@dataclass(frozen=True, slots=True)
class Tools:
    """The programs of one installation, and how they reach one database.

    Attributes:
        folder: holds pg_dump, pg_restore and psql.
        address: libpq's form of the URL, without the password.
        environment: with the password, which other users could read on a command line.
    """

    folder: Path
    address: str
    environment: Mapping[str, str]

    def command(self, program: str, *arguments: str) -> list[str]:
        """Command line of one of the programs."""
        return [str(self.folder / program), *arguments]

    def run(self, program: str, *arguments: str) -> str:
        """Run one of the programs to its end; what it printed.

        Raises:
            BackupFailed: with its own words.
        """
        done = subprocess.run(  # noqa: S603 - PostgreSQL's own program
            self.command(program, *arguments),
            check=False,
            capture_output=True,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            env=dict(self.environment),
        )
        if done.returncode:
            raise BackupFailed(f"{program} failed: {done.stderr.strip() or f'exit code {done.returncode}'}")
        return done.stdout


def tools_for(url: str, server: int) -> Tools:
    """The oldest installation that is not older than the server: PostgreSQL's programs know older servers only.

    Args:
        url: DATABASE_URL.
        server: its major version.

    Raises:
        ConfigurationError: none is new enough.
    """
    found = {folder: _version(folder) for folder in _folders()}
    suitable = {folder: version for folder, version in found.items() if version >= server}
    if not suitable:
        seen = ", ".join(f"{version} in {folder}" for folder, version in found.items()) or "none"
        raise ConfigurationError(
            [
                f"pg_dump of PostgreSQL {server} or newer is needed, found: {seen}; "
                f"install postgresql-client-{server}, or pip install 'ibkr-rebalancer[local]'"
            ]
        )
    folder = min(suitable, key=lambda one: suitable[one])
    return Tools(folder, *_reached(url))


def _folders() -> list[Path]:
    """On the PATH first, since the wheel's programs cannot speak TLS."""
    on_path = shutil.which("pg_dump")
    folders = [Path(on_path).parent] if on_path else []
    try:
        return [*folders, postgres_folder()]
    except ConfigurationError:  # the wheel is not installed
        return folders


def _version(folder: Path) -> int:
    said = subprocess.run(  # noqa: S603 - PostgreSQL's own program
        [str(folder / "pg_dump"), "--version"], check=False, capture_output=True, text=True
    ).stdout
    major = re.search(r"\) (\d+)", said)
    return int(major[1]) if major else 0


def _reached(url: str) -> tuple[str, dict[str, str]]:
    parts = urlsplit(url)
    login, _, server = parts.netloc.rpartition("@")
    user = login.partition(":")[0]
    address = urlunsplit(parts._replace(scheme="postgresql", netloc=f"{user}@{server}" if user else server))
    environment = {**os.environ, "TZ": "UTC", "PGCONNECT_TIMEOUT": "10", "PGAPPNAME": "rebalancer backup"}
    if parts.password is not None:
        environment["PGPASSWORD"] = unquote(parts.password)
    return address, environment
