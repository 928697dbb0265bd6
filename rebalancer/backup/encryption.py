"""Encryption of backups to an age recipient, whose secret part need not be on the machine that makes them."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import pyrage

from rebalancer.backup.failure import BackupFailed
from rebalancer.domain.errors import ConfigurationError

Recipient: TypeAlias = Any
"""The library has no types: an ``age1...`` public key, or an SSH one."""
Identity: TypeAlias = Sequence[Any]
"""Its counterparts, of which one has to fit."""


class Stream(Protocol):
    """What takes bytes, or gives them."""

    def write(self, data: bytes, /) -> int: ...
    def flush(self) -> None: ...


class Source(Protocol):
    """What gives bytes."""

    def read(self, size: int = -1, /) -> bytes: ...


def recipient(text: str) -> Recipient:
    """A public key, as `age-keygen` prints it, or an SSH public key.

    Raises:
        ConfigurationError: it is neither.
    """
    try:
        return (
            pyrage.ssh.Recipient.from_str(text) if text.startswith("ssh-") else pyrage.x25519.Recipient.from_str(text)
        )
    except pyrage.RecipientError as unusable:
        raise ConfigurationError([f"BACKUP_RECIPIENT is no public key of age ({unusable}): `age-keygen`"]) from unusable


def identity(path: Path) -> Identity:
    """The secret keys of a file that `age-keygen` or `ssh-keygen` wrote.

    Raises:
        ConfigurationError: it cannot be read, or holds none.
    """
    try:
        text = path.read_text(encoding="utf-8")
        if "PRIVATE KEY" in text:
            return [pyrage.ssh.Identity.from_buffer(text.encode())]
        found = [pyrage.x25519.Identity.from_str(line) for line in text.split() if line.startswith("AGE-SECRET-KEY-")]
    except (OSError, UnicodeDecodeError) as unreadable:
        raise ConfigurationError([f"{path}: cannot be read: {unreadable}"]) from unreadable
    except pyrage.IdentityError as unusable:
        raise ConfigurationError([f"{path}: holds no usable secret key of age"]) from unusable
    if not found:
        raise ConfigurationError([f"{path}: holds no secret key of age (AGE-SECRET-KEY-...)"])
    return found


@contextmanager
def encrypted_to(to: Recipient | None, sink: Stream, folder: Path) -> Iterator[Any]:
    """Where to write what reaches ``sink`` encrypted; ``sink`` itself without a recipient.

    The library wants to read, so the rows wait in a file without a name, which vanishes with this process.

    Args:
        folder: has room for it.
    """
    if to is None:
        yield sink
        return
    with tempfile.TemporaryFile(dir=folder) as waiting:
        yield waiting
        waiting.seek(0)
        pyrage.encrypt_io(waiting, sink, [to])


@contextmanager
def decrypted(source: Source, encrypted: bool, identities: Identity | None) -> Iterator[Any]:
    """The bytes of ``source`` in the clear.

    Raises:
        ConfigurationError: it is encrypted, and no identity was given.
        BackupFailed: none fits.
    """
    if not encrypted:
        yield source
        return
    if identities is None:
        raise ConfigurationError(["the backup is encrypted: name the file with its secret key with --identity"])
    with tempfile.TemporaryFile() as clear:
        try:
            pyrage.decrypt_io(source, clear, list(identities))
        except pyrage.DecryptError as closed:
            raise BackupFailed(f"the backup cannot be decrypted: {closed}") from closed
        clear.seek(0)
        yield clear
