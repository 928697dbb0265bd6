"""Everything that a set-up depends on, tried out from here, each with its remedy."""

from __future__ import annotations

import socket
from collections.abc import Iterator

from rebalancer import readiness
from rebalancer.errors import ConfigurationError, RebalancerError
from rebalancer.readiness import Check
from rebalancer.services import Services
from rebalancer.settings import Settings, load_settings
from rebalancer.targets import AllocationsClient

CONNECT_S = 3.0


def examine() -> Iterator[Check]:
    """Checks in the order in which a person would repair what is wrong; ends early where nothing more can be told."""
    try:
        settings = load_settings()
    except ConfigurationError as wrong:
        yield from (Check("settings", False, problem) for problem in wrong.problems)
        return
    yield Check("settings", True, f"{settings.trading_mode} trading")
    services = Services.of(settings)
    try:
        accounts = services.accounts()
    except ConfigurationError as wrong:
        yield from (Check("accounts", False, problem) for problem in wrong.problems)
        return
    active = accounts.active(settings.trading_mode)
    remedy = "" if active else f"; set enabled: true and type: {settings.trading_mode} for at least one"
    yield Check("accounts", bool(active), f"{len(active)} of {len(accounts)} are traded{remedy}")
    yield from _keys(settings)
    yield _gateway(settings)
    for strategy in accounts.strategies(settings.trading_mode):
        yield _targets(settings, strategy)
    yield from readiness.check(services)


def _keys(settings: Settings) -> Iterator[Check]:
    wanted = {
        "realtime_api_key": "signals cannot be heard",
        "allocations_api_key": "targets cannot be read",
        "management_api_key": "the API and the page can change nothing",
    }
    for name, without in wanted.items():
        there = getattr(settings, name) is not None
        key = name.upper()
        yield Check(key, there, "is set" if there else f"is not set, so {without}: add it to .env")


def _gateway(settings: Settings) -> Check:
    where = f"{settings.ib_host}:{settings.ib_port}"
    try:
        with socket.create_connection((settings.ib_host, settings.ib_port), timeout=CONNECT_S):
            return Check("gateway port", True, f"{where} takes connections")
    except OSError as error:
        remedy = "start the IB Gateway, log in, and enable its API for this machine, or correct IB_HOST and IB_PORT"
        return Check("gateway port", False, f"{where}: {error}; {remedy}")


def _targets(settings: Settings, strategy: str) -> Check:
    name = f"targets of {strategy}"
    if settings.allocations_api_key is None:
        return Check(name, False, "cannot be read without ALLOCATIONS_API_KEY")
    key = settings.require("allocations_api_key")
    try:
        found = AllocationsClient(settings.allocations_base_url, key, settings.allocations_timeout_s).fetch(strategy)
    except RebalancerError as error:
        return Check(name, False, str(error))
    return Check(name, True, f"{len(found.weights)} symbols, as of {found.as_of or 'an unknown day'}")
