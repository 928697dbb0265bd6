"""Run a gateway as a process."""

from __future__ import annotations

import logging
from collections.abc import Collection
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import typer

from rebalancer.domain.errors import ConfigurationError
from sandbox.gateway.control_port import control_port
from sandbox.gateway.scenario import Scenario, load_scenario
from sandbox.gateway.server import Gateway
from sandbox.serving import serve_as_process

MOST_NUMBERS = 3_000_000
"""That one login gives away before it comes to those of the next."""


@dataclass(frozen=True, slots=True)
class Files:
    """What a gateway keeps.

    Attributes:
        data: in which orders and accounts outlive the process.
        login_log: where it is told how far the login is, as IBC does.
    """

    data: Path | None = None
    login_log: Path | None = None


def of_login(scenario: Scenario, accounts: Collection[str]) -> Scenario:
    """What is left of it for a login that manages some of its accounts.

    Raises:
        ConfigurationError: it has none of them.
    """
    if not scenario.accounts.keys() & set(accounts):
        known = ", ".join(scenario.accounts)
        raise ConfigurationError([f"the scenario has no account {', '.join(accounts)}; it has {known}"])
    others = dict.fromkeys(scenario.accounts.keys() - set(accounts))
    return scenario.changed({"accounts": others, "gateway": {"numbers_from": _numbers_of(accounts)}})


def _numbers_of(accounts: Collection[str]) -> int:
    """Where a login's numbers begin: apart from others' whose first account ends in two other digits."""
    return int(min(accounts)[-2:]) * MOST_NUMBERS


def run(  # noqa: PLR0917 - options of a command line
    host: str, port: int, scenario: Path, control: int | None, files: Files, accounts: Collection[str] | None = None
) -> int:
    """Serve until SIGINT or SIGTERM.

    Args:
        control: the control port; ``None`` opens none, 0 takes a free one.
        accounts: those of the scenario that the login manages; ``None`` for all.

    Returns:
        The process' exit code: 0, or 2 when scenario, data or address are unusable.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")

    async def start(stack: AsyncExitStack) -> list[str]:
        played = load_scenario(scenario)
        if accounts is not None:
            played = of_login(played, accounts)
        served = Gateway(played, host=host, port=port, data=files.data, login_log=files.login_log)
        gateway = await stack.enter_async_context(served)
        told = ["gateway listening on {}:{}".format(*gateway.address)]
        if control is not None:
            address = await stack.enter_async_context(control_port(gateway, control))
            told.append("control listening on {}:{}".format(*address))
        return told

    try:
        return serve_as_process(start, host, port)
    except ConfigurationError as error:
        typer.echo(str(error), err=True)
        return 2
