"""Folders for Unix sockets, whose paths the kernel limits to about a hundred bytes."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

from rebalancer.errors import ConfigurationError

LONGEST_PATH = 103  # sun_path holds 108 bytes on Linux and 104 on macOS, the closing zero included


def socket_folder(preferred: Path, longest_name: str, owner: int | None = None) -> Path:
    """A private folder in which a socket called ``longest_name`` can be made; the same one at every start.

    Args:
        preferred: used when the path is short enough, else a folder in the system's temporary one.
        owner: uid of the server that makes the socket, when it is not ours.
    """
    folder = preferred.absolute()
    if len(os.fsencode(folder / longest_name)) > LONGEST_PATH:
        digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]
        folder = Path(tempfile.gettempdir()) / f"rebalancer-{os.getuid()}-{digest}"
    uid = os.getuid() if owner is None else owner
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if os.getuid() == 0:
        os.chown(folder, uid, -1)
    _require_private(folder, uid)
    return folder


def _require_private(folder: Path, uid: int) -> None:
    """Whoever can write there could pose as our server: a temporary folder's name can be guessed."""
    found = folder.lstat()
    if folder.is_symlink() or found.st_uid != uid or found.st_mode & 0o077:
        raise ConfigurationError([f"{folder} must be a folder of our own with mode 0700: remove it and start again"])
