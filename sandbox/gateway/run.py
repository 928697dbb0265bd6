"""Run a gateway as a process."""

from __future__ import annotations

import logging
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import typer

from rebalancer.domain.errors import ConfigurationError
from sandbox.gateway.control_port import control_port
from sandbox.gateway.scenario import load_scenario
from sandbox.gateway.server import Gateway
from sandbox.serving import serve_as_process


@dataclass(frozen=True, slots=True)
class Files:
    """What a gateway keeps.

    Attributes:
        data: in which orders and accounts outlive the process.
        login_log: where it is told how far the login is, as IBC does.
    """

    data: Path | None = None
    login_log: Path | None = None


def run(host: str, port: int, scenario: Path, control: int | None, files: Files) -> int:
    """Serve until SIGINT or SIGTERM.

    Args:
        control: the control port; ``None`` opens none, 0 takes a free one.

    Returns:
        The process' exit code: 0, or 2 when scenario, data or address are unusable.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")

    async def start(stack: AsyncExitStack) -> list[str]:
        served = Gateway(load_scenario(scenario), host=host, port=port, data=files.data, login_log=files.login_log)
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
