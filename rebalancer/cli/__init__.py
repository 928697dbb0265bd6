"""`rebalancer ...`: what a person types."""

from rebalancer.cli.main import main

__all__ = ["main"]
