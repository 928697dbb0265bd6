"""The seal of a backup: who made it, and that not a byte has changed since."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from rebalancer.backup.encryption import Recipient
from rebalancer.backup.failure import BackupFailed
from rebalancer.domain.errors import ConfigurationError

DIGEST = hashlib.sha256().digest_size
SEAL = 2 * DIGEST
"""At the end of a file: SHA-256 of all before, which anybody can compute, and HMAC-SHA-256, which only the key can."""
BLOCK = 1 << 20
WEAKEST = 32


@dataclass(frozen=True, slots=True)
class BackupKey:
    """What an installation proves its own backups by; whoever has it can make one.

    Attributes:
        text: at least :data:`WEAKEST` characters of chance.
    """

    text: str = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.text) < WEAKEST:
            raise ConfigurationError([f"the backup key is shorter than {WEAKEST} characters: `openssl rand -hex 32`"])

    @property
    def name(self) -> str:
        """By which files tell whose they are; it tells nothing of the key."""
        return self.mac(b"name of the key").hexdigest()[:16]

    def mac(self, start: bytes) -> hmac.HMAC:
        """HMAC-SHA-256 of what follows a start that says what it is for."""
        return hmac.new(self.text.encode(), start, hashlib.sha256)


@dataclass(frozen=True, slots=True)
class Sealing:
    """How a backup is closed.

    Attributes:
        recipient: it is encrypted to; ``None`` leaves it readable.
    """

    key: BackupKey
    recipient: Recipient | None = None


class Seal:
    """Computed over bytes as they pass by.

    Args:
        key: ``None`` when only damage is to be found.
    """

    def __init__(self, key: BackupKey | None) -> None:
        self._plain = hashlib.sha256()
        self._keyed = None if key is None else key.mac(b"rebalancer backup")

    def update(self, data: bytes) -> None:
        """These bytes come next."""
        self._plain.update(data)
        if self._keyed is not None:
            self._keyed.update(data)

    def text(self) -> bytes:
        """What stands at the end of the file; without a key only its first half."""
        return self._plain.digest() + (b"" if self._keyed is None else self._keyed.digest())

    def fits(self, found: bytes) -> bool:
        """Compare in constant time with what stands at the end of a file."""
        expected = self.text()
        return len(found) == SEAL and hmac.compare_digest(expected, found[: len(expected)])


def check_seal(file: BinaryIO, key: BackupKey | None) -> int:
    """Read a whole file and hold it against its seal; nothing of it has been believed before.

    Returns:
        Where the seal begins.

    Raises:
        BackupFailed: it is not what was written, or not by this key.
    """
    end = file.seek(0, 2) - SEAL
    if end <= 0:
        raise BackupFailed(f"{_name(file)}: is damaged: it is shorter than a seal")
    file.seek(0)
    seal, left = Seal(key), end
    while left and (block := file.read(min(BLOCK, left))):
        seal.update(block)
        left -= len(block)
    if not seal.fits(file.read()):
        raise BackupFailed(
            f"{_name(file)}: is damaged or was changed: its seal does not fit; use another copy or another backup"
        )
    return end


def _name(file: BinaryIO) -> Path:
    return Path(str(file.name))
