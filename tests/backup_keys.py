"""The key that tests seal backups with."""

from __future__ import annotations

from rebalancer.backup import BackupKey, Sealing

KEY = BackupKey("sealed-in-tests-" * 3)
SEALING = Sealing(KEY)
IN_ENVIRONMENT = {"BACKUP_KEY": KEY.text}
