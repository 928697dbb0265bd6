"""What one worker process works with: the services, one broker connection, the targets.

Built on first use, which is after the fork; nothing here may be shared between processes.
"""

from __future__ import annotations

import os
import threading
from datetime import timedelta
from functools import lru_cache

from rebalancer.config.settings import Settings, load_settings
from rebalancer.domain.portfolio import MarketDataType
from rebalancer.ibkr import BrokerOptions, ClientIdRange, Connection, ConnectionOptions, IbkrBroker
from rebalancer.ledger.gateway_record import gateway_record
from rebalancer.ledger.session import Ledger
from rebalancer.queueing import dispatcher  # noqa: F401 - loaded before the fork, for all children
from rebalancer.queueing.process_identity import this_process
from rebalancer.services import Services
from tasks.app import app

MARKET_DATA_LINES = 100
"""IBKR grants 100 per login, which all worker processes share."""


class Runtime:
    """Long-lived collaborators of this process.

    Attributes:
        gateway: name of the one that this process serves.
        settings: those of the services, with what that gateway has of its own.

    Raises:
        ConfigurationError: the accounts file has no such gateway, or it must not be reached from here.
    """

    def __init__(self, services: Services) -> None:
        self.gateway = services.settings.events.worker_gateway
        self.settings = settings = _settings_at_start(services.settings)
        self.services = services
        self.worker = this_process()
        self.lease = timedelta(seconds=settings.events.lease_s)
        self.connection = _connection(settings, services.ledger)
        self.broker = IbkrBroker(self.connection, _broker_options(settings), lambda: services.accounts().pins)
        self.targets = services.targets

    def outdated(self) -> list[str]:
        """Whether the accounts file says something else of the gateway than when the worker began."""
        now = self.services.settings_of(self.gateway)
        return [] if now == self.settings else [f"gateways.{self.gateway}"]

    def close(self) -> None:
        """Disconnect from the gateway and from the ledger."""
        self.connection.close()
        self.services.ledger.close()


_building: dict[int, threading.Lock] = {}
"""By process: a lock that was held at a fork would stay held in the child."""


def runtime() -> Runtime:
    """This process' runtime, built once although several threads ask for it at the start."""
    pid = os.getpid()
    with _building.setdefault(pid, threading.Lock()):
        return _runtime(pid)


@lru_cache(maxsize=1)
def _settings_at_start(given: Settings) -> Settings:
    """Those of the worker's gateway, read before the fork: a child that is forked later works as the others do."""
    return Services.of(given).settings_of(given.events.worker_gateway)


@lru_cache(maxsize=1)
def _runtime(pid: int) -> Runtime:
    del pid
    return Runtime(Services.of(load_settings(), app))


def _connection(settings: Settings, ledger: Ledger) -> Connection:
    client_ids = ClientIdRange(settings.broker.ib_client_id_first, settings.broker.ib_client_id_count)
    options = ConnectionOptions(
        settings.broker.ib_host,
        settings.broker.ib_port,
        connect_timeout_s=settings.broker.ib_connect_timeout_s,
        request_timeout_s=settings.broker.ib_request_timeout_s,
        mode=settings.broker.trading_mode,
    )
    gateway = settings.events.worker_gateway
    return Connection(options, client_ids, gateway_record(settings.broker, settings.orders, ledger, gateway))


def _broker_options(settings: Settings) -> BrokerOptions:
    data_type = list(MarketDataType)[settings.broker.ib_market_data_type - 1]
    return BrokerOptions(
        request_timeout_s=settings.broker.ib_request_timeout_s,
        quote_timeout_s=settings.broker.quote_timeout_s,
        quote_max_age_s=settings.broker.quote_max_age_s,
        cancel_timeout_s=settings.orders.cancel_timeout_s,
        books_timeout_s=settings.orders.books_timeout_s,
        ack_timeout_s=settings.orders.order_ack_timeout_s,
        account_turns=settings.orders.account_turns,
        quote_lines=MARKET_DATA_LINES // settings.events.worker_concurrency,
        market_data_type=data_type,
        allow_delayed=data_type in (MarketDataType.DELAYED, MarketDataType.DELAYED_FROZEN),
    )
