"""Interactive Brokers: the only package that speaks to the gateway, through ib_async."""

import rebalancer.ibkr.eventkit_alone  # noqa: F401  before anything imports ib_async
from rebalancer.ibkr.broker import IbkrBroker
from rebalancer.ibkr.client_ids import ClientIdRange, ClientIds, FixedClientId
from rebalancer.ibkr.connection import Connection, ConnectionStatus
from rebalancer.ibkr.handshake import ClientIdInUse, ConnectionOptions
from rebalancer.ibkr.options import BrokerOptions
from rebalancer.ibkr.trial_order import OrderTrial
from rebalancer.ibkr.visit import Visit, visit

__all__ = [
    "BrokerOptions",
    "ClientIdInUse",
    "ClientIdRange",
    "ClientIds",
    "Connection",
    "ConnectionOptions",
    "ConnectionStatus",
    "FixedClientId",
    "IbkrBroker",
    "OrderTrial",
    "Visit",
    "visit",
]
