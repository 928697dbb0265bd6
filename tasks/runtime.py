"""What one worker process works with: the services, one broker connection, the targets.

Built on first use, which is after the fork; nothing here may be shared between processes.
"""

from __future__ import annotations

import os
from datetime import timedelta
from functools import lru_cache

from rebalancer.processes import this_process
from rebalancer.services import Services
from rebalancer.settings import load_settings
from rebalancer.targets import AllocationsClient
from tasks.app import app


class Runtime:
    """Long-lived collaborators of this process."""

    def __init__(self, services: Services) -> None:
        settings = services.settings
        self.services = services
        self.worker = this_process()
        self.lease = timedelta(seconds=settings.lease_s)
        self.broker = _broker(settings)
        self.targets = AllocationsClient(
            settings.allocations_base_url, settings.require("allocations_api_key"), settings.allocations_timeout_s
        )

    def close(self) -> None:
        """Disconnect from the gateway and give the client id back."""
        self.broker.close()
        self.services.ledger.close()


def runtime() -> Runtime:
    """This process' runtime."""
    return _runtime(os.getpid())


@lru_cache(maxsize=1)
def _runtime(pid: int) -> Runtime:
    del pid
    return Runtime(Services.of(load_settings(), app))
