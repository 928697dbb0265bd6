"""`python -m listener`: one process, until SIGTERM or SIGINT."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys

import structlog

from listener.sdk_options import bypass_proxy
from listener.service import Listener
from rebalancer.config.settings import Settings, load_settings
from rebalancer.domain.errors import ConfigurationError
from rebalancer.health.settings_in_use import SettingsInUse
from rebalancer.ledger.heartbeats import LISTENER
from rebalancer.ledger.presence import Presence
from rebalancer.logs.setup import configure_logging
from rebalancer.queueing.process_identity import this_process
from rebalancer.services import Services

log = structlog.get_logger()


async def listen(settings: Settings) -> None:
    """Listen until a signal asks to end."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    services = Services.of(settings)
    with Presence(services.ledger, LISTENER, this_process(), SettingsInUse(settings).report):
        await Listener(services).run(stop)


def main() -> int:
    """Run.

    Returns:
        0 after an orderly end, 2 for a wrong configuration. Anything else is a defect, ends in a traceback, and is the
        supervisor's to restart: nothing is lost by that.
    """
    try:
        settings = load_settings()
        configure_logging(settings.logs, settings.secret_values())
        bypass_proxy(settings.signals)
        asyncio.run(listen(settings))
    except ConfigurationError as error:
        for problem in error.problems:
            sys.stderr.write(f"error: {problem}\n")
        return 2
    return 0


if __name__ == "__main__":
    code = main()
    # A client that was abandoned may still log: Python aborts if a thread holds standard error while it shuts down.
    logging.disable()
    sys.stderr.flush()
    sys.exit(code)
