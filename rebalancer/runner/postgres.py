"""PostgreSQL from a wheel: a cluster in a folder, reached through a Unix socket that only its owner can open.

It listens on no TCP port, so it meets no other PostgreSQL and needs no password.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import stat
import subprocess
from pathlib import Path
from urllib.parse import quote

from rebalancer.runner.binaries import postgres_folder, postgres_system_user
from rebalancer.runner.failure import StartFailed
from rebalancer.runner.processes import alive, name_of, recorded_pid
from rebalancer.runner.server import Server
from rebalancer.runner.sockets import socket_folder

ROLE = "postgres"
PORT = 5432  # names the socket file only
INITDB_ATTEMPTS = 3  # as root under a shared temporary folder, pytest of another session may close the way to it
SOCKET_NAME = f".s.PGSQL.{PORT}.lock"


def prepare_postgres(data_dir: Path) -> Server:
    """Make the cluster at first use and describe its server.

    Args:
        data_dir: made if absent; holds the cluster and, where its path is short enough, the socket.

    Raises:
        ConfigurationError: no PostgreSQL, or nobody to run it as.
        StartFailed: initdb refused.
    """
    programs = postgres_folder()
    user = postgres_system_user()
    data_dir = data_dir.absolute()
    data_dir.mkdir(mode=0o711 if user else 0o700, parents=True, exist_ok=True)
    cluster = data_dir / "data"
    if user:
        _let_pass(cluster)
        _let_read(programs)
    if not cluster.exists():
        _initialise(programs, cluster, user)
    _forget_reused_pid(cluster)
    sockets = socket_folder(data_dir / "run", SOCKET_NAME, user.pw_uid if user else None)
    if user:
        _let_pass(sockets)
    return Server(
        name="postgres",
        argv=_command(programs, cluster, sockets),
        user=user.pw_name if user else None,
        url=f"postgresql+psycopg2://{ROLE}@/{ROLE}?host={quote(str(sockets))}",
        is_ready=lambda: _accepts_connections(programs, sockets),
        stop_signal=signal.SIGINT,  # "fast": ends sessions and writes a checkpoint, where SIGTERM waits for clients
    )


def cluster_pid(data_dir: Path) -> int | None:
    """Pid of the server that has the cluster open, by its own record."""
    pid = recorded_pid(data_dir / "data/postmaster.pid")
    return pid if pid is not None and alive(pid) and _is_postgres(pid) else None


def _command(programs: Path, cluster: Path, sockets: Path) -> tuple[str, ...]:
    settings = {
        "listen_addresses": "",
        "unix_socket_directories": f'"{sockets}"',
        "unix_socket_permissions": "0700",
        "port": str(PORT),
        "timezone": "UTC",
        "log_timezone": "UTC",
        # As in docker-compose.yaml: of a ledger's size, and without what it never uses.
        "shared_buffers": "32MB",
        "jit": "off",
        "max_logical_replication_workers": "0",
        # Commits are on disk when they are answered, and the ledger lies in memory: nobody waits for these.
        "bgwriter_delay": "10s",
        "wal_writer_delay": "10s",
        "autovacuum_naptime": "3min",
        "io_method": "sync",
    }
    options = [option for name, value in settings.items() for option in ("-c", f"{name}={value}")]
    return (str(programs / "postgres"), "-D", str(cluster), *options)


def _accepts_connections(programs: Path, sockets: Path) -> bool:
    probe = [str(programs / "pg_isready"), "-q", "-h", str(sockets), "-p", str(PORT), "-U", ROLE, "-t", "3"]
    return subprocess.run(probe, check=False).returncode == 0  # noqa: S603 - our own program


def _initialise(programs: Path, cluster: Path, user: pwd.struct_passwd | None) -> None:
    """initdb beside the cluster's place, then rename: a machine that loses power midway leaves no half cluster."""
    unfinished = cluster.with_name("data.new")
    for _ in range(INITDB_ATTEMPTS):
        done = _initdb(programs, unfinished, user)
        if done.returncode == 0:
            unfinished.rename(cluster)
            return
    raise StartFailed("postgres", f"initdb failed: {done.stderr.strip()}", None, "free disk space or another --data")


def _initdb(programs: Path, folder: Path, user: pwd.struct_passwd | None) -> subprocess.CompletedProcess[str]:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    if user:
        os.chown(folder, user.pw_uid, user.pw_gid)
        _let_pass(folder)
    flags = ["--auth=trust", "--encoding=UTF8", "--no-locale", "--no-instructions", "-U", ROLE]
    return subprocess.run(  # noqa: S603 - our own program
        [str(programs / "initdb"), *flags, "-D", str(folder)],
        check=False,
        capture_output=True,
        text=True,
        cwd="/",
        start_new_session=True,  # a Ctrl-C meant for us does not tear it
        user=user.pw_uid if user else None,
        group=user.pw_gid if user else None,
        extra_groups=[] if user else None,
    )


def _forget_reused_pid(cluster: Path) -> None:
    """After a power loss the recorded pid may be another program's by now, and PostgreSQL would not dare to start."""
    record = cluster / "postmaster.pid"
    pid = recorded_pid(record)
    if pid is not None and alive(pid) and not _is_postgres(pid):
        record.unlink()


def _is_postgres(pid: int) -> bool:
    return name_of(pid).startswith("postgres")


def _let_pass(path: Path) -> None:
    """Let the system user pass (not list) the folders above a path: root's are often closed."""
    for folder in path.parents:
        _add_mode(folder, stat.S_IXOTH)


def _let_read(programs: Path) -> None:
    """Let the system user read the wheel, where it was installed under a strict umask."""
    _let_pass(programs)
    if (programs / "postgres").stat().st_mode & stat.S_IXOTH:
        return
    package = programs.parents[1]
    for part in (package, package.with_name(f"{package.name}.libs")):
        for path in (part, *part.rglob("*")):
            executable = path.is_dir() or path.stat().st_mode & stat.S_IXUSR
            _add_mode(path, stat.S_IROTH | (stat.S_IXOTH if executable else 0))


def _add_mode(path: Path, bits: int) -> None:
    mode = path.stat().st_mode
    if mode & bits != bits:
        path.chmod(stat.S_IMODE(mode) | bits)
