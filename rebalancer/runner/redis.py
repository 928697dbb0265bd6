"""Redis from a wheel or the system: its own port on the loopback interface, its own password, every write logged.

It listens on TCP since Celery, Flower and redis-py spell a Unix socket's URL differently; the password keeps other
users of the machine from sending tasks.
"""

from __future__ import annotations

import signal
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from rebalancer.domain.errors import ConfigurationError
from rebalancer.domain.loopback import LOOPBACK
from rebalancer.runner.binaries import redis_server
from rebalancer.runner.ports import is_free, stable_port
from rebalancer.runner.processes import alive, name_of, recorded_pid
from rebalancer.runner.secrets import kept_secret, write_private
from rebalancer.runner.server import Server


def prepare_redis(data_dir: Path, port: int | None = None) -> Server:
    """Write the server's configuration and describe it.

    Args:
        data_dir: made if absent; holds the data, the password and the port used last.
        port: insist on this one; None takes the one used last or any free one.

    Raises:
        ConfigurationError: no Redis, the port is taken, or a Redis still has this folder open.
    """
    binary = redis_server()
    data_dir = data_dir.absolute()
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    if (pid := folder_pid(data_dir)) is not None:
        raise ConfigurationError([f"{data_dir} is in use by a Redis with pid {pid}: stop it first"])
    if port is not None and not is_free(port):
        raise ConfigurationError([f"port {port} is taken: choose another"])
    chosen = port or stable_port(data_dir / "port")
    password = kept_secret(data_dir / "password")
    configuration = data_dir / "redis.conf"
    write_private(configuration, _configuration(data_dir, chosen, password))
    url = f"redis://:{password}@{LOOPBACK}:{chosen}/0"
    return Server(
        name="redis",
        argv=(str(binary), str(configuration)),
        user=None,
        url=url,
        is_ready=lambda: _answers(url),
        stop_signal=signal.SIGTERM,
    )


def folder_pid(data_dir: Path) -> int | None:
    """Pid of the server that has the folder open. Redis itself would let a second one write to the same files."""
    pid = recorded_pid(data_dir / "redis.pid")
    return pid if pid is not None and alive(pid) and name_of(pid).startswith(("redis", "valkey")) else None


def _configuration(data_dir: Path, port: int, password: str) -> str:
    """No memory limit: a broker that evicts or refuses writes loses messages or takes the worker down."""
    lines = (
        f"bind {LOOPBACK}",
        f"port {port}",
        f"requirepass {password}",
        f'dir "{data_dir}"',
        f'pidfile "{data_dir / "redis.pid"}"',
        "daemonize no",
        'logfile ""',
        "appendonly yes",
        "appendfsync everysec",
        'save ""',
        "maxmemory 0",
        "maxmemory-policy noeviction",
        "hz 2",  # its own chores in a second; ten would be most of what it does at rest
    )
    return "\n".join(lines) + "\n"


def _answers(url: str) -> bool:
    at_once = Retry(NoBackoff(), retries=0)  # by default redis-py retries for seconds
    with redis.Redis.from_url(url, socket_timeout=2, socket_connect_timeout=2, retry=at_once) as client:
        try:
            return bool(client.ping())
        except redis.ConnectionError:  # not listening yet, or still loading its log
            return False
