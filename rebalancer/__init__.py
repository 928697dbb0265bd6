"""Brings Interactive Brokers accounts to the target weights of the strategies that they follow."""

from importlib.metadata import version

__version__ = version("ibkr-rebalancer")
