"""Folders for Unix sockets, whose paths the kernel limits to about a hundred bytes."""

from __future__ import annotations

import hashlib
import os
import tempfile
from contextlib import suppress
from pathlib import Path

from rebalancer.domain.errors import ConfigurationError

LONGEST_PATH = 103  # sun_path holds 108 bytes on Linux and 104 on macOS, the closing zero included


def socket_folder(preferred: Path, longest_name: str, owner: int | None = None) -> Path:
    """Make the private folder of :func:`socket_place` for a server that is about to start.

    Args:
        preferred: used when the path is short enough, else a folder in the system's temporary one.
        owner: uid of the server that makes the socket, when it is not ours.
    """
    folder = _place(preferred, longest_name)
    uid = os.getuid() if owner is None else owner
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if os.getuid() == 0:
        os.chown(folder, uid, -1)
    _require_private(folder, uid)
    return folder


def socket_place(preferred: Path, longest_name: str) -> Path:
    """Where a socket called ``longest_name`` lies, the same at every start; asking makes nothing, so that a stack's
    folder can be deleted while others still ask for it.
    """
    folder = _place(preferred, longest_name)
    with suppress(FileNotFoundError):  # made at the first start
        _require_private(folder, os.getuid())
    return folder


def _place(preferred: Path, longest_name: str) -> Path:
    folder = preferred.absolute()
    if len(os.fsencode(folder / longest_name)) <= LONGEST_PATH:
        return folder
    digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"rebalancer-{os.getuid()}-{digest}"


def _require_private(folder: Path, uid: int) -> None:
    """Whoever can write there could pose as our server: a temporary folder's name can be guessed."""
    found = folder.lstat()
    if folder.is_symlink() or found.st_uid != uid or found.st_mode & 0o077:
        raise ConfigurationError([f"{folder} must be a folder of our own with mode 0700: remove it and start again"])
