"""The management API as a process: `python -m api`, on API_HOST and API_PORT unless told otherwise."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence

from api.app import create_app
from api.server import Server, config
from rebalancer.config.settings import load_settings
from rebalancer.domain.errors import ConfigurationError
from rebalancer.health.settings_in_use import SettingsInUse
from rebalancer.ledger.heartbeats import API
from rebalancer.ledger.presence import Presence
from rebalancer.queueing.process_identity import this_process


def main(arguments: Sequence[str]) -> int:
    """Serve until a signal ends it.

    Returns:
        0 after a stop, 2 for a wrong configuration.
    """
    parser = argparse.ArgumentParser(prog="python -m api", description=__doc__)
    parser.add_argument("--host", help="address to listen on; API_HOST without")
    parser.add_argument("--port", type=int, help="port to listen on; API_PORT without")
    given = parser.parse_args(arguments)
    try:
        settings = load_settings()
        app = create_app(settings)
    except ConfigurationError as error:
        sys.stderr.write("".join(f"error: {problem}\n" for problem in error.problems))
        return 2
    for number in (signal.SIGTERM, signal.SIGINT):  # uvicorn raises it again after its orderly end
        signal.signal(number, lambda *_: sys.exit(0))
    served = config(app, settings.api, given.host or settings.api.api_host, given.port or settings.api.api_port)
    with Presence(app.state.services.ledger, API, this_process(), SettingsInUse(settings).report):
        Server(served).run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
