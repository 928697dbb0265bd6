"""Copies of the ledger and their way back: ``make_backup`` and ``restore``."""

from rebalancer.backup.encryption import Identity, Recipient, identity, recipient
from rebalancer.backup.failure import BackupFailed
from rebalancer.backup.making import Made, make_backup
from rebalancer.backup.restoring import Restored, restore
from rebalancer.backup.sealing import BackupKey, Sealing

__all__ = [
    "BackupFailed",
    "BackupKey",
    "Identity",
    "Made",
    "Recipient",
    "Restored",
    "Sealing",
    "identity",
    "make_backup",
    "recipient",
    "restore",
]
