"""Interactive Brokers: the only package that speaks to the gateway, through ib_async."""

from rebalancer.ibkr.broker import IbkrBroker
from rebalancer.ibkr.connection import ClientIds, Connection, ConnectionStatus, FixedClientId
from rebalancer.ibkr.handshake import ClientIdInUse, ConnectionOptions
from rebalancer.ibkr.options import BrokerOptions
from rebalancer.ibkr.slots import ClientIdLease
from rebalancer.ibkr.trial_order import Trial
from rebalancer.ibkr.visit import Visit, visit

__all__ = [
    "BrokerOptions",
    "ClientIdInUse",
    "ClientIdLease",
    "ClientIds",
    "Connection",
    "ConnectionOptions",
    "ConnectionStatus",
    "FixedClientId",
    "IbkrBroker",
    "Trial",
    "Visit",
    "visit",
]
