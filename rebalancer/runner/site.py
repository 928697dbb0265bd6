"""From options and settings to a site: servers, ports, keys and the environment of every program."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from rebalancer.config.accounts_file import read_accounts, read_replacement_sets
from rebalancer.config.settings import Settings, read_settings
from rebalancer.domain.accounts import MAIN_GATEWAY, TradingMode
from rebalancer.domain.loopback import LOOPBACK
from rebalancer.runner.folder import Folder
from rebalancer.runner.ports import stable_port
from rebalancer.runner.postgres import prepare_postgres
from rebalancer.runner.programs import Site, program_of
from rebalancer.runner.redis import prepare_redis
from rebalancer.runner.secrets import kept_secret
from rebalancer.runner.server import Server

PAGE = "API and web page"
"""Name of the page among the addresses."""
SANDBOX_PROGRAMS = ("gateway", "allocations", "flex", "ably")
SANDBOX_REALTIME_KEY = "sandbox.local:stand-in"


@dataclass(frozen=True, slots=True)
class _Given:
    """What the owner set; None where the stack has to provide."""

    database_url: str | None
    redis_url: str | None
    management_api_key: str | None
    api_port: int
    flower_port: int
    listens: bool
    logins: Mapping[str, tuple[str, ...]]


def lay_out(folder: Folder, extra: Mapping[str, str], *, sandbox: bool) -> Site:
    """Prepare servers (initdb at first use), ports and keys.

    Args:
        extra: environment that wins over everything else.

    Raises:
        ConfigurationError: a setting is wrong or a server is not installed.
        StartFailed: initdb refused.
    """
    given = _given(extra, sandbox=sandbox)
    servers = _servers(folder, given)
    urls = {server.name: server.url for server in servers}
    ports = _ports(folder, given, sandbox=sandbox)
    environment = {
        "PYTHONUNBUFFERED": "1",
        "DATABASE_URL": given.database_url or urls["postgres"],
        "REDIS_URL": given.redis_url or urls["redis"],
        "API_PORT": str(ports["api"]),
        "FLOWER_PORT": str(ports["flower"]),
        "MANAGEMENT_API_KEY": given.management_api_key or kept_secret(folder.secrets / "management-api-key"),
        **(_sandbox_environment(folder, ports, given.logins) if sandbox else {}),
        **extra,
    }
    own_login = os.environ.get("FLOWER_BASIC_AUTH")
    login = own_login or f"rebalancer:{kept_secret(folder.secrets / 'flower-password')}"
    return Site(
        folder=folder,
        sandbox=sandbox,
        environment=environment,
        ports=ports,
        servers=servers,
        addresses=_addresses(ports, "" if own_login else f"{login}@", sandbox=sandbox),
        flower_login=login,
        listens=given.listens,
        notices=_notices(given, ports),
        logins=given.logins,
    )


def _given(extra: Mapping[str, str], *, sandbox: bool) -> _Given:
    # Not the real set-up's .env for a simulation, which must not come near its ledger and gateway.
    settings = read_settings(env_file=not sandbox)
    stores, key = settings.stores, settings.api.management_api_key
    present = stores.model_fields_set
    return _Given(
        database_url=extra.get("DATABASE_URL") or (stores.database_url if "database_url" in present else None),
        redis_url=extra.get("REDIS_URL") or (stores.redis_url if "redis_url" in present else None),
        management_api_key=extra.get("MANAGEMENT_API_KEY") or (key.get_secret_value() if key else None),
        api_port=int(extra.get("API_PORT", settings.api.api_port)),
        flower_port=int(extra.get("FLOWER_PORT", settings.api.flower_port)),
        listens=sandbox or "REALTIME_API_KEY" in extra or settings.signals.realtime_api_key is not None,
        logins=_logins(settings, extra, sandbox=sandbox),
    )


def _logins(settings: Settings, extra: Mapping[str, str], *, sandbox: bool) -> dict[str, tuple[str, ...]]:
    """Gateways and their accounts, as far as the accounts file can be read: what is wrong with it, others refuse."""
    file = Path(extra.get("ACCOUNTS_FILE", settings.files.accounts_file))
    sets, _ = read_replacement_sets(Path(extra.get("REPLACEMENT_SETS_FILE", settings.files.replacement_sets_file)))
    mode = TradingMode.PAPER if sandbox else settings.broker.trading_mode
    accounts, _ = read_accounts(file, sets, mode, None)
    active = accounts.active(mode)
    return {
        name: tuple(account.account_id for account in active if account.gateway == name)
        for name in accounts.gateways_of(mode)
    }


def _servers(folder: Folder, given: _Given) -> tuple[Server, ...]:
    postgres = (prepare_postgres(folder.postgres),) if given.database_url is None else ()
    redis = (prepare_redis(folder.redis),) if given.redis_url is None else ()
    return (*postgres, *redis)


def _ports(folder: Folder, given: _Given, *, sandbox: bool) -> dict[str, int]:
    preferred: dict[str, int | None] = {"api": given.api_port, "flower": given.flower_port}
    if sandbox:
        gateways = (program_of("gateway", name) for name in given.logins)
        preferred |= dict.fromkeys((*SANDBOX_PROGRAMS, *gateways))
    return {name: stable_port(folder.ports / name, port) for name, port in preferred.items()}


def _sandbox_environment(folder: Folder, ports: Mapping[str, int], gateways: Iterable[str]) -> dict[str, str]:
    """Everything that decides whom the programs talk to, so that nothing real is left in it."""
    others = [f"{one}={LOOPBACK}:{ports[program_of('gateway', one)]}" for one in gateways if one != MAIN_GATEWAY]
    return {
        "ENV_FILE": os.devnull,
        "TRADING_MODE": "paper",
        "IB_HOST": LOOPBACK,
        "IB_PORT": str(ports["gateway"]),
        "GATEWAY_ADDRESSES": ",".join(others) or "none",
        "GATEWAY_LOG": str(folder.log("ibc")),
        "ALLOCATIONS_BASE_URL": f"http://{LOOPBACK}:{ports['allocations']}",
        "ALLOCATIONS_API_KEY": kept_secret(folder.secrets / "allocations-api-key"),
        "FLEX_BASE_URL": f"http://{LOOPBACK}:{ports['flex']}/FlexWebService",
        "FLEX_TOKEN": kept_secret(folder.secrets / "flex-token"),
        "FLEX_QUERY_ID": "1",
        "REALTIME_ENDPOINT": f"{LOOPBACK}:{ports['ably']}",
        "REALTIME_TLS": "false",
        "REALTIME_API_KEY": SANDBOX_REALTIME_KEY,
    }


def _addresses(ports: Mapping[str, int], login: str, *, sandbox: bool) -> dict[str, str]:
    addresses = {
        PAGE: f"http://{LOOPBACK}:{ports['api']}",
        "Flower": f"http://{login}{LOOPBACK}:{ports['flower']}",
    }
    if sandbox:
        addresses |= {
            "simulated gateway": f"{LOOPBACK}:{ports['gateway']}",
            "simulated allocations": f"http://{LOOPBACK}:{ports['allocations']}",
            "simulated Flex web service": f"http://{LOOPBACK}:{ports['flex']}",
            "simulated Ably": f"http://{LOOPBACK}:{ports['ably']}",
        }
        others = (name for name in ports if name.startswith("gateway-"))
        addresses |= {f"simulated {name.replace('-', ' ', 1)}": f"{LOOPBACK}:{ports[name]}" for name in others}
    return addresses


def _notices(given: _Given, ports: Mapping[str, int]) -> tuple[str, ...]:
    wanted = {"api": given.api_port, "flower": given.flower_port}
    moved = [
        f"port {port} is taken: {name} listens on {ports[name]}" for name, port in wanted.items() if ports[name] != port
    ]
    deaf = [] if given.listens else ["REALTIME_API_KEY is not set: signals of strategies are not received"]
    return (*moved, *deaf)
