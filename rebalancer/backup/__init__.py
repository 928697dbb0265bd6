"""Copies of the ledger and their way back: ``make_backup`` and ``restore``."""

from rebalancer.backup.failure import BackupFailed
from rebalancer.backup.making import Made, make_backup
from rebalancer.backup.restoring import Restored, restore

__all__ = ["BackupFailed", "Made", "Restored", "make_backup", "restore"]
