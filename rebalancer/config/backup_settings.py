"""Settings of the ledger's copies."""

from __future__ import annotations

from pydantic import Field

from rebalancer.config.field_help import SECRET
from rebalancer.config.settings_section import Section
from rebalancer.config.types import Secret


class BackupSettings(Section):
    """Who can make a backup that is believed, and who can read it."""

    backup_key: Secret | None = Field(
        default=None,
        min_length=32,
        json_schema_extra=SECRET | {"allowed": "at least 32 printable ASCII characters without spaces"},
        description="Seals backups, and proves them before one is restored; without it the file backup-key beside "
        "ACCOUNTS_FILE does, which the first backup makes.",
    )
    backup_recipient: str | None = Field(
        default=None,
        pattern=r"^(age1|ssh-)\S.*$",
        json_schema_extra={"allowed": "public key of age, or an SSH one"},
        description="Backups are encrypted to it, and readable with its secret key only.",
    )
