"""Run a gateway as a process."""

from __future__ import annotations

import asyncio
import logging
import signal
from dataclasses import dataclass
from pathlib import Path

import typer

from rebalancer.domain.errors import ConfigurationError
from sandbox.gateway.scenario import Scenario, load_scenario
from sandbox.gateway.server import Gateway


@dataclass(frozen=True, slots=True)
class Files:
    """What a gateway keeps.

    Attributes:
        data: in which orders and accounts outlive the process.
        login_log: where it is told how far the login is, as IBC does.
    """

    data: Path | None = None
    login_log: Path | None = None


def run(host: str, port: int, scenario: Path, control_port: int | None, files: Files) -> int:
    """Serve until SIGINT or SIGTERM.

    Returns:
        The process' exit code: 0, or 2 when scenario, data or address are unusable.
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        setup = load_scenario(scenario)
        asyncio.run(_serve(setup, host, port, control_port, files))
    except ConfigurationError as error:
        typer.echo(str(error), err=True)
        return 2
    except OSError as error:
        typer.echo(f"cannot listen on {host}:{port}: {error.strerror}; choose another address or port 0", err=True)
        return 2
    return 0


async def _serve(setup: Scenario, host: str, port: int, control_port: int | None, files: Files) -> None:
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    async with Gateway(
        setup, host=host, port=port, control_port=control_port, data=files.data, login_log=files.login_log
    ) as gateway:
        typer.echo("gateway listening on {}:{}".format(*gateway.address))
        if control_port is not None:
            typer.echo("control listening on {}:{}".format(*gateway.control_address))
        await stopped.wait()
