"""What one worker process works with: the ledger, one broker connection, the accounts.

Built on first use, which is after the fork; nothing here may be shared between processes.
"""

from __future__ import annotations

import os
from datetime import timedelta
from functools import lru_cache

from rebalancer.accounts import Accounts, load_accounts, load_replacement_sets
from rebalancer.dispatch import Dispatcher
from rebalancer.ibkr import IbkrBroker
from rebalancer.ledger.session import Ledger
from rebalancer.processes import this_process
from rebalancer.settings import Settings, load_settings
from rebalancer.targets import AllocationsClient
from tasks.app import app


class Runtime:
    """Long-lived collaborators of this process."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.worker = this_process()
        self.lease = timedelta(seconds=settings.lease_s)
        self.ledger = Ledger(settings.database_url)
        self.dispatcher = Dispatcher(settings, self.ledger, app)
        self.connection = _connection(settings)
        self.broker = IbkrBroker(self.connection, _broker_options(settings))
        self.targets = AllocationsClient(
            settings.allocations_base_url, settings.allocations_api_key, settings.allocations_timeout_s
        )
        self.replacement_sets = load_replacement_sets(settings.replacement_sets_file)

    def accounts(self) -> Accounts:
        """The accounts as the file has them now: an edit takes effect with the next run."""
        return load_accounts(self.settings.accounts_file, self.replacement_sets, self.settings.trading_mode)

    def close(self) -> None:
        """Disconnect from the gateway and give the client id back."""
        self.connection.close()
        self.ledger.close()


def runtime() -> Runtime:
    """This process' runtime."""
    return _runtime(os.getpid())


@lru_cache(maxsize=1)
def _runtime(pid: int) -> Runtime:
    del pid
    return Runtime(load_settings())
